"""CPU-bound functions in worker processes that stay warm."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from wsaios.engines.local.failures import message_of
from wsaios.engines.local.outcomes import failed, stopped
from wsaios.engines.local.pace import AHEAD_US, MOST_AHEAD, Pace
from wsaios.engines.local.process.attendant import Attendant
from wsaios.engines.local.process.place import place_of
from wsaios.engines.local.process.wire import Answer, Back, Begun, End, Event, Logged, Over, Place, Said, Up
from wsaios.engines.local.process.worker import Worker
from wsaios.engines.local.register import Register
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Ended, Noted, Verdict
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import LaneSpec

_STALL_S: Final = 0.01
_WAKE_S: Final = 0.001
_PATIENCE_S: Final = 0.1
_START_S: Final = 60.0


class ProcessLane:
    """Workers that are started as works come, up to the number of the lane, and answer each work before the next.

    One is started when all are at work, and one that has had nothing to do for `idle_s` ends, down to `least`.

    A worker that dies takes one work with it: the one at work. Works behind it had not begun and go to another worker.
    What has used up its time, or was cancelled, is told so, and its worker is killed after `grace_s`.
    """

    def __init__(self, spec: LaneSpec, register: Register, max_result_bytes: int, grace_s: float) -> None:
        self.slots = spec.slots
        self._spec = spec
        self._most = spec.processes.count or spec.slots
        self._register = register
        self._max_result_bytes = max_result_bytes
        self._grace_s = grace_s
        self._queue: deque[Run] = deque()
        self._workers: list[Worker] = []
        self._dying: list[Worker] = []
        self._places: dict[str, Place] = {}
        self._pace = Pace(spec, self._most)
        self._attendant: Attendant | None = None
        self._buried = register.mailbox(self._lay_to_rest)
        self._occupied = 0
        self._longer: dict[str, bool] = {}
        self._feeding = False
        self._stall: asyncio.TimerHandle | None = None
        self._late: asyncio.TimerHandle | None = None
        self._wait: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False
        self._trouble = ""
        self.stuck = 0

    @property
    def free(self) -> int:
        """How many slots are free."""
        return max(0, self.slots - self._occupied)

    @property
    def pids(self) -> list[int]:
        """The processes at hand."""
        return [worker.body.process.pid for worker in self._workers]

    def begin(self, run: Run) -> bool:
        """Take a work; it fails at once when there is no worker and none can be started."""
        self._occupied += 1
        run.ahead = 0 < self._occupied - self.slots <= self._pace.rows(run.handler.name)
        if not self._workers and not self._dying and not self._start():
            self._fail(run)
            return True
        self._queue.append(run)
        self._soon()
        return True

    def cancel(self, run: Run) -> None:
        """Take a work back that has not begun; tell one that has, and kill its worker if that does not help."""
        if run.cancelled:
            return
        run.cancelled = True
        worker = self._holder(run)
        if worker is None:
            self._finish(run, stopped(run, run.attempts))
        elif worker.first is run:
            worker.cancel()
            self._register.deadlines.arm(run, self._grace_s)
        else:
            worker.recall()

    def recall(self) -> None:
        """Give back what waits beyond the slots, the latest first, but nothing that a worker has."""
        self._take_back("", 0)

    def _take_back(self, name: str, most: int) -> None:
        """What waits beyond the slots and so many more, unbegun: all, or of one handler what was taken ahead."""
        queue, self._queue = self._queue, deque()
        while queue:
            run = queue.pop()
            wanted = not name or (run.ahead and run.handler.name == name)
            if run.closed or self._occupied <= self.slots + most or not wanted:
                self._queue.appendleft(run)
            else:
                self._occupied -= 1
                self._register.lose(run, None)

    def _compare(self) -> None:
        """Take back what was handed out as shorter than it turned out to be."""
        names, self._longer = self._longer, {}
        for name in names:
            self._take_back(name, self._pace.rows(name))

    async def checkpoint(self, run: Run) -> None:
        """Nothing: what runs here is no coroutine."""

    def overdue(self, run: Run) -> None:
        """Tell a work that its time is over; the second time, kill its worker."""
        worker = self._holder(run)
        if worker is not None and not worker.dead:
            worker.read()
        timeout_s = run.work.timeout_s
        if run.closed or (worker is not None and worker.dead):
            return
        if run.cancelled:
            if worker is not None and worker.first is run:
                worker.kill()
            return
        if timeout_s is None:
            return
        # The time runs from the beginning of the call: for a work that waited, or whose module had to be imported,
        # that is later than it was armed.
        left_s = run.begun_s + timeout_s - time.monotonic() if run.begun_s else max(timeout_s, 2 * _WAKE_S)
        if left_s > _WAKE_S:
            self._register.deadlines.arm(run, left_s)
            return
        run.overdue = run.cancelled = True
        if worker is not None:
            worker.cancel()
        self._register.deadlines.arm(run, self._grace_s)

    async def stop(self, wait_s: float) -> None:
        """Tell what runs, let the workers go, wait `wait_s` at most for them, and kill those that stay."""
        self._closed = True
        for timer in (self._stall, self._late, self._wait, self._idle):
            if timer is not None:
                timer.cancel()
        self._queue.clear()
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()
        loop = self._register.loop
        over: asyncio.Future[None] = loop.create_future()

        def told() -> None:
            # A loop that is closed meanwhile has nobody waiting.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, over)

        if self._attendant is not None:
            self._attendant.stop([worker.body for worker in workers], wait_s, told)
            await over

    def _holder(self, run: Run) -> Worker | None:
        for worker in (*self._workers, *self._dying):
            if any(held is run for _, held in worker.held):
                return worker
        return None

    def _start(self) -> Worker | None:
        try:
            if self._attendant is None:
                self._attendant = Attendant(self._spec.name)
            worker = Worker(self._register.loop, self._spec, self._max_result_bytes, self._hear)
        except Exception as error:  # noqa: BLE001  # what is wrong with one lane must not end the others
            self._trouble = message_of(error)
            self._register.warn("a worker process could not be started", lane=self._spec.name, reason=self._trouble)
            return None
        self._workers.append(worker)
        self._attendant.watch(worker.body)
        return worker

    def _soon(self) -> None:
        """Feed once for all that comes in this round of the loop."""
        if not self._feeding:
            self._feeding = True
            self._register.loop.call_soon(self._feed)

    def _feed(self) -> None:
        self._feeding = False
        if self._closed:
            return
        queue, given = self._queue, set()
        while queue:
            run = queue[0]
            if run.closed:
                queue.popleft()
                continue
            usual_us = self._pace.usual_us(run.handler.name) * len(run.attempts)
            worker = self._next(usual_us)
            if worker is None:
                break
            queue.popleft()
            try:
                worker.give(run, self._place(run), usual_us)
            except InvalidInput as error:
                self._finish(run, failed(run.attempts, "InvalidInput", str(error), for_good=True))
                continue
            given.add(worker)
            if self._late is None and run.handler.name not in worker.loaded:
                self._late = self._register.loop.call_later(self._spec.processes.import_s, self._end_late)
        for worker in given:
            worker.send()
        if self._stall is None and any(len(worker.held) > 1 for worker in given):
            self._stall = self._register.loop.call_later(_STALL_S, self._look)
        if self._wait is None and self._pace.lends and self._occupied > self.slots:
            self._wait = self._register.loop.call_later(_PATIENCE_S, self._give_back)

    def _next(self, usual_us: float) -> Worker | None:
        """Who takes the next work: an idle worker, a new one, or one whose works are over in no time."""
        best: Worker | None = None
        for worker in self._workers:
            if not worker.open:
                continue
            if not worker.held:
                return worker
            if (
                worker.answered
                and worker.expected_us + usual_us <= AHEAD_US
                and len(worker.held) < MOST_AHEAD
                and (best is None or worker.expected_us < best.expected_us)
            ):
                best = worker
        if len(self._workers) + len(self._dying) < self._most and (started := self._start()):
            return started
        if not self._workers and not self._dying:
            self._fail_all()
        return best

    def _look(self) -> None:
        """Take back what waits behind a call that takes longer than its like did."""
        self._stall = None
        now_s = time.monotonic()
        for worker in self._workers:
            if len(worker.held) > 1 and now_s - worker.since_s >= _STALL_S:
                self._pace.takes_long(worker.held[0][1].handler.name)
                worker.recall()
        if any(len(worker.held) > 1 for worker in self._workers):
            self._stall = self._register.loop.call_later(_STALL_S, self._look)

    def _give_back(self) -> None:
        """Give back what waits beyond the slots when no worker gets any further: it is not running, and said to be."""
        self._wait = None
        if not self._queue or self._occupied <= self.slots:
            return
        now_s = time.monotonic()
        left_s = max((worker.since_s for worker in self._workers), default=0.0) + _PATIENCE_S - now_s
        if left_s > 0:
            self._wait = self._register.loop.call_later(max(_WAKE_S, left_s), self._give_back)
            return
        self._register.report(self._pace.stands())
        self.recall()

    def _end_late(self) -> None:
        """Kill what has been importing for too long: nothing inside such a process would end it."""
        for worker in list(self._workers):
            # It may have told meanwhile.
            worker.read()
        if self._late is not None:
            self._late.cancel()
        self._late, left_s = None, []
        for worker in self._workers:
            limit_s = self._spec.processes.import_s
            if not worker.up:
                limit_s = max(limit_s, _START_S)
            over_s = worker.since_s + limit_s
            if worker.importing is not None and over_s - time.monotonic() < _WAKE_S:
                worker.end_import(limit_s)
            elif any(run.handler.name not in worker.loaded for _, run in worker.held):
                left_s.append(over_s - time.monotonic())
        if left_s:
            self._late = self._register.loop.call_later(max(_WAKE_S, min(left_s)), self._end_late)

    def _hear(self, worker: Worker, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if type(answer) is Over:
                self._over(worker, answer)
            elif type(answer) is Said:
                self._said(answer)
            elif type(answer) is Begun:
                worker.begins(answer.seq)
            elif type(answer) is Up:
                worker.up, worker.since_s = True, time.monotonic()
                self._register.loop.call_soon(self._end_late)
            elif type(answer) is Back:
                self._return(worker.back(answer.begun))
            elif isinstance(answer, (Logged, Event)) and self._attendant is not None:
                self._attendant.log(answer)
        if worker.dead and worker in self._workers:
            self._bury(worker)
        elif self._queue:
            self._feed()

    def _bury(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._dying.append(worker)
        if self._attendant is not None:
            self._attendant.bury(worker.body, lambda: self._buried.post(worker))

    def _see_idle(self, after_s: float) -> None:
        if self._spec.processes.idle_s and not self._closed:
            self._idle = self._register.loop.call_later(max(_WAKE_S, after_s), self._shrink)

    def _shrink(self) -> None:
        """End workers that had nothing to do for as long as that may be, the longest idle first."""
        self._idle, now_s, idle_s = None, time.monotonic(), self._spec.processes.idle_s
        idle = sorted(
            (worker for worker in self._workers if worker.open and not worker.held), key=lambda each: each.since_s
        )
        for worker in idle[: max(0, len(self._workers) - self._spec.processes.least)]:
            left_s = worker.since_s + idle_s - now_s
            if left_s > _WAKE_S:
                self._see_idle(left_s)
                return
            worker.close()
            self._bury(worker)

    def _over(self, worker: Worker, over: Over) -> None:
        if not worker.held or worker.held[0][0] != over.seq:
            return
        _, run = worker.held.popleft()
        worker.answered = True
        worker.since_s = time.monotonic()
        name, rows = run.handler.name, len(run.attempts)
        each_us = over.spent_us / rows
        spent_us = self._pace.usual_us(name) * rows
        worker.expected_us = 0.0 if not worker.held else max(0.0, worker.expected_us - spent_us)
        # Without its import it was no call.
        before = self._pace.rows(name)
        changed = self._pace.took(name, each_us) if name in worker.loaded else None
        if changed is not None:
            self._register.report([changed])
            if changed.rows < before:
                if not self._longer:
                    self._register.loop.call_soon(self._compare)
                self._longer[name] = True
        self._finish(run, stopped(run, run.attempts) if run.overdue else [_ended(end) for end in over.ends])
        if over.tired:
            worker.tired = True
            self._return(worker.back(over.seq))
            worker.close()
        elif not worker.held and self._idle is None and len(self._workers) > self._spec.processes.least:
            self._see_idle(self._spec.processes.idle_s)

    def _return(self, runs: list[Run]) -> None:
        """Put works back at the head of the queue, except those whose end is asked for."""
        for run in reversed(runs):
            if run.cancelled:
                self._finish(run, stopped(run, run.attempts))
            else:
                self._queue.appendleft(run)
        self._soon()

    def _said(self, said: Said) -> None:
        running = self._register.running
        notes = []
        for task, fence, fraction, note, saved, used in said.notes:
            run = running.get((task, fence))
            if run is not None and not run.told:
                notes.append(Noted(task, fence, fraction, note, saved, used))
        self._register.report(notes)

    def _lay_to_rest(self, worker: Worker) -> None:
        """A worker is gone: what it was doing is lost, what stood behind that goes to another one."""
        self._dying.remove(worker)
        begun, runs, place = worker.begun, [run for _, run in worker.held], worker.importing
        worker.held.clear()
        if begun:
            run = runs.pop(0)
            if run.cancelled:
                self._finish(run, stopped(run, run.attempts))
            elif worker.late and place is not None:
                self._finish(run, failed(run.attempts, "ImportTooLong", worker.late))
            else:
                self._occupied -= 1
                when = "" if worker.answered else " before it had ended a call"
                if place is not None:
                    when = f" before it had imported {place.what}"
                self._register.lose(run, worker.body.told() + when)
        self._return(runs)

    def _fail_all(self) -> None:
        runs, self._queue = self._queue, deque()
        for run in runs:
            self._fail(run)

    def _fail(self, run: Run) -> None:
        self._finish(run, failed(run.attempts, "NoWorker", f"no worker process could be started: {self._trouble}"))

    def _place(self, run: Run) -> Place:
        name = run.handler.name
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = place_of(name, run.handler.function)
        return place

    def _finish(self, run: Run, ended: list[Ended]) -> None:
        if not run.closed:
            self._occupied -= 1
            self._register.finish(run, ended)


def _settle(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


def _ended(end: End) -> Ended:
    return Ended(end.task, end.fence, Verdict(end.verdict), end.result, end.failure, end.retry_after_s)
