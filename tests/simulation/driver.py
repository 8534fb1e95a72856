"""A thin driver of `Core.step`, like the live loop, on a clock moved by hand and with an owner that may die at any instant."""

from collections import Counter
from enum import StrEnum
from hashlib import blake2b
from random import Random
from typing import Final

import msgspec

from tests.simulation.facts import After
from tests.simulation.invariants import Invariants
from tests.simulation.occupancy import Occupancy
from tests.simulation.red import Check, Red, require
from tests.simulation.scenario import HANDLERS, LANES, LATE_LANE, Scenario
from tests.simulation.small import Known, small_core
from tests.simulation.world import World
from wsaios.kernel.engine import Attempt, Ended, Receipt, Report, Verdict, Work, WorkerLost
from wsaios.kernel.errors import Fenced, LedgerUnavailable, Unacknowledged
from wsaios.kernel.events import Effects, Event, HandlerKnown, Hold, LaneKnown, Only, Reported
from wsaios.kernel.ledger import Committed, Ledger, Opening
from wsaios.kernel.task import Failure, LaneSpec
from wsaios.scheduler.core import Core
from wsaios.simulation.clock import SimClock
from wsaios.simulation.engine import SimEngine
from wsaios.simulation.ledger import CommitFault, SimLedger
from wsaios.simulation.ledger_store import Tables
from wsaios.simulation.script import Answer

_FETCH: Final = -1
_SAID_ONCE: Final = (HandlerKnown, LaneKnown, Hold, Only)
PROBE_US: Final = 2_500_000
"""After how long without a word the engine is asked about an attempt; a delayed report takes less."""


class Mishap(StrEnum):
    """What happens to an owner or to its commits."""

    COMMIT_LOST = "a commit failed and nothing of it was written"
    COMMIT_UNKNOWN = "a commit was written and its word was lost"
    DEATH_IDLE = "the owner died between two steps"
    DEATH_DECIDED = "the owner died before its commit"
    DEATH_COMMITTED = "the owner died between its commit and the acknowledgements"
    DEATH_ACKNOWLEDGED = "the owner died between acknowledging and dispatching"
    DEATH_DISPATCHED = "the owner died in the middle of dispatching"
    ENGINE_DIED = "the workers died with their owner"
    ENGINE_STAYED = "the workers outlived their owner"
    TAKEOVER = "another owner took the ledger"
    PROBED = "an attempt that the engine does not know was reported lost"


_DEATHS: Final = (
    Mishap.DEATH_DECIDED,
    Mishap.DEATH_COMMITTED,
    Mishap.DEATH_ACKNOWLEDGED,
    Mishap.DEATH_DISPATCHED,
)


class OwnerDiedError(Exception):
    """The owner ends here, in the middle of whatever it did."""


class Driver:
    """One seed's ledger, engine, clock and the owners that come and go.

    Streams of chance are apart, so that a change in one part of the scheduler does not change what the others are dealt.
    """

    def __init__(self, seed: int, scenario: Scenario) -> None:
        self.seed = seed
        self.scenario = scenario
        self.clock = SimClock()
        self.tables = Tables()
        self.known = Known()
        self.inbox: list[Event] = []
        self.said: dict[str, Event] = {}
        self.mishaps: Counter[Mishap] = Counter()
        self.steps = 0
        self.calm = False
        self.occupancy = Occupancy()
        self.world = World(Random(f"world {seed}"), scenario, self.clock, self.post)
        self.world.tables = self.tables
        self.invariants = Invariants(self.tables, self.world)
        self._dice = Random(f"driver {seed}")
        self._rng = Random(f"core {seed}")
        self._script_dice = Random(f"script {seed}")
        self.lanes: dict[str, LaneSpec] = {}
        self.engine = SimEngine(Random(f"engine {seed}"), scenario.faults, script=self._script, lanes=self.lanes)
        self.ledger: Ledger = SimLedger(self.tables)
        self._print = blake2b(digest_size=16)
        self._answer: Committed | None = None
        self._written = False
        self.again = True
        self.wake_us: int | None = None
        self._line_up()
        self.core = self._core(self.ledger.open(self.clock.now_us(), "the first owner"), died=True)

    @property
    def fingerprint(self) -> str:
        """A hash of every commit and every effect so far."""
        return self._print.hexdigest()

    @property
    def hears(self) -> bool:
        """Whether the next step takes up what the ledger answered: until then nothing of it may be pruned."""
        return self._answer is not None

    def post(self, event: Event) -> None:
        """Hand an event to the next step."""
        self.inbox.append(event)

    def tell(self, event: Hold | Only | HandlerKnown | LaneKnown) -> None:
        """Say what holds until something else is said; another core of the same process hears it again."""
        if isinstance(event, HandlerKnown):
            self.known.handlers[event.spec.name] = event.spec
        elif isinstance(event, LaneKnown):
            self.known.lanes[event.spec.name] = self.lanes[event.spec.name] = event.spec
        else:
            self.said[type(event).__name__] = event
        self.inbox.append(event)

    def turn(self) -> None:
        """Reports come in, a step is taken when there is a reason for one, and time goes on."""
        now_us = self.clock.now_us()
        if not self.calm and self._dice.random() < self.scenario.death / 4:
            self.die(Mishap.DEATH_IDLE)
        elif not self.calm and self._dice.random() < self.scenario.takeover:
            self.take_over()
        reports = self.engine.reports(now_us)
        if self._dice.random() < 0.1 or not self.next_us():
            reports.extend(self._probe())
        if reports:
            self.inbox.append(Reported(None, reports))
        if self.inbox or self.again or (self.wake_us is not None and self.wake_us <= now_us):
            self.step()
        self._pass_time()

    def step(self) -> None:
        """One step with its commit and its effects, unless the owner dies on the way."""
        death = self._dice.choice(_DEATHS) if not self.calm and self._dice.random() < self.scenario.death else None
        self.steps += 1
        try:
            self._step(death)
        except OwnerDiedError:
            assert death is not None
            self.die(death)

    def next_us(self) -> int | None:
        """When something happens next without anybody doing anything."""
        times = [self.engine.next_us(), self.wake_us]
        return min((at_us for at_us in times if at_us is not None), default=None)

    def die(self, how: Mishap) -> None:
        """The owner dies at once; what it had not committed is gone. Another one starts on the same ledger."""
        self.mishaps[how] += 1
        self.restart(survives=self._dice.random() < self.scenario.engine_survives)

    def restart(self, *, survives: bool) -> None:
        """A new process: nothing is left but the ledger, and perhaps the workers."""
        assert isinstance(self.ledger, SimLedger)
        self.ledger.crash()
        self.mishaps[Mishap.ENGINE_STAYED if survives else Mishap.ENGINE_DIED] += 1
        if not survives:
            self.engine.stop()
        self._line_up()
        self.inbox.clear()
        self.occupancy.forget()
        self.ledger = SimLedger(self.tables)
        self._begin(self.ledger.open(self.clock.now_us(), "the next owner"), died=True)
        self.world.owner_died()

    def take_over(self) -> None:
        """Another owner takes the ledger while this one believes to live: its next commit is refused and changes nothing."""
        self.mishaps[Mishap.TAKEOVER] += 1
        zombie, ledger, events = self.core, self.ledger, self.inbox
        self.tables.owner = ""
        self.ledger = SimLedger(self.tables)
        opening = self.ledger.open(self.clock.now_us(), "the one that took over")
        before = self.tables.snapshot()
        effects = zombie.step(
            [*events, Reported(None, self.engine.reports(self.clock.now_us()))], self.clock.now_us(), self._answer
        )
        if effects.commit.writes():
            try:
                ledger.commit(effects.commit)
            except Fenced:
                pass
            require(
                self.tables.snapshot() == before,
                Check.OWNER,
                "the commit of an owner whose epoch is over changed the ledger",
            )
        self.inbox = []
        self.occupancy.forget()
        self._begin(opening, died=True)
        self.world.owner_died()

    def _line_up(self) -> None:
        """A process has its lanes, and most of its handlers, before it opens the ledger."""
        self.said.clear()
        self.known = Known()
        self.lanes.update((lane.name, lane) for lane in (*LANES, LATE_LANE))
        self.known.lanes.update((lane.name, lane) for lane in LANES)
        early = [spec for spec in HANDLERS if spec.name != "late" and self._dice.random() < 0.8]
        self.known.handlers.update((spec.name, spec) for spec in early)

    def missing(self) -> list[HandlerKnown | LaneKnown]:
        """What this process has not made known yet."""
        handlers = [HandlerKnown(spec) for spec in HANDLERS if spec.name not in self.known.handlers]
        lanes = [LaneKnown(lane) for lane in (LATE_LANE,) if lane.name not in self.known.lanes]
        return [*handlers, *lanes]

    def _begin(self, opening: Opening, *, died: bool) -> None:
        self.world.generation += 1
        self._answer, self.again, self.wake_us = None, True, None
        self.core = self._core(opening, died=died)

    def _core(self, opening: Opening, *, died: bool) -> Core:
        return small_core(self.known, self.scenario, opening, self._rng, died=died)

    def _step(self, death: Mishap | None) -> None:
        events, self.inbox = self.inbox, []
        now_us = self.clock.now_us()
        try:
            effects = self.core.step(events, now_us, self._answer)
        except Exception as error:
            raise Red(Check.STEP, f"{type(error).__name__}: {error}") from error
        self._die_here(death, Mishap.DEATH_DECIDED)
        effects.commit.purge_rows = self.scenario.purge_rows
        self._note(effects)
        try:
            told = self._commit(effects)
        except LedgerUnavailable as error:
            self._rebuild(events, effects, error)
            return
        self.core.committed(effects)
        self.invariants.committed(effects, events)
        self._die_here(death, Mishap.DEATH_COMMITTED)
        self._seat(effects, events)
        self._let_go(effects, told, death)
        self._answer = told if effects.commit.questions or effects.commit.purged else None
        self.again, self.wake_us = effects.again, effects.wake_us
        self.invariants.after(self._after(effects, told, now_us))

    def _commit(self, effects: Effects) -> Committed | None:
        commit = effects.commit
        if not (commit.writes() or commit.questions or commit.fetch):
            return None
        self._written = False
        if not self.calm and commit.writes() and self._dice.random() < self.scenario.commit_fault:
            assert isinstance(self.ledger, SimLedger)
            lost = self._dice.random() < 1 / 2
            self._written = not lost
            self.ledger.fail_next(CommitFault.LOST if lost else CommitFault.APPLIED)
            self.mishaps[Mishap.COMMIT_LOST if lost else Mishap.COMMIT_UNKNOWN] += 1
        try:
            return self.ledger.commit(commit)
        except LedgerUnavailable:
            raise
        except Exception as error:
            raise Red(Check.STEP, f"the commit was refused: {type(error).__name__}: {error}") from error

    def _rebuild(self, events: list[Event], effects: Effects, error: Exception) -> None:
        """As the live loop does it: the core is thrown away, who waited is told that nobody knows, the ledger is read again."""
        waiting = {getattr(event, "token", None) for event in events} | set(self.core.unanswered())
        silent = {reply.token for reply in effects.replies} - waiting
        require(
            not silent,
            Check.ANSWERED,
            "nobody would ever tell {}, whose replies were in the commit that failed",
            silent,
        )
        self.engine.cancel(self.core.held(), self.clock.now_us())
        self.inbox[:0] = self.said.values()
        if self._written:
            self.invariants.committed(effects, events)
        self.invariants.everything()
        opening = self.ledger.reopen(self.clock.now_us())
        old = self.core
        self._begin(opening, died=False)
        self.core.inherit(old)
        self._hear(events)
        for token in sorted(waiting - {None}):
            self.world.answer(token, None, Unacknowledged(str(error)))

    def _let_go(self, effects: Effects, told: Committed | None, death: Mishap | None) -> None:
        for reply in effects.replies:
            self.world.answer(reply.token, reply.value, reply.error)
        self._die_here(death, Mishap.DEATH_ACKNOWLEDGED)
        for ref in effects.cancels:
            self.invariants.leaving.cancel(ref)
        self.engine.cancel(effects.cancels, self.clock.now_us())
        self._dispatch(effects.works, told, death)
        for closed in effects.closed:
            self.invariants.leaving.closed(closed)
        for batch in effects.batches:
            self.invariants.leaving.batch(batch.id)

    def _dispatch(self, works: list[Work], told: Committed | None, death: Mishap | None) -> None:
        cut = self._dice.randint(0, len(works)) if death == Mishap.DEATH_DISPATCHED else len(works)
        running = self.occupancy.taken().total()
        for work in works[:cut]:
            for attempt in work.attempts:
                if attempt.codec == _FETCH and told is not None:
                    _fill(attempt, told)
            self.invariants.leaving.work(work, running)
        now_us = self.clock.now_us()
        for work, receipt in zip(works[:cut], self.engine.take(works[:cut], now_us), strict=True):
            if receipt == Receipt.REJECTED:
                failure = Failure("Rejected", "the engine did not take it")
                ends = [Ended(each.task, each.fence, Verdict.FAILED, failure=failure) for each in work.attempts]
                self.post(Reported(None, list(ends)))
        self._die_here(death, Mishap.DEATH_DISPATCHED)

    def _seat(self, effects: Effects, events: list[Event]) -> None:
        self._hear(events)
        keys = []
        for work in effects.works:
            key = self.tables.shards[self.tables.live[work.attempts[0].task].shard].concurrency_key
            keys.append(key)
            self.occupancy.take(work, key, self.clock.now_us())
        self.occupancy.check_started(effects.works, self.known.lanes, keys)

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Reported):
                self.occupancy.hear(event.reports)

    def _probe(self) -> list[Report]:
        silent = self.occupancy.silent(self.engine.running(), self.clock.now_us() - PROBE_US)
        self.mishaps[Mishap.PROBED] += len(silent)
        return [WorkerLost(refs, "the engine does not know it") for refs in silent]

    def _die_here(self, death: Mishap | None, place: Mishap) -> None:
        if death == place:
            raise OwnerDiedError

    def _after(self, effects: Effects, told: Committed | None, now_us: int) -> After:
        hold, only = self.said.get("Hold"), self.said.get("Only")
        held = isinstance(hold, Hold) and hold.held
        number = only.batch if isinstance(only, Only) else 0
        return After(
            self.core, effects, told, self.tables, self.engine, self.known, self.occupancy, now_us, held, number
        )

    def _note(self, effects: Effects) -> None:
        """Every commit goes into the fingerprint; tokens and ids in it make it tell any two runs apart."""
        self._print.update(msgspec.json.encode((effects.commit, effects.works, effects.cancels, effects.wake_us)))

    def _pass_time(self) -> None:
        dice, now_us = self._dice, self.clock.now_us()
        next_us = self.next_us()
        if self.inbox or self.again:
            self.clock.advance(dice.randint(0, 500))
        elif next_us is not None and dice.random() < 0.7:
            self.clock.reach(max(next_us, now_us + 1))
        elif next_us is None and self.calm:
            self.clock.advance(PROBE_US)
        else:
            self.clock.advance(int(10 ** (dice.random() * 5.5)))

    def _script(self, work: Work, attempt: Attempt) -> Answer:
        """A handler that takes some time, may save and may be stubborn, and says which attempt its result is from."""
        dice = self._script_dice
        saved = msgspec.json.encode((attempt.task, attempt.fence)) if dice.random() < 0.1 else None
        return Answer(
            takes_us=dice.randint(0, self.scenario.longest_us),
            result=msgspec.json.encode((attempt.task, attempt.fence)),
            stubborn=dice.random() < 0.1,
            fraction=dice.random() if dice.random() < 0.1 else None,
            saved=saved,
        )


def _fill(attempt: Attempt, told: Committed) -> None:
    payload = told.payloads[attempt.task]
    attempt.codec, attempt.payload = payload.codec, payload.data
    saved = told.saved.get(attempt.task)
    attempt.saved = saved.data if saved is not None else None
