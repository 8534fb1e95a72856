"""A core whose triggers fire, on a clock that tests set."""

from collections.abc import Iterable
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tests.unit.scheduler.rig import SPECS, Rig
from wsaios.components.goals import GoalQueue
from wsaios.components.optimizer import ParamOptimizer
from wsaios.components.relations import RelationStore
from wsaios.components.rules import RuleEngine
from wsaios.components.state import StateStore
from wsaios.expressions.cel import Cel
from wsaios.kernel.events import ActOnTrigger, AskTriggers, Emit, Publish, PutTrigger, StartRun
from wsaios.kernel.faculties import Changes, Hub, load
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import StepsOf
from wsaios.kernel.policy import Ordering
from wsaios.kernel.run import WHOLE, NewRun, Run, StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import HandlerSpec, LaneSpec
from wsaios.kernel.trigger import Languages, Overlap, Start, StartTask, TriggerSpec, TriggerVerb, TriggerView, When
from wsaios.planning.workflow.inputs import bound
from wsaios.planning.workflow.plan import plan_of
from wsaios.scheduler.assemble import assemble
from wsaios.scheduler.core import Core
from wsaios.scheduler.recall import state_of
from wsaios.sdk.workflows import Workflow
from wsaios.simulation.ledger_answers import answer

LANGUAGES = Languages(ZoneInfo, Cel())
ECHO = StartTask("echo")


class Faculties:
    """The five components."""

    def __init__(self, changes: Changes) -> None:
        self.goals = GoalQueue(sink=changes)
        self.state = StateStore(sink=changes)
        self.relations = RelationStore(sink=changes)
        self.rules = RuleEngine()
        self.optimizer = ParamOptimizer(sink=changes)


class Alarm(Rig):
    """`serves` False: only a client, that takes in and acts; `fires` False: no trigger fires.

    `says` is what a program sets before it starts.
    """

    def __init__(self, specs: Iterable[LaneSpec | HandlerSpec] = SPECS) -> None:
        self.fires = self.serves = True
        self.says: dict[str, object] = {}
        super().__init__(specs)
        self.step()

    def _core(self) -> Core:
        opening = self.ledger.open(self.now_us, "alarm")
        self.changes = Changes(lambda: None)
        self.faculties = Faculties(self.changes)
        stored: dict[str, list[tuple[str, object]]] = {}
        for component, key, value in opening.facts:
            stored.setdefault(component, []).append((key, value))
        for key, value in self.says.items():
            self.faculties.state.set(key, value)
        self.changes.clear()
        load(self.faculties, stored)
        hub = Hub(self.faculties, self.changes, LANGUAGES) if self.fires else None
        core = assemble(opening, Ordering(), Random(1), specs=self.specs, hub=hub, recover=self.serves)
        core.runs.speak(Cel())
        return core

    def restart(self, after_us: int = 0, *, fires: bool = True, serves: bool | None = None) -> None:
        """The owner dies; another one comes so much later. Who does not fire is a client, unless it `serves`."""
        self.now_us += after_us
        self.fires, self.serves = fires, fires if serves is None else serves
        super().restart()

    def put(self, when: When, name: str = "t", start: Start = ECHO, overlap: Overlap = "allow") -> TriggerView:
        """Declare a trigger."""
        view: TriggerView = self.ask(lambda token: PutTrigger(token, TriggerSpec(name, when, start, overlap)))
        return view

    def act(self, verb: TriggerVerb, name: str = "t") -> Any:
        """Pause, resume, remove, fire."""
        return self.ask(lambda token: ActOnTrigger(token, verb, name))

    def view(self, name: str = "t") -> TriggerView:
        """Where it stands."""
        (view,) = self.ask(lambda token: AskTriggers(token, name))
        assert isinstance(view, TriggerView)
        return view

    def emit(self, name: str, data: Any = None, token: str = "", *, again: bool = False) -> Any:
        """Emit an event; its number."""
        return self.ask(lambda asked: Emit(asked, name, data, token, again=again))

    def start(self, flow: Workflow, given: dict[str, Any] | None = None) -> int:
        """Begin a run of a workflow; its number."""
        plan = flow.check()
        new = NewRun(plan, msgspec.json.encode(bound(plan.definition, given)).decode())
        number: int = self.ask(lambda token: StartRun(token, new))
        return number

    def publish(self, flow: Workflow) -> int:
        """Publish a workflow under its name; the number of the version."""
        plan = flow.check()
        stored = StoredDefinition(plan.version, plan.name, 0, plan.content)
        number: int = self.ask(lambda token: Publish(token, stored))
        return number

    def runs(self) -> list[Run]:
        """All runs, in their order."""
        return [run for _, run in sorted(self.ledger.tables.runs.items())]

    def steps(self, run: int = 0) -> dict[str, str]:
        """The states of the steps that have begun, of a run or of the only one."""
        tables = self.ledger.tables
        runs = [tables.runs[run]] if run else list(tables.runs.values())
        (of,) = runs
        plan = plan_of(tables.definitions[of.version].content)
        rows = answer(tables, StepsOf(of.id, -1, -1, 99)).steps
        return {plan.steps[row.number].id: state_of(row).word for row in rows if row.item == WHOLE}

    def until(self, at_us: int) -> None:
        """Let time pass, stepping whenever the core asks for it."""
        while (wake_us := self.core.wake_us()) is not None and wake_us <= at_us:
            self.now_us = max(self.now_us, wake_us)
            self.step()
        self.now_us = at_us

    def started(self) -> list[Any]:
        """The arguments of every task there ever was, in their order."""
        return [msgspec.json.decode(row.data) for _, row in sorted(self.ledger.tables.payloads.items())]

    def states(self) -> list[str]:
        """The states of all tasks, in their order."""
        tables = self.ledger.tables
        rows = {**{number: task.state for number, task in tables.live.items()}}
        rows.update((number, outcome.state) for number, outcome in tables.outcomes.items())
        return [State(state).word for _, state in sorted(rows.items())]

    def ids(self) -> list[str]:
        """The ids of all tasks."""
        return [encode(number) for number in sorted(self.ledger.tables.payloads)]
