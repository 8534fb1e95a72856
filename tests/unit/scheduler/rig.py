"""A core on a simulated ledger, stepped by hand; what it starts ends when the test says so."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, NamedTuple

from wsaios.kernel.engine import AttemptRef, Ended, Report, Resumed, Verdict, Work
from wsaios.kernel.events import Effects, Event, Reported, Submit
from wsaios.kernel.ledger import Committed
from wsaios.kernel.policy import Ordering
from wsaios.kernel.task import HandlerSpec, LaneSpec, NewTask
from wsaios.scheduler.assemble import assemble
from wsaios.scheduler.core import Core
from wsaios.simulation.ledger import SimLedger

NOW_US = 1_700_000_000_000_000
SPECS: tuple[LaneSpec | HandlerSpec, ...] = (
    LaneSpec("default", 5000),
    HandlerSpec("echo", "default"),
    HandlerSpec("vector", "default", 4, 10_000),
)


class Launched(NamedTuple):
    """A commit on its way."""

    effects: Effects
    write: Callable[[], Committed]


class Rig:
    """Steps until nothing more is to be asked; `replies` by token, `works` and the rest as the engine is told it."""

    def __init__(self, specs: Iterable[LaneSpec | HandlerSpec] = SPECS) -> None:
        self.ledger = SimLedger()
        self.now_us = NOW_US
        self.specs = list(specs)
        self.core = self._core()
        self.replies: dict[Any, object] = {}
        self.works: list[Work] = []
        self.cancels: list[AttemptRef] = []
        self.preempts: list[AttemptRef] = []
        self.resumes: list[Resumed] = []
        self.warnings: list[tuple[str, dict[str, object]]] = []
        self.told: list[Committed] = []

    def _core(self) -> Core:
        return assemble(self.ledger.open(self.now_us, "rig"), Ordering(), Random(1), specs=self.specs)

    def restart(self) -> None:
        """The owner dies, and what it had started with it; another one goes on."""
        self.ledger.crash()
        self.ledger = SimLedger(self.ledger.tables)
        self.works.clear()
        self.core = self._core()
        self.step()

    def rebuild(self) -> None:
        """The core is thrown away by a living owner; the next step begins with what the ledger says."""
        old, opening = self.core, self.ledger.reopen(self.now_us)
        self.core = assemble(opening, Ordering(), Random(1), specs=self.specs, died=False)
        self.core.inherit(old)

    def step(self, *events: Event) -> Effects:
        """These events, and whatever the ledger answers to them; the effects of the last step."""
        told: Committed | None = None
        pending: tuple[Event, ...] = events
        while True:
            effects = self.core.step(pending, self.now_us, told)
            write = self.ledger.prepare(effects.commit)
            self.core.handed(effects)
            answer = write()
            self.core.committed(effects)
            self.works.extend(effects.works)
            self.cancels.extend(effects.cancels)
            self.preempts.extend(effects.preempts)
            self.resumes.extend(effects.resumes)
            self.warnings.extend(effects.warnings)
            self.replies.update((reply.token, reply.error or reply.value) for reply in effects.replies)
            pending, told = (), answer if effects.commit.questions or effects.commit.purged else None
            if not effects.again:
                return effects

    def launch(self, *events: Event) -> "Launched":
        """Half of a step: what was answered and these events are decided, and the commit is on its way."""
        told, self.told = self.told, []
        for answer in told:
            self.core.take((), self.now_us, answer)
        self.core.take(events, self.now_us)
        effects = self.core.finish()
        launched = Launched(effects, self.ledger.prepare(effects.commit))
        self.core.handed(effects)
        return launched

    def land(self, launched: "Launched") -> None:
        """The other half: it is durable, and what it says leaves."""
        answer, effects = launched.write(), launched.effects
        self.core.committed(effects)
        self.works.extend(effects.works)
        if effects.again:
            self.told.append(answer)

    def ask(self, make: Callable[[str], Event]) -> Any:
        """The answer to one event."""
        self.step(make("asked"))
        return self.replies.pop("asked")

    def submit(self, *tasks: NewTask) -> list[int]:
        """Their ids."""
        ids = self.ask(lambda token: Submit(token, list(tasks)))
        assert isinstance(ids, list)
        return ids

    def end(self, verdict: Verdict = Verdict.SUCCEEDED) -> Effects:
        """Everything that runs comes to this end."""
        reports: list[Report] = [
            Ended(attempt.task, attempt.fence, verdict, result=b"1" if verdict == Verdict.SUCCEEDED else b"")
            for work in self.works
            for attempt in work.attempts
        ]
        self.works.clear()
        return self.step(Reported(None, reports))
