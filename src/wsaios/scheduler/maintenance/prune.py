"""Takes finished work out of the ledger after its retention time, in small steps."""

import asyncio
from typing import Final

from wsaios.kernel.errors import WsaiosError
from wsaios.kernel.ledger import Ledger
from wsaios.kernel.ports import Clock
from wsaios.scheduler.loop import Log, Loop

RETENTION_S: Final = 7 * 86_400.0
_EVERY_S: Final = 600.0
_ROWS: Final = 1000
_PAUSE_S: Final = 0.05


class Pruning:
    """Every ten minutes, a thousand rows at a time with a pause between, so that commits are not held up."""

    def __init__(self, loop: Loop, ledger: Ledger, clock: Clock, log: Log, retention_s: float = RETENTION_S) -> None:
        self._loop = loop
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._retention_us = int(retention_s * 1e6)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first round is after the first interval."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="wsaios-prune")

    async def stop(self) -> None:
        """End; what is left is for the next time."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def round(self) -> int:
        """Prune everything that is over now; returns how many rows went."""
        total, gone = 0, _ROWS
        while gone >= _ROWS and self._loop.running():
            before_us = self._clock.now_us() - self._retention_us
            gone = await self._loop.upkeep(self._prune, before_us)
            total += gone
            if gone >= _ROWS:
                await asyncio.sleep(_PAUSE_S)
        return total

    def _prune(self, before_us: int) -> int:
        # Between two steps, so that the core stands still and what it holds is what it will go on with.
        core = self._loop.core
        return self._ledger.prune(before_us, _ROWS, core.book.shards if core is not None else None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.round()
            except WsaiosError as error:
                self._log.warning("pruning failed; it is tried again later", reason=str(error))
