"""The simulated engine behind the Engine port: time runs as fast as things happen."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from wsaios.kernel.engine import AttemptRef, Capabilities, Engine, OutcomeSink, Receipt, Resumed, Work
from wsaios.simulation.clock import SimClock
from wsaios.simulation.engine import SimEngine


class SimPort:
    """Drives a SimEngine from a loop: whenever the loop is free, the clock moves on to what happens next.

    The sink's answer is awaited by nobody, so it must be a future and not a coroutine.
    """

    name = "simulated"
    capabilities = Capabilities(
        delivery="at_least_once", kill=True, reports_started=True, detects_loss=False, remote=True
    )

    def __init__(self, engine: SimEngine, clock: SimClock) -> None:
        self._engine = engine
        self._clock = clock
        self._sink: OutcomeSink | None = None
        self._pumping = False
        self._quiet = asyncio.Event()

    async def start(self, sink: OutcomeSink) -> None:
        """Be ready for `submit`; reports go to `sink`."""
        self._sink = sink
        self._wake()

    async def submit(self, batch: Sequence[Work]) -> Sequence[Receipt]:
        """Take work, one receipt per item in order."""
        if self._sink is None:
            return [Receipt.REJECTED] * len(batch)
        receipts = self._engine.take(batch, self._clock.now_us())
        self._wake()
        return receipts

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        """Ask to end these."""
        self._engine.cancel(refs, self._clock.now_us())
        self._wake()

    def preempt(self, refs: Sequence[AttemptRef]) -> None:
        """Ask calls of coroutines to yield."""
        self._engine.preempt(refs, self._clock.now_us())
        self._wake()

    def recall(self) -> None:
        """Give back what has not begun."""
        self._engine.recall(self._clock.now_us())
        self._wake()

    def resume(self, resumed: Sequence[Resumed]) -> None:
        """Let calls that yielded go on."""
        self._engine.resume(resumed, self._clock.now_us())
        self._wake()

    def release(self) -> None:
        """Let end what waits for its release, now and from now on."""
        self._engine.release(self._clock.now_us())
        self._wake()

    def calm(self) -> None:
        """No more faults; what was lost is reported after all."""
        self._engine.calm(self._clock.now_us())
        self._wake()

    def capacity(self) -> Mapping[str, int]:
        """Free slots per lane."""
        return self._engine.free

    async def probe(self, refs: Sequence[AttemptRef]) -> Mapping[AttemptRef, Literal["running", "unknown"]]:
        """Which of these a worker has."""
        running = set(self._engine.running())
        return {ref: "running" if ref in running else "unknown" for ref in refs}

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nothing runs and every report has come; False when the time was not enough."""
        if self._engine.idle:
            return True
        self._wake()
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Report nothing from here on."""
        self._sink = None
        self._engine.stop()

    def _wake(self) -> None:
        self._quiet.clear()
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        due_us = self._engine.next_us()
        if due_us is not None and self._sink is not None:
            reports = self._engine.reports(self._clock.reach(due_us))
            if reports:
                self._sink(reports)
            self._wake()
        elif self._engine.idle:
            self._quiet.set()


def _fits(engine: SimPort) -> Engine:
    return engine
