"""The second, read-only way into a ledger."""

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import Answer, Ends, Question, TaskView, Totals
from wsaios.kernel.task import Batch, Outcome
from wsaios.ledger.postgres import looking
from wsaios.ledger.postgres.address import Address
from wsaios.ledger.postgres.bridge import Bridge
from wsaios.ledger.postgres.errors import LOST, translated
from wsaios.ledger.postgres.schema import refuse_half, require
from wsaios.ledger.postgres.session import Session, Statement

T = TypeVar("T")


class PostgresReads:
    """`Reads` through a connection of their own; each call sees one moment of the ledger."""

    def __init__(self, address: Address, sql: Mapping[str, Statement]) -> None:
        """Connect.

        Raises:
            LedgerUnavailable: there is no ledger yet, it has an older schema, or it is half a copy.
        """
        self._address = address
        self._ledger = address.name
        self._sql = sql
        self._gate = threading.RLock()
        self._bridge = Bridge()
        self._session: Session | None = None
        self._closed = False
        try:
            with translated(self._ledger):
                self._bridge.run(self._connected())
        except BaseException:
            self.close()
            raise

    def task_view(self, task_id: int) -> TaskView | None:
        """As `Reads.task_view`."""
        return self._run(lambda session: looking.task_view(session, task_id))

    def task_list(self, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
        """As `Reads.task_list`."""
        return self._run(lambda session: looking.task_list(session, states, after, limit))

    def ahead(self, shards: Sequence[int], key: int, task_id: int, limit: int) -> int:
        """As `Reads.ahead`."""
        return self._run(lambda session: looking.ahead(session, shards, key, task_id, limit))

    def batch(self, batch_id: int) -> Batch | None:
        """As `Reads.batch`."""
        return self._run(lambda session: looking.batch(session, batch_id))

    def batch_by_key(self, key: str) -> Batch | None:
        """As `Reads.batch_by_key`."""
        return self._run(lambda session: looking.batch_by_key(session, key))

    def batch_list(self, limit: int) -> list[Batch]:
        """As `Reads.batch_list`."""
        return self._run(lambda session: looking.batch_list(session, limit))

    def outcomes(self, first: int, last: int, limit: int) -> list[tuple[Outcome, bytes]]:
        """As `Reads.outcomes`."""
        return self._run(lambda session: looking.outcomes(session, first, last, limit))

    def ends(self, ids: Sequence[int]) -> Ends:
        """As `Reads.ends`."""
        return self._run(lambda session: looking.ends(session, ids))

    def ended_ids(self, first: int, last: int, limit: int) -> list[tuple[int, int]]:
        """As `Reads.ended_ids`."""
        return self._run(lambda session: looking.ended_ids(session, first, last, limit))

    def asked(self, question: Question) -> Answer:
        """As `Reads.asked`."""
        return self._run(lambda session: looking.asked(session, question))

    def totals(self) -> Totals:
        """As `Reads.totals`."""
        return self._run(looking.totals)

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""
        with self._gate:
            self._closed = True
            session, self._session = self._session, None
            if session is not None:
                self._bridge.run(session.close())
            self._bridge.close()

    def _run(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        with self._gate, translated(self._ledger):
            if self._closed:
                raise LedgerUnavailable(self._ledger, "it was closed")
            return self._bridge.run(self._asked(ask))

    async def _asked(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        fresh = self._session is None or self._session.closed()
        try:
            return await ask(await self._connected())
        except LOST:
            # The server may have been restarted since the last question; asking again changes nothing.
            if fresh:
                raise
            return await ask(await self._connected())

    async def _connected(self) -> Session:
        session = self._session
        if session is None or session.closed():
            self._session = None
            session = await Session.open(self._address, self._sql, "reader")
            try:
                await require(session, self._ledger, self._address.schema)
                await refuse_half(session, self._ledger)
            except BaseException:
                await session.close()
                raise
            self._session = session
        return session
