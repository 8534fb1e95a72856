"""Plain functions in daemon threads of the lane's own."""

import asyncio
import contextvars
import threading
import time
from queue import SimpleQueue

from wsaios.engines.local.arguments import Arguments
from wsaios.engines.local.batch_call import BatchCall
from wsaios.engines.local.forks import Unforked
from wsaios.engines.local.outcomes import raised, returned, stopped
from wsaios.engines.local.pace import Pace
from wsaios.engines.local.register import Register
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Ended, Freed
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.task import LaneSpec

_WAKE_S = 0.001
_PATIENCE_S = 0.1
_IDLE_S = 60.0


class ThreadLane:
    """A pool that grows to its slots as works come, and starts them in the order in which they came.

    Threads that a minute had no use for leave, down to one.

    A thread that outlives the time of its work is stuck. Up to `max_stuck` of them are replaced; when such a one comes
    back after all, one thread leaves.

    Short calls may wait beyond the slots, as many as one thread gets through in no time: the interpreter runs one at a
    time, however many threads there are.
    """

    def __init__(
        self, spec: LaneSpec, register: Register, writer: JsonWriter, base: contextvars.Context, max_stuck: int | None
    ) -> None:
        self._name = spec.name
        self.slots = spec.slots
        self._max_stuck = spec.slots if max_stuck is None else max_stuck
        self._register = register
        self._writer = writer
        self._arguments = Arguments(register.contexts, writer)
        self._base = base
        self._unforked = Unforked()
        self._queue: SimpleQueue[Run | None] = SimpleQueue()
        self._waiting: dict[Run, bool] = {}
        self._over = register.mailbox(self._finish)
        self._pace = Pace(spec, 1)
        self._patience: asyncio.TimerHandle | None = None
        self._moved_s = 0.0
        self._longer: dict[str, bool] = {}
        self._most = 0
        self._shrinking: asyncio.TimerHandle | None = None
        self._threads = 0
        self._occupied = 0
        self._replaced = 0
        self._warned = False
        self.stuck = 0

    @property
    def free(self) -> int:
        """How many slots are free."""
        return max(0, self.slots - self._occupied)

    def begin(self, run: Run) -> bool:
        """Hand a work to the threads; False when there is no thread and none can be started."""
        usable = self._threads - self._replaced
        if usable < self.slots and usable <= self._occupied and not self._start_thread() and not usable:
            return False
        self._occupied += 1
        run.ahead = 0 < self._occupied - self.slots <= self._pace.rows(run.handler.name)
        self._most = max(self._most, self._occupied)
        self._waiting[run] = True
        self._queue.put(run)
        if self._patience is None and self._pace.lends and self._occupied > self.slots:
            self._moved_s = time.monotonic()
            self._patience = self._register.loop.call_later(_PATIENCE_S, self._give_back)
        return True

    def cancel(self, run: Run) -> None:
        """Take a work back that waits for a thread; a running one can only be asked, by `Context.cancelled`."""
        run.cancelled = True
        # Whoever pops it has it, this or the thread that was about to begin.
        if self._waiting.pop(run, None):
            self._occupied -= 1
            self._register.finish(run, stopped(run, run.attempts))

    def recall(self) -> None:
        """Give back what waits beyond the slots, the latest first."""
        self._take_back("", 0)

    def _take_back(self, name: str, most: int) -> None:
        """What waits beyond the slots and so many more, unbegun: all, or of one handler what was taken ahead."""
        for run in reversed(list(self._waiting)):
            if self._occupied <= self.slots + most:
                return
            # Whoever pops it has it, this or the thread that was about to begin.
            if (not name or (run.ahead and run.handler.name == name)) and self._waiting.pop(run, False):
                self._occupied -= 1
                self._register.lose(run, None)

    def _look(self) -> None:
        """Take back what was handed out as shorter than it turned out to be, once all that ended is known."""
        self._over.collect()
        names, self._longer = self._longer, {}
        for name in names:
            self._take_back(name, self._pace.rows(name))

    async def checkpoint(self, run: Run) -> None:
        """Nothing: what runs here is no coroutine."""

    def overdue(self, run: Run) -> None:
        """Tell that a work used up its time and replace its thread, unless it has not used it up yet."""
        self._over.collect()
        timeout_s = run.work.timeout_s
        if run.closed or timeout_s is None:
            return
        # The time runs from the beginning of the call, and for a work that waited that is later than it was armed.
        left_s = run.begun_s + timeout_s - time.monotonic() if run.begun_s else max(timeout_s, 2 * _WAKE_S)
        if left_s > _WAKE_S:
            self._register.deadlines.arm(run, left_s)
            return
        run.overdue = run.cancelled = True
        self.stuck += 1
        self._register.tell(run)
        if self._replaced < self._max_stuck and self._start_thread():
            self._replaced += 1
            self._occupied -= 1
            run.replaced = True
            self._register.report([Freed(*key) for key in run.keys])
        elif not self._warned:
            # Once, until all stuck ones came back: each further one says the same.
            self._warned = True
            self._register.warn(
                "a lane loses slots: threads outlived their timeout_s and no more of them are replaced; have the "
                "handler look at context.cancelled or use shorter time limits inside, else restart this process",
                lane=self._name,
                handler=run.work.handler,
                stuck=self.stuck,
                slots_left=self.slots - self.stuck + self._replaced,
            )

    async def stop(self, _wait_s: float) -> None:
        """Begin nothing more, and let the threads go when they come back."""
        self._waiting.clear()
        for timer in (self._patience, self._shrinking):
            if timer is not None:
                timer.cancel()
        for _ in range(self._threads):
            self._queue.put(None)

    def _start_thread(self) -> bool:
        thread = threading.Thread(target=self._serve, name=f"wsaios-{self._name}-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads += 1
        if self._shrinking is None and self._threads > 1:
            self._shrinking = self._register.loop.call_later(_IDLE_S, self._shrink)
        return True

    def _shrink(self) -> None:
        """Let as many threads go as never had anything to do since this was asked last."""
        spare = self._threads - self._replaced - max(1, self._most)
        for _ in range(spare):
            # Whichever takes this leaves.
            self._queue.put(None)
        self._threads -= max(0, spare)
        self._most = self._occupied
        more = self._threads > 1
        self._shrinking = self._register.loop.call_later(_IDLE_S, self._shrink) if more else None

    def _serve(self) -> None:
        get, claim, post = self._queue.get, self._waiting.pop, self._over.post
        while (run := get()) is not None:
            if not claim(run, None):
                continue
            begun_s = time.monotonic()
            if run.work.timeout_s is not None:
                run.begun_s = begun_s
            ended = self._batch(run) if run.handler.batched else self._single(run)
            post((run, ended, time.monotonic() - begun_s))
            # A thread that waits must not keep the last payload and result alive.
            del run

    def _single(self, run: Run) -> list[Ended]:
        try:
            with self._unforked:
                value = self._base.copy().run(run.handler.function, **self._arguments.of(run))
            return [returned(run.attempts[0], value, self._writer)]
        except BaseException as error:  # noqa: BLE001  # a handler may raise SystemExit; that ends its attempt, not the thread
            return raised(run.attempts, error)

    def _batch(self, run: Run) -> list[Ended]:
        call = BatchCall(run, self._writer)
        run.partly = call.over
        context = self._base.copy()
        while (ask := call.next()) is not None:
            part, rows = ask
            try:
                with self._unforked:
                    results = context.run(run.handler.function, rows, **self._arguments.context(run, part))
                call.returned(part, results)
            except BaseException as error:  # noqa: BLE001  # as above
                call.raised(part, error)
        return call.over()

    def _give_back(self) -> None:
        """Give back what waits beyond the slots when no call ends: it is not running, and said to be."""
        self._patience = None
        if self._occupied <= self.slots:
            return
        left_s = self._moved_s + _PATIENCE_S - time.monotonic()
        if left_s > 0:
            self._patience = self._register.loop.call_later(max(_WAKE_S, left_s), self._give_back)
            return
        self._register.report(self._pace.stands())
        self.recall()

    def _finish(self, over: tuple[Run, list[Ended], float]) -> None:
        run, ended, took_s = over
        self._moved_s = time.monotonic()
        name = run.handler.name
        before = self._pace.rows(name)
        changed = self._pace.took(name, took_s * 1e6 / len(run.attempts))
        if changed is not None:
            self._register.report([changed])
            if changed.rows < before:
                if not self._longer:
                    self._register.loop.call_soon(self._look)
                self._longer[name] = True
        if run.told:
            self.stuck -= 1
            self._warned = self._warned and self.stuck > 0
        if run.replaced:
            # Pool and replacement are one thread too many now; whichever takes this leaves.
            self._replaced -= 1
            self._threads -= 1
            self._queue.put(None)
        else:
            self._occupied -= 1
        self._register.finish(run, ended)
