"""An engine without threads and loop: it runs nothing, and tells by seed and fault plan what its workers would."""

from collections import Counter, deque
from collections.abc import Callable, Container, Mapping, Sequence
from enum import IntEnum
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

import msgspec

from wsaios.kernel.engine import (
    AtHand,
    Attempt,
    AttemptRef,
    Ended,
    Freed,
    Receipt,
    Report,
    Resumed,
    Started,
    Unbegun,
    Verdict,
    Work,
    WorkerLost,
    Yielded,
)
from wsaios.kernel.task import Failure, LaneKind, LaneSpec
from wsaios.simulation.faults import Dice, Fault, FaultPlan
from wsaios.simulation.pipe import Pipe
from wsaios.simulation.script import Answer, Script, fenced_result, together

_GROUP: Final = 3
_PAUSE_US: Final = (1_000, 1_000_000)
_LENT: Final = 6


class Phase(IntEnum):
    """How far a call has come; TOLD means that its end is reported but its slot is still taken."""

    WAITING = 0
    RUNNING = 1
    TOLD = 2
    OVER = 3


class Call(msgspec.Struct, eq=False):
    """A work that a simulated worker has, with what will come of each attempt.

    In every `turn` between two rests it goes on `since_us` for what is left of its span and its time limit.
    """

    work: Work
    attempts: list[Attempt]
    kind: LaneKind
    phase: Phase = Phase.WAITING
    answers: Sequence[Answer] = ()
    named: set[AttemptRef] = msgspec.field(default_factory=set)
    hung: bool = False
    stubborn: bool = False
    rests: bool = False
    turn: int = 0
    since_us: int = 0
    span_us: int | None = None
    limit_us: int | None = None
    quantum_us: int | None = None

    @property
    def thread(self) -> bool:
        """Whether nothing can end it before its time."""
        return self.kind == "thread"

    @property
    def refs(self) -> list[AttemptRef]:
        """The attempts by reference."""
        return [AttemptRef(attempt.task, attempt.fence) for attempt in self.attempts]

    @property
    def takes_us(self) -> int | None:
        """How long it would go on by itself; None: until it is released."""
        spans = [answer.takes_us for answer in self.answers]
        known = [span for span in spans if span is not None]
        return max(known) if len(known) == len(spans) and not self.hung else None


class SimEngine:
    """Workers that a seed makes lose, duplicate, reorder, delay, die, hang and fail.

    The driver hands over works with `take` and asks for what has come with `reports`; `next_us` says when that can be.
    `now_us` must never step back. `lanes` bound how many threads and processes begin at once (None: any lane, and all
    at once); `handlers` are the known ones (None: all).
    """

    def __init__(
        self,
        rng: Random,
        plan: FaultPlan | None = None,
        *,
        script: Script = fenced_result,
        lanes: Mapping[str, LaneSpec] | None = None,
        handlers: Container[str] | None = None,
    ) -> None:
        self._dice = Dice(rng, plan or FaultPlan())
        self._pipe = Pipe(self._dice)
        self._script = script
        self._lanes = lanes
        self._handlers = handlers
        self._number = count()
        self._agenda: list[tuple[int, int, Callable[[Call, int], None], Call]] = []
        self._calls: dict[AttemptRef, Call] = {}
        self._running: dict[Call, None] = {}
        self._seen: set[AttemptRef] = set()
        self._lost: list[Work] = []
        self._queues: dict[str, deque[Call]] = {}
        self._at_work: Counter[str] = Counter()
        self._lent: dict[str, set[str]] = {}
        self._released = False
        self.occupied: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[Fault, int]:
        """How often each fault has happened."""
        return self._dice.counts

    def take(self, works: Sequence[Work], now_us: int) -> list[Receipt]:
        """Take works, one receipt each; what was taken before is accepted and not run twice."""
        return [self._take(work, now_us) for work in works]

    def reports(self, now_us: int) -> list[Report]:
        """What has come by `now_us` since the last call."""
        while self._agenda and self._agenda[0][0] <= now_us:
            at_us, _, step, call = heappop(self._agenda)
            step(call, at_us)
        return self._pipe.receive(now_us)

    def next_us(self) -> int | None:
        """When something happens next, or None when nothing will by itself."""
        times = [self._agenda[0][0] if self._agenda else None, self._pipe.next_us()]
        return min((at_us for at_us in times if at_us is not None), default=None)

    def cancel(self, refs: Sequence[AttemptRef], now_us: int) -> None:
        """Ask to end these; threads and stubborn calls that have begun end by themselves."""
        for ref in refs:
            call = self._calls.get(ref)
            if call is None or call.phase > Phase.RUNNING:
                continue
            call.named.add(ref)
            if len(call.named) < len(call.attempts) or self._dice.roll(Fault.LOSE_CANCEL):
                continue
            if call.phase == Phase.WAITING or not (call.thread or call.stubborn):
                self._end_all(call, now_us, Verdict.CANCELLED, Failure("Cancelled", "its end was asked for"))
                self._leave(call, now_us)

    def preempt(self, refs: Sequence[AttemptRef], now_us: int) -> None:
        """Ask calls of coroutines to yield; those that have not begun do so at once when they do."""
        for ref in refs:
            call = self._calls.get(ref)
            if call is not None and call.kind == "async" and not call.rests and call.phase <= Phase.RUNNING:
                call.quantum_us = 0
                if call.phase == Phase.RUNNING:
                    self._plan(now_us, partial(self._rest, call.turn), call)

    def resume(self, resumed: Sequence[Resumed], now_us: int) -> None:
        """Let calls that yielded go on."""
        for ref, quantum_us in resumed:
            call = self._calls.get(ref)
            if call is not None and call.rests:
                call.rests, call.quantum_us = False, quantum_us
                self.occupied[call.work.lane] += 1
                self._at_work[call.work.lane] += 1
                self._go(call, now_us)

    def bereft(self, now_us: int) -> None:
        """The owner is gone: what waits to be resumed goes on to its end."""
        self.resume([Resumed(call.refs[0], None) for call in self._running if call.rests], now_us)

    def release(self, now_us: int) -> None:
        """Let end what waits for its release, now and from now on."""
        self._released = True
        for call in set(self._calls.values()):
            if call.phase != Phase.WAITING and call.takes_us is None and not call.hung:
                call.span_us = 0
                if not call.rests:
                    self._plan(now_us, self._free if call.phase == Phase.TOLD else self._end, call)

    def calm(self, now_us: int) -> None:
        """No more faults: what was lost or withheld is reported after all, and everything once."""
        self._dice.plan = FaultPlan()
        self._pipe.calm(now_us)
        lost, self._lost = self._lost, []
        for work in lost:
            fresh = self._fresh(work)
            if not fresh:
                continue
            if self._dice.rng.random() < 1 / 2:
                self._admit(work, fresh, now_us)
            else:
                held = [AttemptRef(attempt.task, attempt.fence) for attempt in fresh]
                self._seen.update(held)
                self._pipe.send(WorkerLost(held, "the submission was lost"), now_us)

    def stop(self) -> None:
        """Forget everything; nothing is reported of what was taken before."""
        self._pipe = Pipe(self._dice)
        self._agenda.clear()
        self._lost.clear()
        for part in (self._calls, self._running, self._seen, self._queues, self._at_work, self._lent, self.occupied):
            part.clear()

    def running(self) -> list[AttemptRef]:
        """The attempts that workers have, in the order in which they came."""
        return list(self._calls)

    @property
    def free(self) -> Mapping[str, int]:
        """Free slots per lane."""
        return {name: max(0, spec.slots - self.occupied[name]) for name, spec in (self._lanes or {}).items()}

    @property
    def idle(self) -> bool:
        """Whether nothing runs, is under way, or was lost."""
        return not self._calls and not self._lost and self._pipe.empty

    def _take(self, work: Work, now_us: int) -> Receipt:
        unknown = self._handlers is not None and work.handler not in self._handlers
        late = work.not_after_us is not None and now_us > work.not_after_us
        if unknown or late or not work.attempts or (self._lanes is not None and work.lane not in self._lanes):
            return Receipt.REJECTED
        fresh = self._fresh(work)
        if not fresh:
            return Receipt.ACCEPTED
        if self._dice.roll(Fault.REJECT):
            return Receipt.REJECTED
        if self._dice.roll(Fault.LOSE_SUBMIT):
            self._lost.append(work)
            return self._dice.rng.choice((Receipt.ACCEPTED, Receipt.UNKNOWN))
        self._admit(work, fresh, now_us)
        return Receipt.UNKNOWN if self._dice.roll(Fault.UNKNOWN) else Receipt.ACCEPTED

    def _fresh(self, work: Work) -> list[Attempt]:
        found = {AttemptRef(attempt.task, attempt.fence): attempt for attempt in work.attempts}
        return [attempt for ref, attempt in found.items() if ref not in self._seen]

    def _admit(self, work: Work, attempts: list[Attempt], now_us: int) -> None:
        spec = (self._lanes or {}).get(work.lane)
        call = Call(work, attempts, spec.kind if spec is not None else "async")
        for ref in call.refs:
            self._seen.add(ref)
            self._calls[ref] = call
        self.occupied[work.lane] += 1
        self._queues.setdefault(work.lane, deque()).append(call)
        self._advance(work.lane, now_us)

    def _advance(self, lane: str, now_us: int) -> None:
        queue = self._queues[lane]
        while queue and (queue[0].kind == "async" or self._at_work[lane] < self._slots(lane)):
            self._at_work[lane] += 1
            self._plan(now_us, self._begin, queue.popleft())

    def _slots(self, lane: str) -> int:
        return self._lanes[lane].slots if self._lanes else 1

    def _plan(self, at_us: int, step: Callable[[Call, int], None], call: Call) -> None:
        heappush(self._agenda, (at_us, next(self._number), step, call))

    def _begin(self, call: Call, now_us: int) -> None:
        if call.phase == Phase.OVER:
            return
        call.phase = Phase.RUNNING
        self._running[call] = None
        if call.kind == "async" and call.quantum_us is None:
            call.quantum_us = call.work.quantum_us
        call.answers = together(call.work, [self._answer(call.work, attempt) for attempt in call.attempts])
        call.stubborn = any(answer.stubborn for answer in call.answers)
        for attempt, answer in zip(call.attempts, call.answers, strict=True):
            self._pipe.send(Started(attempt.task, attempt.fence), now_us)
            note = answer.note(attempt)
            if note is not None:
                self._pipe.send(note, now_us)
        limit_us = None if call.work.timeout_s is None else int(call.work.timeout_s * 1_000_000)
        if limit_us is not None and self._dice.roll(Fault.TIME_OUT):
            call.hung = True
            call.stubborn = call.stubborn or self._dice.roll(Fault.STUCK)
        call.span_us = 0 if call.takes_us is None and self._released and not call.hung else call.takes_us
        call.limit_us = limit_us
        self._go(call, now_us)
        if call.kind == "process" and self._dice.roll(Fault.GIVE_BACK):
            self._give_back(call.work.lane, now_us)

    def _go(self, call: Call, now_us: int) -> None:
        """Begin a turn: it ends with the call, its time limit or its quantum."""
        call.turn += 1
        call.since_us = now_us
        span_us, limit_us, quantum_us = call.span_us, call.limit_us, call.quantum_us
        ends_us = min((each for each in (span_us, limit_us) if each is not None), default=None)
        if quantum_us is not None and (ends_us is None or quantum_us < ends_us):
            self._plan(now_us + quantum_us, partial(self._rest, call.turn), call)
        elif limit_us is not None and (span_us is None or span_us > limit_us):
            self._plan(now_us + limit_us, partial(self._in_turn, call.turn, self._time_out), call)
        elif span_us is not None:
            self._plan(now_us + span_us, partial(self._in_turn, call.turn, self._end), call)

    def _in_turn(self, turn: int, step: Callable[[Call, int], None], call: Call, now_us: int) -> None:
        """Take a step unless the turn for which it was planned is over."""
        if call.turn == turn and not call.rests:
            step(call, now_us)

    def _rest(self, turn: int, call: Call, now_us: int) -> None:
        if call.turn != turn or call.rests or call.phase != Phase.RUNNING:
            return
        used_us = now_us - call.since_us
        call.span_us = None if call.span_us is None else max(0, call.span_us - used_us)
        call.limit_us = None if call.limit_us is None else max(0, call.limit_us - used_us)
        call.rests = True
        self.occupied[call.work.lane] -= 1
        self._at_work[call.work.lane] -= 1
        used_up = call.quantum_us is not None and 0 < call.quantum_us <= used_us
        self._pipe.send(Yielded(*call.refs[0], used_up), now_us)

    def recall(self, now_us: int) -> None:
        """Give back what waits beyond the slots."""
        for lane in sorted(self._queues):
            self._shed(lane, now_us)

    def _give_back(self, lane: str, now_us: int) -> None:
        for handler in sorted(self._lent.pop(lane, ())):
            self._pipe.send(AtHand(lane, handler, 0), now_us)
        self._shed(lane, now_us)

    def _shed(self, lane: str, now_us: int) -> None:
        queue = self._queues[lane]
        while queue and self.occupied[lane] > self._slots(lane):
            for ref in queue[-1].refs:
                self._pipe.send(Unbegun(*ref), now_us)
            self._leave(queue[-1], now_us)

    def _answer(self, work: Work, attempt: Attempt) -> Answer:
        usual = self._script(work, attempt)
        if self._dice.roll(Fault.FAIL):
            return Answer(usual.takes_us, Verdict.FAILED, failure=Failure("SimulatedError", "as the dice said"))
        if self._dice.roll(Fault.RETRY_AFTER):
            return Answer(usual.takes_us, Verdict.RETRY_AFTER, retry_after_s=self._dice.rng.random() * 2)
        if self._dice.roll(Fault.GIVE_UP):
            return Answer(usual.takes_us, Verdict.GIVEN_UP, failure=Failure("GiveUp", "as the dice said"))
        return usual

    def _end(self, call: Call, now_us: int) -> None:
        if call.phase != Phase.RUNNING:
            return
        if len(self._running) > 1 and self._dice.roll(Fault.DIE_GROUP):
            others = [other for other in self._running if other is not call]
            group = self._dice.rng.sample(others, min(len(others), self._dice.rng.randint(1, _GROUP)))
            self._die([call, *group], now_us)
        elif self._dice.roll(Fault.CRASH_BATCH if len(call.attempts) > 1 else Fault.DIE):
            self._die([call], now_us)
        else:
            for attempt, answer in zip(call.attempts, call.answers, strict=True):
                self._pipe.send(answer.end(attempt), now_us)
            lane, handler = call.work.lane, call.work.handler
            if call.kind == "process" and self._dice.roll(Fault.LEND):
                self._lent.setdefault(lane, set()).add(handler)
                self._pipe.send(AtHand(lane, handler, self._dice.rng.randint(0, _LENT)), now_us)
            self._leave(call, now_us)

    def _die(self, calls: Sequence[Call], now_us: int) -> None:
        self._pipe.send(WorkerLost([ref for call in calls for ref in call.refs]), now_us)
        for call in calls:
            self._leave(call, now_us)

    def _time_out(self, call: Call, now_us: int) -> None:
        if call.phase != Phase.RUNNING:
            return
        stuck = call.thread or call.stubborn
        failure = Failure("TimedOut", f"it did not end within {call.work.timeout_s or 0.0:g} s")
        self._end_all(call, now_us, Verdict.TIMED_OUT, failure, freed=not stuck)
        if not stuck:
            self._leave(call, now_us)
            return
        call.phase = Phase.TOLD
        del self._running[call]
        if call.hung or call.takes_us is not None:
            self._plan(now_us + self._dice.span_us(*_PAUSE_US), self._free, call)

    def _end_all(self, call: Call, now_us: int, verdict: Verdict, failure: Failure, *, freed: bool = True) -> None:
        for attempt in call.attempts:
            self._pipe.send(Ended(attempt.task, attempt.fence, verdict, failure=failure, freed=freed), now_us)

    def _free(self, call: Call, now_us: int) -> None:
        if call.phase == Phase.TOLD:
            for ref in call.refs:
                self._pipe.send(Freed(ref.task, ref.fence), now_us)
            self._leave(call, now_us)

    def _leave(self, call: Call, now_us: int) -> None:
        lane = call.work.lane
        if call.phase == Phase.WAITING and call in self._queues[lane]:
            self._queues[lane].remove(call)
        elif not call.rests:
            self._at_work[lane] -= 1
        call.phase = Phase.OVER
        self._running.pop(call, None)
        self.occupied[lane] -= not call.rests
        for ref in call.refs:
            del self._calls[ref]
        self._advance(lane, now_us)
