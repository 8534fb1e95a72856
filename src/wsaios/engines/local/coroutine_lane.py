"""Coroutine handlers as tasks of the loop."""

import asyncio
import contextvars
import time
from collections.abc import Coroutine
from typing import Any

from wsaios.engines.local.arguments import Arguments
from wsaios.engines.local.aside import CALL
from wsaios.engines.local.batch_call import BatchCall
from wsaios.engines.local.outcomes import raised, returned, stopped
from wsaios.engines.local.register import Register
from wsaios.engines.local.run import Run
from wsaios.engines.local.timed import Timed
from wsaios.kernel.engine import Ended, Yielded
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.task import LaneSpec


class CoroutineLane:
    """Starts every work at once, each as a task of its own in a fresh copy of `base`.

    A call that has used up its time is cancelled; if it goes on all the same, it is told as timed out after `grace_s`
    and keeps its slot until it ends.
    """

    def __init__(
        self, spec: LaneSpec, register: Register, writer: JsonWriter, base: contextvars.Context, grace_s: float
    ) -> None:
        self.slots = spec.slots
        self._register = register
        self._writer = writer
        self._arguments = Arguments(register.contexts, writer)
        self._base = base
        self._grace_s = grace_s
        self._occupied = 0
        self.stuck = 0

    @property
    def free(self) -> int:
        """How many slots are free."""
        return max(0, self.slots - self._occupied)

    def begin(self, run: Run) -> bool:
        """Start a work."""
        self._occupied += 1
        work: Coroutine[Any, Any, None] = self._batch(run) if run.handler.batched else self._single(run)
        run.quantum_us = run.work.quantum_us
        if run.quantum_us is not None:
            run.timed, work = True, Timed(work, run.took)
        run.task = self._register.loop.create_task(work, context=self._base.copy())
        return True

    def cancel(self, run: Run) -> None:
        """Cancel the task of a work; it ends as cancelled unless its handler ends it otherwise."""
        if run.cancelled or run.task is None:
            return
        run.cancelled = True
        run.task.cancel()
        if not run.begun:
            self._finish(run, stopped(run, run.attempts))

    def overdue(self, run: Run) -> None:
        """Cancel a work that used up its time; the second time, tell that it goes on."""
        if run.task is None:
            return
        if run.overdue:
            self.stuck += 1
            self._register.tell(run)
            return
        run.overdue = run.cancelled = True
        run.task.cancel()
        if run.begun:
            self._register.deadlines.arm(run, self._grace_s)
        else:
            self._finish(run, stopped(run, run.attempts))

    def stand(self, run: Run, *, aside: bool) -> None:
        """A call begins or ends one await for other tasks; its slot is free from the first to the last of them."""
        first = run.aside == 0
        away = run.away
        run.aside += 1 if aside else -1
        if run.closed or not (first if aside else run.aside == 0):
            return
        self._occupied += away - run.away
        self._register.stand(run, aside=aside)

    def recall(self) -> None:
        """Nothing: what is here has begun."""

    async def checkpoint(self, run: Run) -> None:
        """Yield when the call was asked to or has used up its time; else let others run for a moment.

        While it waits to go on it has no slot, and its time limit stands still.
        """
        # A step that ends here is counted when it has ended: it always costs a turn of the loop.
        await asyncio.sleep(0)
        if run.resumed is not None:
            # Another part of the call has stopped already: it goes on as one.
            await asyncio.wait((run.resumed,))
            return
        used_up = run.used_up(self._register.loop.time())
        if run.closed or run.cancelled or run.aside or not (run.asked or used_up):
            return
        run.asked, run.resumed = False, self._register.loop.create_future()
        left_s = None if run.timer is None else run.timer[0] - time.monotonic()
        self._register.deadlines.disarm(run)
        self._occupied -= 1
        self._register.report([Yielded(*run.keys[0], used_up)])
        try:
            await run.resumed
        except BaseException:
            # It ends, or goes on although nobody let it: in both cases it occupies a slot again.
            if not run.closed:
                self._register.report([Yielded(*run.keys[0], back=True)])
            raise
        finally:
            away = run.away
            run.resumed.cancel()
            run.resumed = None
            run.begin_turn(self._register.loop.time())
            if not run.closed:
                self._occupied += away - run.away
                if left_s is not None:
                    self._register.deadlines.arm(run, max(0.0, left_s))

    async def stop(self, wait_s: float) -> None:
        """Cancel everything and wait `wait_s` at most for it to end."""
        own = asyncio.current_task()
        mine = {run.task for run in self._register.running.values() if run.lane is self}
        tasks = [task for task in mine if task is not None and task is not own]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)

    async def _single(self, run: Run) -> None:
        run.begun = True
        CALL.set((self, run))
        attempt = run.attempts[0]
        try:
            value = await run.handler.function(**self._arguments.of(run))
            ended = stopped(run, run.attempts) if run.overdue else [returned(attempt, value, self._writer)]
        except GeneratorExit as error:
            if self._is_dropped(run):
                raise
            ended = raised(run.attempts, error)
        except BaseException as error:  # noqa: BLE001  # a handler may raise SystemExit; that ends its attempt, not the process
            ended = stopped(run, run.attempts) if _stops(run, error) else raised(run.attempts, error)
        self._finish(run, ended)

    async def _batch(self, run: Run) -> None:
        run.begun = True
        CALL.set((self, run))
        call = BatchCall(run, self._writer)
        run.partly = call.over
        function = run.handler.function
        while (ask := call.next()) is not None:
            part, rows = ask
            try:
                results = await function(rows, **self._arguments.context(run, part))
                if run.overdue:
                    break
                call.returned(part, results)
            except GeneratorExit as error:
                if self._is_dropped(run):
                    raise
                call.raised(part, error)
            except BaseException as error:  # noqa: BLE001  # as above
                if _stops(run, error):
                    break
                call.raised(part, error)
        self._finish(run, call.over())

    def _is_dropped(self, run: Run) -> bool:
        """Whether a coroutine is closed from outside, because its loop is gone, and did not raise this itself."""
        return asyncio.current_task(self._register.loop) is not run.task

    def _finish(self, run: Run, ended: list[Ended]) -> None:
        if not run.closed:
            self._occupied -= not run.away
            if run.told:
                self.stuck -= 1
            self._register.finish(run, ended)
            # The task's context knows the run: left to the collector, such rings cost a fifth of the loop's time.
            run.task = None


def _stops(run: Run, error: BaseException) -> bool:
    """Whether this is the end that was asked for, and not one of the handler's own."""
    return run.overdue or (run.cancelled and isinstance(error, asyncio.CancelledError))
