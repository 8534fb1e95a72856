"""The local engine behind the Engine port."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from wsaios.engines.local.coroutine_lane import CoroutineLane
from wsaios.engines.local.handlers import Handlers
from wsaios.engines.local.outcomes import failed
from wsaios.engines.local.process.lane import ProcessLane
from wsaios.engines.local.register import Register, Warn, silent
from wsaios.engines.local.thread_lane import ThreadLane
from wsaios.kernel.engine import AttemptRef, Capabilities, Engine, OutcomeSink, Receipt, Resumed, Work
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.task import LaneSpec

MAX_RESULT_BYTES: Final = 1 << 20


def utc_us() -> int:
    """Microseconds UTC of this machine."""
    return time.time_ns() // 1000


class LocalEngine:
    """Runs coroutines as tasks of the loop and plain functions in threads or worker processes, in lanes.

    `lanes` is read at every `start`; a result may have `max_result_bytes` as JSON. `max_stuck` bounds the threads of a
    lane that are replaced because they outlived their time (None: as many as it has slots); `grace_s` is how long a
    coroutine that timed out may take to end before it is stuck, how long a function in a process may go on that timed
    out or was cancelled before its worker is killed, and how long `stop` waits.
    """

    name = "local"
    capabilities = Capabilities(
        delivery="at_most_once", kill=False, reports_started=False, detects_loss=True, remote=False
    )

    def __init__(
        self,
        handlers: Handlers,
        lanes: Mapping[str, LaneSpec],
        *,
        max_result_bytes: int = MAX_RESULT_BYTES,
        max_stuck: int | None = None,
        grace_s: float = 1.0,
        now_us: Callable[[], int] = utc_us,
        warn: Warn = silent,
    ) -> None:
        self._handlers = handlers
        self._specs = lanes
        self._writer = JsonWriter(max_result_bytes)
        self._max_result_bytes = max_result_bytes
        self._max_stuck = max_stuck
        self._grace_s = grace_s
        self._now_us = now_us
        self._warn = warn
        self._register: Register | None = None
        self._lanes: dict[str, CoroutineLane | ThreadLane | ProcessLane] = {}

    async def start(self, sink: OutcomeSink) -> None:
        """Be ready for `submit`; attempts see the context variables of this call, each a copy of its own."""
        await self.stop()
        self._register = register = Register(asyncio.get_running_loop(), sink, self._warn)
        base = contextvars.copy_context()
        for name, spec in self._specs.items():
            if spec.kind == "async":
                self._lanes[name] = CoroutineLane(spec, register, self._writer, base, self._grace_s)
            elif spec.kind == "process":
                self._lanes[name] = ProcessLane(spec, register, self._max_result_bytes, self._grace_s)
            else:
                self._lanes[name] = ThreadLane(spec, register, self._writer, base, self._max_stuck)

    async def submit(self, batch: Sequence[Work]) -> Sequence[Receipt]:
        """Take work, one receipt per item in order; what was seen before is accepted and not run twice."""
        register = self._register
        if register is None:
            return [Receipt.REJECTED] * len(batch)
        return [self._take(register, work) for work in batch]

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        """Ask to end these: coroutines are cancelled, waiting works taken back, functions told by `Context.cancelled`.

        One in a process that goes on all the same is killed. A micro-batch goes on until all of its rows are named.
        """
        if self._register is None:
            return
        running = self._register.running
        for ref in refs:
            run = running.get(ref)
            if run is not None and not run.told and run.name(ref):
                run.lane.cancel(run)

    def preempt(self, refs: Sequence[AttemptRef]) -> None:
        """Ask calls of coroutines to yield at their next checkpoint; threads and processes have none."""
        for ref in refs:
            run = self._register.running.get(ref) if self._register is not None else None
            if run is not None:
                run.asked = True

    def resume(self, resumed: Sequence[Resumed]) -> None:
        """Let calls that yielded go on."""
        for ref, quantum_us in resumed:
            run = self._register.running.get(ref) if self._register is not None else None
            if run is not None and run.resumed is not None and not run.resumed.done():
                run.quantum_us = quantum_us
                run.resumed.set_result(None)

    def recall(self) -> None:
        """Have every lane give back what waits beyond its slots."""
        if self._register is not None:
            for lane in self._lanes.values():
                lane.recall()

    def capacity(self) -> Mapping[str, int]:
        """Free slots per lane."""
        return {name: lane.free for name, lane in self._lanes.items()}

    @property
    def stuck(self) -> Mapping[str, int]:
        """How many calls per lane go on although their time is over."""
        return {name: lane.stuck for name, lane in self._lanes.items()}

    async def probe(self, refs: Sequence[AttemptRef]) -> Mapping[AttemptRef, Literal["running", "unknown"]]:
        """Which of these it is running; the ends of the others, if they ran here, were reported before this returns."""
        if self._register is not None:
            self._register.flush()
        running = {} if self._register is None else self._register.running
        return {ref: "running" if ref in running else "unknown" for ref in refs}

    async def drain(self, timeout_s: float) -> bool:
        """Wait until the ends of all attempts are reported; calls that are stuck have reported theirs."""
        if self._register is None:
            return True
        self._register.keep()
        return await self._register.quiet(timeout_s)

    async def stop(self) -> None:
        """Cancel coroutines and wait a moment for them, end processes, leave threads behind.

        Nothing is reported afterwards.
        """
        register, self._register = self._register, None
        lanes, self._lanes = self._lanes, {}
        if register is None:
            return
        register.keep()
        register.stop()
        for run in list(register.running.values()):
            run.cancelled = True
        for lane in lanes.values():
            await lane.stop(self._grace_s)

    def _take(self, register: Register, work: Work) -> Receipt:
        lane = self._lanes.get(work.lane)
        handler = self._handlers.get(work.handler)
        if lane is None or handler is None or not work.attempts or (len(work.attempts) > 1 and not handler.batched):
            return Receipt.REJECTED
        if work.not_after_us is not None and self._now_us() > work.not_after_us:
            return Receipt.REJECTED
        run = register.admit(work, handler, lane)
        if run is None:
            return Receipt.ACCEPTED
        if handler.coroutine is not isinstance(lane, CoroutineLane):
            what, other = ("a coroutine", "async") if handler.coroutine else ("a plain function", "thread")
            message = f"{handler.name} is {what} and cannot run in lane {work.lane!r}; use a lane of kind {other!r}"
            register.finish(run, failed(run.attempts, "WrongLane", message, for_good=True))
        elif not lane.begin(run):
            register.forget(run)
            return Receipt.REJECTED
        elif work.timeout_s is not None and not run.closed:
            register.deadlines.arm(run, work.timeout_s)
        return Receipt.ACCEPTED


def _fits(engine: LocalEngine) -> Engine:
    return engine
