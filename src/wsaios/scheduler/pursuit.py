"""The loop of goals: at its cadence each open goal gets one plan, and a plan runs its actions one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from wsaios.kernel.events import Closed, Submit
from wsaios.kernel.faculties import Hub, OpenGoal
from wsaios.kernel.states import State
from wsaios.kernel.task import NewTask
from wsaios.scheduler.book import Book
from wsaios.scheduler.intake import Intake

_PLAN: Final = "plan"
_BOUND: Final = "bindings"
_MISSING: Final = object()


class Plan(msgspec.Struct):
    """One strategy being followed for a goal: `at` is the action that runs, `task` its task."""

    goal: str
    tenant: str
    priority: int
    actions: list[str]
    begun_us: int
    at: int = 0
    task: int = 0
    bound: dict[str, Any] = {}


class Pursuit:
    """Pursues goals. One plan per goal is in flight.

    It survives the owner, for it is a fact with the task it waits for.
    """

    def __init__(self, book: Book, intake: Intake, hub: Hub) -> None:
        self._book = book
        self._intake = intake
        self._faculties = hub.faculties
        self._changes = hub.changes
        self._plans: dict[str, Plan] = {}
        self._by_task: dict[int, Plan] = {}
        self._due: dict[str, int] = {}
        self._heard = -1

    def recover(self, facts: Sequence[tuple[str, str, Any]]) -> None:
        """Go on with the plans that a dead owner left."""
        for component, goal, value in facts:
            if component == _PLAN:
                plan = msgspec.convert(value, Plan)
                self._plans[goal] = self._by_task[plan.task] = plan

    def run(self) -> list[tuple[str, str, Any]]:
        """Carry plans on whose action ended in this step, and begin those that are due; returns what changed."""
        for closed in list(self._book.effects.closed) if self._by_task else ():
            plan = self._by_task.pop(closed.outcome.id, None)
            if plan is not None:
                self._carry_on(plan, closed)
        stirred = self._changes.count != self._heard
        if stirred or any(due <= self._book.now_us for due in self._due.values()):
            self._begin()
        changes = self._changes.take()
        self._book.commit.facts.extend(changes)
        self._heard = self._changes.count
        return changes

    def stir(self) -> None:
        """Something that decides what is feasible changed."""
        self._heard = -1

    def next_us(self) -> int | None:
        """When the next plan is due."""
        return min(self._due.values(), default=None)

    def _begin(self) -> None:
        now, due = self._book.now_us, {}
        for goal in self._faculties.goals.open():
            at = self._due.get(goal.id, now)
            if goal.id in self._plans:
                continue
            if at > now or not self._plan(goal):
                due[goal.id] = at
        # A goal without a feasible strategy is looked at again when something changes, not before.
        self._due = {goal: at for goal, at in due.items() if at > now}

    def _plan(self, goal: OpenGoal) -> bool:
        faculties = self._faculties
        facts = {"id": goal.id, "desc": goal.desc, "priority": goal.priority, "done": False}
        state = faculties.state.snapshot()
        advice = faculties.rules.run(facts, state, faculties.relations.query())
        strategy = faculties.optimizer.optimize(facts, state, advice, feasible=self._feasible)
        if strategy is None:
            return False
        plan = Plan(goal.id, goal.tenant, goal.priority, list(strategy["params"]["actions"]), self._book.now_us)
        self._plans[goal.id] = plan
        self._act(plan, _MISSING)
        return True

    def _feasible(self, template: Mapping[str, Any]) -> bool:
        """Whether every action is registered and every argument that it lacks can be bound."""
        for place, action in enumerate(template["actions"]):
            spec = self._book.executor.handlers.get(action) if isinstance(action, str) else None
            if spec is None:
                return False
            lacking = [name for name in spec.required if self._last(action, name) is _MISSING]
            if len(lacking) > (1 if place else 0):
                return False
        return True

    def _act(self, plan: Plan, before: object) -> None:
        """Submit the action at hand; `before` is the result of the one before it."""
        action = plan.actions[plan.at]
        spec = self._book.executor.handlers.get(action)
        arguments: dict[str, Any] = {}
        for name in spec.required if spec is not None else ():
            value = self._bind(action, name, before)
            if value is _MISSING:
                self._end(plan, ok=False)
                return
            arguments[name] = value
        plan.bound = arguments
        new = NewTask(action, msgspec.json.encode(arguments), tenant=plan.tenant, priority=plan.priority)
        self._intake.submit(Submit(None, [new]))
        plan.task = new.id
        self._by_task[new.id] = plan
        self._book.commit.facts.append((_PLAN, plan.goal, msgspec.to_builtins(plan)))

    def _bind(self, action: str, name: str, before: object) -> object:
        if before is _MISSING:
            return self._last(action, name)
        if isinstance(before, dict) and name in before:
            return before[name]
        spec = self._book.executor.handlers[action]
        lacking = [each for each in spec.required if self._last(action, each) is _MISSING]
        if len(spec.required) == 1 or lacking == [name]:
            return before
        return self._last(action, name)

    def _last(self, action: str, name: str) -> object:
        return self._faculties.state.get(f"{_BOUND}.{action}.{name}", _MISSING)

    def _carry_on(self, plan: Plan, closed: Closed) -> None:
        if closed.outcome.state != State.SUCCEEDED:
            self._end(plan, ok=False)
            return
        action = plan.actions[plan.at]
        for name, value in plan.bound.items():
            self._faculties.state.set(f"{_BOUND}.{action}.{name}", value)
        plan.at += 1
        if plan.at < len(plan.actions):
            self._act(plan, msgspec.json.decode(closed.result))
        else:
            self._end(plan, ok=True)

    def _end(self, plan: Plan, *, ok: bool) -> None:
        book = self._book
        duration_s = (book.now_us - plan.begun_us) / 1e6
        self._faculties.optimizer.tell(plan.actions, ok=ok, duration_s=duration_s)
        self._plans.pop(plan.goal, None)
        book.commit.facts.append((_PLAN, plan.goal, None))
        for goal in self._faculties.goals.open():
            if goal.id == plan.goal:
                self._due[goal.id] = max(book.now_us + 1, plan.begun_us + int(goal.interval_s * 1e6))
