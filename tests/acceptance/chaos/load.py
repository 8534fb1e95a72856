"""A steady stream of work from a client in this process, to schedulers in processes of their own."""

import asyncio
import time
from collections import Counter
from typing import Final

from wsaios import AsyncClient
from wsaios.kernel.errors import WsaiosError

RETRY_S: Final = 30.0
_AT_ONCE: Final = 2000


class Load:
    """Submits `rate` calls a second, whatever happens, and notes what was acknowledged and when."""

    def __init__(self, url: str, rate: float) -> None:
        self.client = AsyncClient(url, retry_s=RETRY_S)
        self.rate = rate
        self.acknowledged: list[int] = []
        self.acknowledged_s: list[float] = []
        self.refused: Counter[str] = Counter()
        self._calls: set[asyncio.Task[None]] = set()
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Go on until `end`."""
        self._task = asyncio.create_task(self._stream())

    async def end(self) -> None:
        """Submit no more, and return when everything is acknowledged or refused."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._calls)

    def burst(self, count: int) -> None:
        """So many more, at once."""
        for _ in range(count):
            self._call()

    async def _stream(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s += 1 / self.rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            # A client that must wait has a bounded number of calls on their way, as any program has.
            if len(self._calls) < _AT_ONCE:
                self._call()

    def _call(self) -> None:
        self._number += 1
        task = asyncio.create_task(self._submit(self._number))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _submit(self, number: int) -> None:
        try:
            task = await self.client.submit("echo", {"value": number})
        except WsaiosError as error:
            self.refused[type(error).__name__] += 1
        else:
            self.acknowledged.append(task.number)
            self.acknowledged_s.append(time.monotonic())
