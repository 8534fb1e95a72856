"""Results of tasks in a ledger on a server: many that are asked for at once are looked up in one statement."""

import asyncio
from collections import defaultdict
from typing import Final

from wsaios.kernel.errors import UnknownTask
from wsaios.kernel.events import Closed
from wsaios.kernel.ids import encode
from wsaios.kernel.states import State
from wsaios.ledger.postgres import records
from wsaios.ledger.postgres.link import Link
from wsaios.scheduler.service import unpack
from wsaios.scheduler.watch import Watch

_AT_ONCE: Final = 2000


class Results:
    """Looks into the ledger, and waits for what has not ended."""

    def __init__(self, link: Link, watch: Watch) -> None:
        self._link = link
        self._watch = watch
        self._wanted: defaultdict[int, list[asyncio.Future[Closed | None]]] = defaultdict(list)
        self._looking: asyncio.Task[None] | None = None

    async def ended(self, number: int) -> Closed | None:
        """How a task ended; None when it has not.

        Raises:
            UnknownTask: there is none.
            LedgerUnavailable: the server is not there.
        """
        told: asyncio.Future[Closed | None] = asyncio.get_running_loop().create_future()
        self._wanted[number].append(told)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="wsaios-results")
        return await told

    async def awaited(self, number: int) -> bytes:
        """The result of a task as JSON, once it has ended; only while the watch is told what ends.

        Raises:
            TaskFailed: it ended otherwise.
            UnknownTask, LedgerUnavailable: as `ended`.
        """
        while True:
            future = self._watch.task(number)
            try:
                closed = await self.ended(number) or await future
            finally:
                self._watch.drop(number, future)
            if closed is not None:
                return result_of(closed)

    async def _look(self) -> None:
        try:
            while self._wanted:
                numbers = list(self._wanted)[:_AT_ONCE]
                waiting = {number: self._wanted.pop(number) for number in numbers}
                try:
                    found = await self._found(numbers)
                except Exception as error:  # noqa: BLE001  # everyone who waits must hear it, whatever it is
                    found = dict.fromkeys(numbers, error)
                for number, futures in waiting.items():
                    for future in futures:
                        _settle(future, found.get(number))
        finally:
            self._looking = None

    async def _found(self, numbers: list[int]) -> "dict[int, Closed | Exception]":
        rows = await self._link.rows("ends_of", ids=numbers)
        outcomes = records.outcomes_of(rows)
        found: dict[int, Closed | Exception] = {
            outcome.id: Closed(outcome, row[11] or b"", row[12]) for outcome, row in zip(outcomes, rows, strict=True)
        }
        rest = [number for number in numbers if number not in found]
        for (number,) in await self._link.rows("unknown_ids", ids=rest) if rest else ():
            found[number] = UnknownTask(encode(number))
        return found


def result_of(closed: Closed) -> bytes:
    """The result of a task that succeeded.

    Raises:
        TaskFailed: it did not.
    """
    if closed.outcome.state != State.SUCCEEDED:
        unpack(closed.outcome, closed.result)
    return closed.result


def _settle(future: "asyncio.Future[Closed | None]", found: "Closed | Exception | None") -> None:
    if future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
