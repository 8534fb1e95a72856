"""How tasks ended, out of the ledger: those asked for while one look is on its way share the next."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from wsaios.kernel.errors import UnknownTask
from wsaios.kernel.events import Closed
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Reads

_AT_ONCE: Final = 2000


class Ends:
    """Looks for many ends in one call of `Reads.ends`."""

    def __init__(self, reads: Reads, read: Callable[..., Awaitable[Any]]) -> None:
        """`read` runs a call of `reads` off the loop."""
        self._reads = reads
        self._read = read
        self._wanted: defaultdict[int, list[asyncio.Future[Closed | None]]] = defaultdict(list)
        self._looking: asyncio.Task[None] | None = None

    def of(self, number: int) -> "asyncio.Future[Closed | None]":
        """How a task ended; None when it has not.

        Raises:
            UnknownTask: there is none.
            LedgerUnavailable: the ledger cannot be read.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Closed | None] = loop.create_future()
        self._wanted[number].append(told)
        if self._looking is None:
            self._looking = loop.create_task(self._look(), name="wsaios-ends")
        return told

    async def _look(self) -> None:
        try:
            while self._wanted:
                numbers = list(self._wanted)[:_AT_ONCE]
                waiting = {number: self._wanted.pop(number) for number in numbers}
                try:
                    found = await self._found(numbers)
                except BaseException as error:
                    self._tell(waiting, dict.fromkeys(numbers, error))
                    if not isinstance(error, Exception):
                        raise
                else:
                    self._tell(waiting, found)
        finally:
            self._looking = None

    def _tell(
        self,
        waiting: "dict[int, list[asyncio.Future[Closed | None]]]",
        found: "dict[int, Closed] | dict[int, Closed | BaseException] | dict[int, BaseException]",
    ) -> None:
        for number, futures in waiting.items():
            end = found.get(number)
            for future in futures:
                if future.done():
                    continue
                if isinstance(end, asyncio.CancelledError):
                    future.cancel()
                elif isinstance(end, BaseException):
                    future.set_exception(end)
                else:
                    future.set_result(end)

    async def _found(self, numbers: list[int]) -> "dict[int, Closed | BaseException]":
        rows, unknown = await self._read(self._reads.ends, numbers)
        found: dict[int, Closed | BaseException] = {number: UnknownTask(encode(number)) for number in unknown}
        for outcome, result, handler in rows:
            found[outcome.id] = Closed(outcome, result, handler)
        return found
