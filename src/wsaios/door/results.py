"""Results of tasks in a ledger on a server: looked up there, and waited for."""

from typing import Any

from wsaios.kernel.events import Closed
from wsaios.ledger.postgres.link import Link
from wsaios.ledger.postgres.looking import LinkReads
from wsaios.scheduler.ends import Ends
from wsaios.scheduler.service import result_of
from wsaios.scheduler.watch import Watch


class Results:
    """Looks into the ledger, and waits for what has not ended."""

    def __init__(self, link: Link, watch: Watch) -> None:
        reads: Any = LinkReads(link)
        self._watch = watch
        self._ends = Ends(reads, lambda read, *given: read(*given))

    async def ended(self, number: int) -> Closed | None:
        """How a task ended; None when it has not.

        Raises:
            UnknownTask: there is none.
            LedgerUnavailable: the server is not there.
        """
        return await self._ends.of(number)

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
