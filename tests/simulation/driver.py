"""A thin driver of the core, like the live loop: an inbox, commits in their order, effects that leave after them."""

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Final

import msgspec

from tests.simulation.alarms import LANGUAGES, Alarms, Law
from tests.simulation.facts import After
from tests.simulation.handlers import Handlers
from tests.simulation.invariants import Invariants
from tests.simulation.limits import Limited
from tests.simulation.mishaps import Mishap, OwnerDiedError
from tests.simulation.occupancy import Occupancy
from tests.simulation.purpose import Purpose
from tests.simulation.red import Check, Red, require
from tests.simulation.scenario import Scenario
from tests.simulation.small import Known, small_core
from tests.simulation.world import World
from wsaios.kernel.engine import Attempt, Ended, Receipt, Report, Verdict, Work, Yielded
from wsaios.kernel.errors import Fenced, LedgerBroken, LedgerUnavailable, Unacknowledged
from wsaios.kernel.events import Effects, Event, HandlerKnown, Hold, LaneKnown, Only, Reported
from wsaios.kernel.ledger import Commit, Committed, Ledger, Opening, Question
from wsaios.kernel.states import State
from wsaios.kernel.task import Failure, LaneSpec, effective
from wsaios.scheduler.core import Core
from wsaios.simulation.clock import SimClock
from wsaios.simulation.engine import SimEngine
from wsaios.simulation.ledger_store import Tables

_FETCH: Final = -1
Standing = Hold | Only | HandlerKnown | LaneKnown


class Flight:
    """A commit that is made or on its way; works before `decided` were decided before the last events came in."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.takes = 0
        self.decided = 0
        self.now_us = 0
        self.effects = Effects(Commit(0, 0))
        self.write: Callable[[], Committed] | None = None

    def land(self) -> Committed | None:
        """Have the ledger write it."""
        return None if self.write is None else self.write()


class Driver:
    """One owner at work, and the owner may die between any two things that it does.

    Streams of chance are apart: what one part of the scheduler asks of them does not change what others are dealt.
    """

    def __init__(self, seed: int, scenario: Scenario, ledger: Ledger, tables: Tables) -> None:
        self.scenario = scenario
        self.clock = SimClock()
        self.tables = tables
        self.ledger = ledger
        self.known = Known()
        self.lanes: dict[str, LaneSpec] = {}
        self.held = False
        self.only = 0
        self.inbox: list[Event] = []
        self._together = 1
        self.steps = 0
        self.stale = 0
        self.occupancy = Occupancy()
        self.limited = Limited(tables)
        self.world = World(Random(f"world {seed}"), scenario, self.clock, self.post)
        self.world.tables = tables
        self.invariants = Invariants(tables, self.world)
        self.purpose = Purpose(tables, LANGUAGES if scenario.alarmed else None)
        self.alarms = Alarms(self.world, self.purpose)
        self.law = Law(tables)
        self.dice = Random(f"driver {seed}")
        self.again = True
        self.next = Flight()
        self.met: Counter[str] = Counter()
        self.wake_us: int | None = None
        self._rng = Random(f"core {seed}")
        script = Handlers(Random(f"script {seed}"), scenario.longest_us)
        self.engine = SimEngine(Random(f"engine {seed}"), scenario.faults, script=script, lanes=self.lanes)
        self._print = blake2b(digest_size=16)
        self._answers: list[Committed] = []
        self._asked: list[Question] = []
        self._visiting = False
        self.core: Core

    @property
    def fingerprint(self) -> str:
        """A hash of every commit and every effect so far."""
        return self._print.hexdigest()

    @property
    def hears(self) -> bool:
        """Whether the next step takes up what the ledger answered: until then nothing of it may be pruned."""
        return bool(self._answers) or self.core.drafting

    def post(self, event: Event) -> None:
        """Hand an event to the next step."""
        self.inbox.append(event)

    def begin(self, opening: Opening, *, died: bool, recover: bool = True) -> None:
        """Go on with a new core over what the ledger says."""
        self.world.generation += 1
        if self.world.generation > 1:
            self.stale += self.core.book.counts["stale"]
        self._answers, self._asked, self.again, self.wake_us = [], [], True, None
        self._visiting = not recover
        self.next = Flight()
        hub = self.purpose.hub(opening, died=died) if recover else None
        self.core = small_core(self.known, self.scenario, opening, self._rng, hub, died=died)

    def step(self, death: Mishap | None = None, *, faults: bool = True) -> None:
        """Decide, commit, let go; sometimes more comes in while the commit is on its way, or another one follows it.

        Raises:
            OwnerDiedError: the owner died at the place that `death` names.
            Red: a check failed.
        """
        self.steps += 1
        # What changes the checks' own knowledge waits until everything that was decided before it has left.
        decides_before = self.core.drafting or len(self._answers) > 1
        self._take(self._until_told() if decides_before else self._gathered())
        flights = [self._launch()]
        die_here(death, Mishap.DEATH_DECIDED)
        if not self._visiting and not flights[0].effects.alone and self.dice.random() < self.scenario.overlap:
            self._meanwhile(flights)
        did = any(_did(flight.effects) for flight in flights)
        while flights:
            flight = flights[0]
            written = self.fault(flight.effects) if faults else None
            try:
                told = flight.land()
            except LedgerUnavailable as error:
                self._rebuild(flights, error, written=written is not False)
                return
            except (Fenced, LedgerBroken) as error:
                raise Red(Check.STEP, f"the commit was refused: {type(error).__name__}: {error}") from error
            self._arrive(flights.pop(0), told, death)
        if self.core.drafting:
            self.again = True
        elif not self._visiting:
            self.invariants.after(self._after(flight, did=did))
            self.purpose.check()
            self.law.after(flight.now_us)

    def _written(self, flight: Flight) -> None:
        """A commit is durable: what it says is looked at."""
        self.invariants.committed(flight.effects, flight.events)
        commit = flight.effects.commit
        for number in self.law.committed(commit, flight.events, flight.now_us, takes=flight.takes):
            self.world.accepted[number] = None

    def _take(self, events: list[Event]) -> None:
        """Half a step. What was decided before is not held against what came in only now."""
        self.next.events += events
        self.next.takes += 1
        self.next.now_us = self.clock.now_us()
        answers, self._answers, self._asked = self._answers, [], []
        try:
            for answer in answers[:-1]:
                self.core.take((), self.next.now_us, answer)
            self.next.decided = len(self.core.book.effects.works) if self.core.drafting else 0
            self.core.take(events, self.next.now_us, answers[-1] if answers else None)
        except Exception as error:
            raise Red(Check.STEP, f"{type(error).__name__}: {error}") from error

    def _launch(self) -> Flight:
        """The other half: the commit is taken down, and nothing that comes later may change it."""
        flight, self.next = self.next, Flight()
        try:
            flight.effects = effects = self.core.finish()
            effects.commit.purge_rows = self.scenario.purge_rows
            # Ids and times in it tell any two runs apart.
            self._print.update(msgspec.json.encode((effects.commit, effects.works, effects.cancels, effects.wake_us)))
            commit = effects.commit
            if commit.writes() or commit.questions or commit.fetch:
                flight.write = self.ledger.prepare(commit)
        except Exception as error:
            raise Red(Check.STEP, f"{type(error).__name__}: {error}") from error
        self.core.handed(effects)
        return flight

    def _meanwhile(self, flights: list[Flight]) -> None:
        """The commit is on its way, and more comes in."""
        for _ in range(self.dice.randint(1, 2)):
            self.crowd()
            self.clock.advance(self.dice.randint(0, 500))
            reports = self.engine.reports(self.clock.now_us())
            if reports:
                self.inbox.append(Reported(None, reports))
            events = self._until_told()
            self._take(events)
            self.met["taken in during a commit"] += bool(events)
        if not flights[0].effects.alone and self.dice.random() < 1 / 2:
            flights.append(self._launch())
            self.met["a commit behind another one"] += 1

    def _arrive(self, flight: Flight, told: Committed | None, death: Mishap | None) -> None:
        """A commit is durable."""
        effects = flight.effects
        self.core.committed(effects)
        self._written(flight)
        self.limited.committed(effects.works, self.known.handlers)
        die_here(death, Mishap.DEATH_COMMITTED)
        self._seat(flight)
        self._let_go(effects, told, death)
        if effects.again:
            assert told is not None
            self._answers.append(told)
            self._asked += effects.commit.questions
        self.again, self.wake_us = bool(self._answers or self.inbox), self.core.wake_us()

    def crowd(self) -> None:
        """Somebody may say something while a commit is on its way."""
        raise NotImplementedError

    def fault(self, effects: Effects) -> bool | None:
        """Have the commit fail: True, all of it is written; False, nothing is; None, it does not fail."""
        raise NotImplementedError

    def _gathered(self) -> list[Event]:
        """What has come in; sometimes only the older part of it."""
        cut = len(self.inbox)
        if cut > 1 and self.dice.random() < self.scenario.split:
            cut = max(self._together, self.dice.randint(1, cut))
        self._together = 1
        events, self.inbox = self.inbox[:cut], self.inbox[cut:]
        for event in events:
            if isinstance(event, HandlerKnown):
                self.known.handlers[event.spec.name] = event.spec
            elif isinstance(event, LaneKnown):
                self.known.lanes[event.spec.name] = self.lanes[event.spec.name] = event.spec
            elif isinstance(event, Hold):
                self.held = event.held
            elif isinstance(event, Only):
                self.only = event.batch
        return events

    def _until_told(self) -> list[Event]:
        """The events up to one that changes what the checks must know of handlers, lanes and holds."""
        inbox = self.inbox
        cut = next((place for place, event in enumerate(inbox) if isinstance(event, Standing)), len(inbox))
        events, self.inbox = inbox[:cut], inbox[cut:]
        return events

    def _rebuild(self, flights: list[Flight], error: Exception, *, written: bool) -> None:
        """As the live loop does it: who waited is told that nobody knows, and the ledger is read again.

        The first of `flights` failed, so those behind it did not take place.
        """
        events = [event for flight in (*flights, self.next) for event in flight.events]
        asked = {getattr(event, "token", None) for event in events} | set(self.core.unanswered())
        waiting = {token for token in asked if isinstance(token, int)}
        replies = {reply.token for flight in flights for reply in flight.effects.replies}
        silent = sorted(replies - waiting)
        require(not silent, Check.ANSWERED, "nobody would tell {}, whose replies were in the failed commit", silent)
        if written:
            self._written(flights[0])
        self.invariants.everything()
        old = self.core
        self.begin(self.ledger.reopen(self.clock.now_us()), died=False)
        heard = [report for event in events if isinstance(event, Reported) for report in event.reports]
        coming = [report for event in self.inbox if isinstance(event, Reported) for report in event.reports]
        self.core.inherit(old, [flight.effects for flight in flights], reports=[*heard, *coming])
        alive = self.core.heritage.alive
        rows = (self.tables.live.get(number) for number, _ in alive)
        self.met["a call runs on through a rebuild"] += sum(
            row is not None and row.state == State.RUNNING and (row.id, row.fence) in alive for row in rows
        )
        self._hear(events)
        again = Reported(None, [report for report in heard if not isinstance(report, Yielded)])
        standing: list[Event] = [Hold(self.held), Only(self.only), again]
        self.inbox[:0] = standing
        # A core that is built anew hears all that holds on in its first step, as from the live loop.
        self._together = len(standing)
        for token in sorted(waiting):
            self.world.answer(token, None, Unacknowledged(str(error)))

    def _let_go(self, effects: Effects, told: Committed | None, death: Mishap | None) -> None:
        for reply in effects.replies:
            self.world.answer(reply.token, reply.value, reply.error)
        die_here(death, Mishap.DEATH_ACKNOWLEDGED)
        for ref in effects.cancels:
            self.invariants.leaving.cancel(ref)
        self.engine.cancel(effects.cancels, self.clock.now_us())
        self.engine.preempt(effects.preempts, self.clock.now_us())
        self.engine.resume(effects.resumes, self.clock.now_us())
        self._dispatch(effects.works, told, death)
        if effects.recalls:
            self.engine.recall(self.clock.now_us())
        for closed in effects.closed:
            self.invariants.leaving.closed(closed)
            self.world.watch(closed)
        for batch in effects.batches:
            self.invariants.leaving.batch(batch.id)

    def _dispatch(self, works: list[Work], told: Committed | None, death: Mishap | None) -> None:
        cut = self.dice.randint(0, len(works)) if death == Mishap.DEATH_DISPATCHED else len(works)
        running = self.occupancy.taken().total()
        now_us = self.clock.now_us()
        for work in works[:cut]:
            for attempt in work.attempts:
                if attempt.codec == _FETCH and told is not None:
                    _fill(attempt, told)
            self.invariants.leaving.work(work, self.known.handlers[work.handler], running, now_us)
        for work, receipt in zip(works[:cut], self.engine.take(works[:cut], now_us), strict=True):
            if receipt == Receipt.REJECTED:
                failure = Failure("Rejected", "the engine did not take it")
                ends: list[Report] = [
                    Ended(each.task, each.fence, Verdict.FAILED, failure=failure) for each in work.attempts
                ]
                self.post(Reported(None, ends))
        die_here(death, Mishap.DEATH_DISPATCHED)

    def _seat(self, flight: Flight) -> None:
        self._hear(flight.events)
        self.met["a call gives its slot away"] += self.occupancy.yielded
        self.met["a call goes on"] += len(flight.effects.resumes)
        self.met["a call is asked to make room"] += len(flight.effects.preempts)
        self.occupancy.resume(flight.effects.resumes)
        keys = []
        for work in flight.effects.works:
            row = self.tables.live.get(work.attempts[0].task)
            require(row is not None, Check.EFFECTS, "{} leaves and does not live", work)
            assert row is not None
            shard = self.tables.shards[row.shard]
            keys.append(shard.concurrency_key)
            options = effective(row.body.options, self.known.handlers[work.handler].options)
            self.occupancy.take(work, shard, options.resources, self.clock.now_us())
            slots, rows = self.known.lanes[work.lane].slots, self.known.handlers[work.handler].batch_size
            lasting = all(self.tables.live[each.task].expires_us is None for each in work.attempts)
            self.met["a work beyond the slots"] += self.occupancy.check_room(work, slots, rows, lasting=lasting)
        self.occupancy.check_started(keys)
        self.limited.started(flight.effects.works, self.occupancy, flight.now_us)

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Reported):
                self.occupancy.hear(event.reports)
                self.limited.hear(event.reports)

    def _after(self, flight: Flight, *, did: bool) -> After:
        return After(
            self.core,
            flight.effects,
            flight.effects.works[flight.decided :],
            list(self._asked),
            bool(self._answers),
            did,
            self.tables,
            self.engine,
            self.known,
            self.occupancy,
            self.limited,
            flight.now_us,
            self.scenario,
            self.held,
            self.only,
        )


def _did(effects: Effects) -> bool:
    """Whether a step did anything at all."""
    return bool(effects.commit.writes() or effects.commit.questions or effects.replies or effects.works)


def die_here(death: Mishap | None, place: Mishap) -> None:
    """The owner ends, when this is the place.

    Raises:
        OwnerDiedError: it is.
    """
    if death == place:
        raise OwnerDiedError


def _fill(attempt: Attempt, told: Committed) -> None:
    payload = told.payloads[attempt.task]
    attempt.codec, attempt.payload = payload.codec, payload.data
    saved = told.saved.get(attempt.task)
    attempt.saved = saved.data if saved is not None else None
