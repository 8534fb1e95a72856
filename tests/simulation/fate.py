"""Time, faults and deaths: the owner at work may die at any instant, and another one starts on the same ledger."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.simulation.driver import Driver
from tests.simulation.mishaps import AT_A_STEP, Mishap, OwnerDiedError
from tests.simulation.red import Check, require
from tests.simulation.scenario import HANDLERS, LANES, LATE_LANE, VARIANTS, Scenario
from tests.simulation.small import Known
from wsaios.kernel.engine import Report, WorkerLost
from wsaios.kernel.errors import Fenced, LedgerUnavailable
from wsaios.kernel.events import Effects, HandlerKnown, LaneKnown, Recall, Reported
from wsaios.kernel.states import State
from wsaios.kernel.task import BatchState, HandlerSpec
from wsaios.simulation.ledger import CommitFault, SimLedger
from wsaios.simulation.ledger_store import Tables

PROBE_US: Final = 2_500_000
"""After how long without a word the engine is asked about an attempt; a delayed report takes less."""


class Fate(Driver):
    """Owners that come and go on one ledger; `visitor` asks for something while no owner lives."""

    def __init__(self, seed: int, scenario: Scenario, ledger: Callable[[Tables], SimLedger] = SimLedger) -> None:
        tables = Tables()
        super().__init__(seed, scenario, ledger(tables), tables)
        self._make_ledger = ledger
        self.mishaps: Counter[Mishap] = Counter()
        self.calm = False
        self._closing = False
        self.specs: dict[str, HandlerSpec] = {}
        self.visitor: Callable[[], None] = self.world.submit
        self.passer_by: Callable[[], None] = self.world.submit
        self.meddler: Callable[[int], None] = lambda _: None
        self._line_up()
        self.begin(self.ledger.open(self.clock.now_us(), "the first owner"), died=True)

    def turn(self) -> None:
        """Reports come in, a step is taken when there is a reason for one, and time goes on."""
        if not self.calm and self.dice.random() < self.scenario.death / 4:
            self.die(Mishap.DEATH_IDLE)
        elif not self.calm and self.dice.random() < self.scenario.takeover:
            self.take_over()
        elif not self.calm and self.dice.random() < self.scenario.commit_fault / 2:
            self.mishaps[Mishap.RENEWAL_FAILED] += 1
            self._rebuild([], LedgerUnavailable("simulated", "the renewal failed"), written=False)
        reports = self.engine.reports(self.clock.now_us())
        if self.dice.random() < 0.1 or not self._next_us():
            reports.extend(self._probe())
        if reports:
            self.inbox.append(Reported(None, reports))
        due = self.wake_us is not None and self.wake_us <= self.clock.now_us()
        if self.inbox or self.again or due:
            self.step_or_die()
        self._pass_time()

    def step_or_die(self) -> None:
        """One step, in which the owner may die."""
        death = self.dice.choice(AT_A_STEP) if not self.calm and self.dice.random() < self.scenario.death else None
        try:
            self.step(death)
        except OwnerDiedError:
            assert death is not None
            self.die(death)

    def fault(self, effects: Effects) -> bool | None:
        """As the dice say."""
        if self.calm or not effects.commit.writes() or self.dice.random() >= self.scenario.commit_fault:
            return None
        assert isinstance(self.ledger, SimLedger)
        written = self.dice.random() < 1 / 2
        self.ledger.fail_next(CommitFault.APPLIED if written else CommitFault.LOST)
        self.mishaps[Mishap.COMMIT_UNKNOWN if written else Mishap.COMMIT_LOST] += 1
        return written

    def crowd(self) -> None:
        """As the dice say; once the faults have stopped, or the owner is about to stop, nobody comes any more."""
        if self.calm or self._closing:
            return
        while self.dice.random() < self.scenario.overlap:
            self.passer_by()
        if self.core.drafting and self.core.book.effects.works and self.dice.random() < 1 / 2:
            # Somebody meddles with what was decided and has not left.
            self.meddler(self.dice.choice(self.core.book.effects.works).attempts[0].task)

    def die(self, how: Mishap) -> None:
        """The owner dies at once; what it had not committed is gone."""
        self.mishaps[how] += 1
        batches = {batch.state for batch in self.tables.batches.values() if batch.rows}
        self.mishaps[Mishap.DEATH_STAGING] += BatchState.STAGING in batches
        self.mishaps[Mishap.DEATH_PURGING] += BatchState.ABORTED in batches
        self.mishaps[Mishap.DEATH_SWEEPING] += any(component == "sweep" for component, _ in self.tables.facts)
        self.mishaps[Mishap.DEATH_TELLING] += bool(self.tables.releases)
        self.restart(survives=self.dice.random() < self.scenario.engine_survives)

    def recall(self) -> None:
        """Stop in good order and start again: what still runs goes back into the queue."""
        generation = self.world.generation
        self.post(Recall())
        self._closing = True
        while self.inbox or self.again:
            self.step_or_die()
        self._closing = False
        if self.world.generation == generation:
            running = [task.id for task in self.tables.live.values() if task.state == State.RUNNING]
            require(not running, Check.PLACE, "{} run after everything was recalled", running)
            self.mishaps[Mishap.RESTART] += 1
            self.restart(survives=False)

    def restart(self, *, survives: bool) -> None:
        """A new process: nothing is left but the ledger, and perhaps the workers."""
        assert isinstance(self.ledger, SimLedger)
        self.ledger.crash()
        self.mishaps[Mishap.ENGINE_STAYED if survives else Mishap.ENGINE_DIED] += 1
        if not survives:
            self.engine.stop()
        self.engine.bereft(self.clock.now_us())
        self._forget()
        if self.dice.random() < self.scenario.visit:
            self._visit()
        self._line_up()
        self.ledger = self._make_ledger(self.tables)
        self.begin(self.ledger.open(self.clock.now_us(), "the next owner"), died=True)

    def take_over(self) -> None:
        """Another owner takes the ledger while this one believes to live: its next commit must change nothing."""
        self.mishaps[Mishap.TAKEOVER] += 1
        assert isinstance(self.ledger, SimLedger)
        zombie, ledger = self.core, self.ledger
        self.tables.owner = ""
        self.ledger = self._make_ledger(self.tables)
        opening = self.ledger.open(self.clock.now_us(), "the one that took over")
        before = self.tables.snapshot()
        now_us = self.clock.now_us()
        for answer in self._answers:
            zombie.take((), now_us, answer)
        effects = zombie.step([*self.inbox, Reported(None, self.engine.reports(now_us))], now_us)
        self.engine.bereft(now_us)
        if effects.commit.writes():
            with suppress(Fenced):
                ledger.commit(effects.commit)
            require(self.tables.snapshot() == before, Check.OWNER, "a commit of the epoch before changed the ledger")
        self._forget()
        self._line_up()
        self.begin(opening, died=True)

    def missing(self) -> list[HandlerKnown | LaneKnown]:
        """What this process has not made known yet."""
        handlers = [HandlerKnown(spec) for name, spec in self.specs.items() if name not in self.known.handlers]
        lanes = [LaneKnown(lane) for lane in (LATE_LANE,) if lane.name not in self.known.lanes]
        return [*handlers, *lanes]

    def _forget(self) -> None:
        """What only the owner's memory held is gone; who asked it something hears nothing."""
        self.inbox.clear()
        self.occupancy.forget()
        self.held, self.only = False, 0
        self.known = Known()
        self.world.owner_died()

    def _line_up(self) -> None:
        """A process has its lanes, and most of its handlers, before it opens the ledger."""
        self.lanes.update((lane.name, lane) for lane in (*LANES, LATE_LANE))
        self.known.lanes.update((lane.name, lane) for lane in LANES)
        self.specs = {spec.name: self.dice.choice(VARIANTS.get(spec.name, (spec,))) for spec in HANDLERS}
        early = [spec for spec in self.specs.values() if spec.name != "late" and self.dice.random() < 0.8]
        self.known.handlers.update((spec.name, spec) for spec in early)

    def _visit(self) -> None:
        """A client takes the ledger for what it has to say; it runs nothing and recovers nothing."""
        self.mishaps[Mishap.VISIT] += 1
        self.ledger = self._make_ledger(self.tables)
        self.begin(self.ledger.open_as_client(self.clock.now_us(), "a visitor"), died=False, recover=False)
        self.visitor()
        while self.inbox or self.again:
            self.step(faults=False)
        self.ledger.close()
        self._forget()

    def _probe(self) -> list[Report]:
        silent = self.occupancy.silent(self.engine.running(), self.clock.now_us() - PROBE_US)
        self.mishaps[Mishap.PROBED] += len(silent)
        return [WorkerLost(refs, "the engine does not know it") for refs in silent]

    def _next_us(self) -> int | None:
        times = [self.engine.next_us(), self.wake_us]
        return min((at_us for at_us in times if at_us is not None), default=None)

    def _pass_time(self) -> None:
        now_us, next_us = self.clock.now_us(), self._next_us()
        if self.inbox or self.again:
            self.clock.advance(self.dice.randint(0, 500))
        elif next_us is not None and self.dice.random() < 0.7:
            self.clock.reach(max(next_us, now_us + 1))
        elif next_us is None and self.calm:
            self.clock.advance(PROBE_US)
        else:
            self.clock.advance(int(10 ** (self.dice.random() * 5.5)))
