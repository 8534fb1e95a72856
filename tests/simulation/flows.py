"""Runs of workflows: begun, told events, paused, cancelled and tried again at random, and the law of their steps."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Final

import msgspec

from tests.simulation.red import Check, require
from tests.simulation.world import World
from wsaios.kernel.errors import NotPossible, UnknownRun
from wsaios.kernel.events import Act, Effects, Emit, Scope, Signal, StartRun, Verb
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Commit, StepsOf
from wsaios.kernel.run import WHOLE, NewRun, Run, RunState, StepRow, StepState
from wsaios.kernel.states import State
from wsaios.kernel.trigger import Emitted
from wsaios.planning.workflow.plan import Plan
from wsaios.scheduler.core import Core
from wsaios.scheduler.recall import state_of
from wsaios.scheduler.triggers.events import EMITTED
from wsaios.sdk.workflows import Workflow
from wsaios.simulation.ledger_answers import answer
from wsaios.simulation.ledger_store import Tables

_HANDLERS: Final = ("echo", "slow", "sheet", "vector", "once")
_PLANS: Final = 6
_VERBS: Final[tuple[Verb, ...]] = ("cancel", "pause", "resume", "replay", "replay")
_ENDED: Final = int(StepState.SUCCEEDED)
_EVEN: Final = "event.data.n % 2 == 0"


def plan(rng: Random, number: int) -> Plan:
    """A workflow of a few steps, each of any kind."""
    flow = Workflow(f"flow{number}", output=rng.choice((None, "${run.id}")))
    for step in range(rng.randint(1, 7)):
        before = sorted(rng.sample(range(step), min(step, rng.randint(0, 3))))
        options: dict[str, Any] = {"on_failure": "continue"} if rng.random() < 0.5 else {}
        if before and rng.random() < 0.3:
            options["when"] = rng.choice((f"steps.s{before[0]}.state != 'skipped'", "1 > 2"))
        kind = rng.random()
        if kind < 0.15:
            options["wait_for"] = {"event": "go"} | ({"timeout_s": 0.3} if rng.random() < 0.5 else {})
            if rng.random() < 0.3:
                options["wait_for"]["filter"] = _EVEN
        elif kind < 0.45:
            options["foreach"] = rng.choice(("[1, 2, 3]", "[]", f"[{step}]"))
            options["max_parallel"] = rng.choice((None, 1, 2))
        if "wait_for" not in options or rng.random() < 0.3:
            options["handler"] = rng.choice(_HANDLERS)
            seen = f"${{steps.s{before[0]}.result}}" if before else "nothing"
            options["args"] = {"order": 0, "n": step, "seen": seen}
            options["max_attempts"] = rng.choice((None, 1))
        flow.step(f"s{step}", depends_on=[f"s{each}" for each in before], **options)
    return flow.check()


class Flows:
    """Who begins runs, and what must hold of them after every commit."""

    def __init__(self, world: World, tables: Tables) -> None:
        self._world = world
        self._tables = tables
        self._rng = world.rng
        self._plans: list[Plan] = []
        self._by_version: dict[str, Plan] = {}
        self._tasks: dict[tuple[int, int, int], int] = {}
        self._tries: dict[tuple[int, int, int], int] = {}
        self._told = 0
        self._emitted_us: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._left: dict[str, Emitted] = {}
        self.known: dict[int, None] = {}
        self.met: Counter[str] = Counter()

    def know(self, plans: Iterable[Plan]) -> None:
        """Somebody else may begin runs of these."""
        self._by_version.update((plan.version, plan) for plan in plans)

    def start(self) -> None:
        """Begin a run; one that nobody heard of is sent again under its token."""
        rng = self._rng
        if len(self._plans) < _PLANS:
            made = plan(rng, len(self._plans))
            self._plans.append(made)
            self._by_version[made.version] = made
        chosen, token = rng.choice(self._plans), f"run {rng.randrange(1 << 30)}"
        new = NewRun(chosen, "{}", rng.choice(("acme", "default")), rng.choice((0, 60, -60)))
        self._send(new, token, again=False)

    def act(self, verb: Verb | None = None, number: int | None = None) -> None:
        """One verb on one run."""
        rng = self._rng
        number = number if number is not None else rng.choice([*self._tables.runs, 4_242])
        chosen: Verb = rng.choice(_VERBS) if verb is None else verb

        def told(value: object, error: Exception | None) -> None:
            expected = error is None or isinstance(error, NotPossible | UnknownRun)
            require(expected, Check.ANSWERED, "{} {}: {!r} {!r}", chosen, encode(number, "run"), value, error)
            if error is None:
                self.met[f"a run: {chosen}"] += 1

        self._ask(f"{chosen} run", lambda token: Act(token, chosen, Scope("run", number), ""), told)

    def signal(self) -> None:
        """An event for everyone, or for one run."""
        rng = self._rng
        run = rng.choice([*self._tables.runs, 4_242]) if rng.random() < 0.5 else 0

        def told(value: object, error: Exception | None) -> None:
            expected = isinstance(value, int) if error is None else isinstance(error, NotPossible | UnknownRun)
            require(expected, Check.ANSWERED, "an event: {!r} {!r}", value, error)
            self.met["an event that is taken"] += error is None and bool(value)

        data = f'{{"n":{self._number()}}}'
        self._ask("signal", lambda token: Signal(token, "go", data, run), told)

    def emit(self) -> None:
        """An event for all who wait, sent again under its token until somebody says that it is durable."""
        number = self._number()
        self._emitted_us[number] = self._world.clock.now_us()
        self._emit(number, again=False)

    def let_go(self) -> None:
        """Whatever is paused or waits goes on."""
        for run in list(self._tables.runs.values()):
            if run.state == RunState.PAUSED:
                self.act("resume", run.id)
        if any(step.state == StepState.WAITING for step in self._tables.steps.values()):
            data = f'{{"n":{2 * self._number()}}}'
            self._ask("signal", lambda token: Signal(token, "go", data), lambda _value, _error: None)

    def unfinished(self) -> list[Run]:
        """Runs that have not ended."""
        return [run for run in self._tables.runs.values() if not RunState(run.state).ended]

    def committed(self, effects: Effects) -> None:
        """What a commit says of steps is as their workflow has it."""
        for key in effects.commit.steps_gone:
            self._tasks.pop(key, None)
        for row in effects.commit.steps:
            plan_ = self._by_version[self._tables.runs[row.run].version]
            if row.state == StepState.TOLD:
                self._tasks.pop(row.key, None)
            if row.state == StepState.TASK:
                self._forget_failed(row)
                old = self._tasks.setdefault(row.key, row.task)
                require(old == row.task, Check.STEPS, "{} had the task {}, now {}", row.key, old, row.task)
                self.met["an item of a list" if row.item != WHOLE else "a step with a task"] += 1
            if row.state not in {StepState.CANCELLED, StepState.FAILED}:
                for parent in plan_.parents[row.number]:
                    state = self._state(plan_, row.run, parent)
                    require(state >= _ENDED, Check.STEPS, "{} begins, its parent {} is {!r}", row.key, parent, state)
            self._check_once(plan_, row)
            self.met[f"a row: {StepState(row.state).name}"] += 1
        for number in self._heard(effects.commit):
            self._check_told(number)
        for run in effects.runs:
            self._over(run)

    def _number(self) -> int:
        """A number for what is told that nothing else has; half of them are even."""
        self._told += 1
        return 4 * self._told + self._rng.randint(0, 1)

    def _heard(self, commit: Commit) -> Iterator[int]:
        """The events of which steps were told with this commit."""
        late = set()
        for component, key, value in commit.facts:
            if component != "event":
                continue
            event = self._left.pop(key, None) if value is None else msgspec.convert(value, Emitted)
            if event is not None and event.name == "go":
                late.add(event.id)
                if value is not None:
                    self._left[key] = event
                if event.heard or value is None:
                    yield event.data["n"]
        for row in commit.keys:
            if row.tenant == EMITTED and row.key.startswith("go ") and row.task not in late:
                yield int(row.key.removeprefix("go "))

    def _check_told(self, number: int) -> None:
        """Whoever waited when an event was emitted has taken it, unless a filter refused it."""
        for row in self._tables.steps.values():
            if row.state == StepState.WAITING and row.at_us < self._emitted_us[number]:
                wait_for = self._by_version[self._tables.runs[row.run].version].steps[row.number].wait_for
                assert wait_for is not None
                refused = wait_for.filter and number % 2
                require(refused, Check.STEPS, "{} waits, and event {} was told", row, number)
        self.met["an event that is told"] += 1

    def _check_once(self, plan_: Plan, row: StepRow) -> None:
        """What a step took, no step before it has taken."""
        number = _taken(row)
        if not number:
            return
        self.met["an emitted event that is taken"] += number in self._emitted_us
        before, waiting = set(), [*plan_.parents[row.number]]
        while waiting:
            step = waiting.pop()
            if step not in before:
                before.add(step)
                waiting += plan_.parents[step]
                other = self._tables.steps.get((row.run, step, WHOLE))
                twice = other is not None and _taken(other) == number
                require(not twice, Check.STEPS, "{} and {} took the same event", row, other)

    def _emit(self, number: int, *, again: bool) -> None:
        def told(value: object, error: Exception | None) -> None:
            require(error is None and isinstance(value, int), Check.ANSWERED, "event {}: {!r}", number, error)
            assert isinstance(value, int)
            known = self._numbers.setdefault(number, value)
            require(known == value, Check.IDEMPOTENCY, "event {} is {} and {}", number, known, value)

        self._world.ask(
            "emit for steps",
            lambda token: Emit(token, "go", {"n": number}, f"go {number}", again=again),
            told,
            lambda: self._emit(number, again=True),
        )

    def _forget_failed(self, row: StepRow) -> None:
        """A step whose event had come is tried again without its row going first."""
        tries = self._tables.runs[row.run].tries
        old = self._tables.outcomes.get(self._tasks.get(row.key, 0))
        if old is not None and old.state != State.SUCCEEDED and tries > self._tries.get(row.key, tries):
            del self._tasks[row.key]
        self._tries[row.key] = tries

    def check_drained(self, core: Core) -> None:
        """Nothing is left over."""
        left = [encode(run.id, "run") for run in self.unfinished()]
        require(not left, Check.DRAIN, "runs never end: {}", left)
        require(not core.runs._courses, Check.MEMORY, "runs are still in memory")  # noqa: SLF001  # nothing else says it
        require(not core.runs._sheets, Check.MEMORY, "plans are still in memory")  # noqa: SLF001  # nothing else says it

    def _over(self, run: Run) -> None:
        self.met[f"a run ends: {RunState(run.state).name}"] += 1
        live = [task.id for task in self._tables.live.values() if task.body.step and task.body.step[0] == run.id]
        require(not live, Check.STEPS, "{} ended, and tasks of it live: {}", encode(run.id, "run"), live)
        plan_ = self._by_version[run.version]
        if run.state == RunState.SUCCEEDED:
            for number, step in enumerate(plan_.steps):
                state = self._state(plan_, run.id, number)
                fine = state in {StepState.SUCCEEDED, StepState.SKIPPED} or step.on_failure == "continue"
                require(state >= _ENDED and fine, Check.STEPS, "{} succeeded, step {} is {!r}", run, number, state)

    def _state(self, plan_: Plan, run: int, number: int) -> StepState:
        """Where a step is, by the ledger alone."""
        rows = answer(self._tables, StepsOf(run, number, -2, 9_999)).steps
        rows = [row for row in rows if row.number == number]
        head = next((row for row in rows if row.item == WHOLE), None)
        if head is None:
            return StepState.PENDING
        state = state_of(head)
        if state != StepState.LIST:
            return state
        items = [state_of(row) for row in rows if row.item != WHOLE]
        expected = {"[1, 2, 3]": 3}.get(plan_.steps[number].foreach, 1)
        if len(items) < expected or any(each < _ENDED for each in items):
            return StepState.LIST
        good = all(each == StepState.SUCCEEDED for each in items)
        return StepState.SUCCEEDED if good else StepState.FAILED

    def _send(self, new: NewRun, name: str, *, again: bool) -> None:
        def told(value: object, error: Exception | None) -> None:
            require(error is None and isinstance(value, int), Check.ANSWERED, "a run: {!r} {!r}", value, error)
            assert isinstance(value, int)
            require(value in self._tables.runs or value in self.known, Check.EFFECTS, "{} is nowhere", value)
            self.known[value] = None

        self._world.ask(
            "start run",
            lambda token: StartRun(token, new, name, again=again),
            told,
            lambda: self._send(new, name, again=True),
        )

    def _ask(self, kind: str, make: Callable[[int], Any], told: Callable[[object, Exception | None], None]) -> None:
        self._world.ask(kind, make, told)


def _taken(row: StepRow) -> int:
    """The number of the event that a row has taken; 0: none."""
    if row.data is None or row.state not in {StepState.TOLD, StepState.TASK, StepState.SUCCEEDED}:
        return 0
    said = msgspec.json.decode(row.data)
    return int(said["n"]) if isinstance(said, dict) and "n" in said else 0
