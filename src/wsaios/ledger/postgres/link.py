"""A connection beside the ledger that is made anew when it breaks; for event loops, where `Bridge` is for threads."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeVar

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.ledger.postgres.address import Channel, address_of, channel_of
from wsaios.ledger.postgres.errors import DRIVER_ERRORS, LOST, translated
from wsaios.ledger.postgres.schema import refuse_half, require
from wsaios.ledger.postgres.session import Session, Statement, named

T = TypeVar("T")
_GONE_S: Final = 10.0
_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 10.0


@cache
def _sql() -> Mapping[str, Statement]:
    return named("opening", "intake", "reads", "answers", "commit")


class Link:
    """One session at a time; statements take turns."""

    def __init__(self, url: str, *, heard: Callable[[], None] | None = None, channel: Channel = "out") -> None:
        """`heard` is called on the loop when something was told on the channel, or may have been missed.

        Raises:
            InvalidInput: `url` names no place for a ledger.
        """
        self._address = address_of(url)
        self.name = self._address.name
        self._heard = heard
        self._channel: Channel = channel
        self._turn = asyncio.Lock()
        self._session: Session | None = None
        self._lost: list[int] = []
        self._closed = False

    async def rows(self, name: str, **given: Any) -> list[Any]:
        """The rows of a statement.

        Raises:
            LedgerUnavailable: the server or the ledger is not there, or nobody knows whether a statement was done.
            LedgerBroken, LedgerTooNew: as they say.
        """
        return await self._run(lambda session: session.rows(name, **given))

    async def change(self, name: str, **given: Any) -> int:
        """Run a statement that writes; how many rows it touched. Raises as `rows`."""
        return await self._run(lambda session: session.change(name, given))

    async def ask(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Several statements in a row. Raises as `rows`."""
        return await self._run(work)

    async def ring(self, channel: Channel) -> None:
        """Wake who listens there."""
        await self.rows("notify", channel=channel_of(self._address.schema, channel))

    async def settle(self) -> None:
        """Return when nothing that was sent over a lost session can still be done by the server.

        Raises:
            LedgerUnavailable: the server does not end such a session.
        """
        until_s = asyncio.get_running_loop().time() + _GONE_S
        while self._lost:
            pid = self._lost[-1]
            await self.rows("backend_end", pid=pid)
            while (await self.rows("backend_lives", pid=pid))[0][0]:
                if asyncio.get_running_loop().time() > until_s:
                    reason = f"a lost session (process {pid} of the server) does not end; see what it waits for"
                    raise LedgerUnavailable(self.name, reason)
                await asyncio.sleep(_LOOK_S)
            self._lost.remove(pid)

    @property
    def doubtful(self) -> bool:
        """Whether a session was lost over which something may have been sent that the server does still."""
        return bool(self._lost)

    async def close(self) -> None:
        """Say good-bye; safe to call twice."""
        self._closed = True
        async with self._turn:
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    async def _run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        async with self._turn:
            with translated(self.name):
                session = await self._connected()
                try:
                    return await work(session)
                except (*LOST, TimeoutError):
                    # The server may be doing it still: whoever must know asks `settle`.
                    session.abandon()
                    self._lose(session)
                    raise

    async def _connected(self) -> Session:
        if self._closed:
            raise LedgerUnavailable(self.name, "it was closed")
        session = self._session
        if session is not None and not session.closed():
            return session
        if session is not None:
            self._lose(session)
        session = await Session.open(self._address, _sql(), "intake")
        session.attention.patience_s = _PATIENCE_S
        try:
            await require(session, self.name, self._address.schema)
            await refuse_half(session, self.name)
            if self._heard is not None:
                await session.listen(channel_of(self._address.schema, self._channel), self._heard)
        except BaseException:
            with suppress(*DRIVER_ERRORS):
                await session.close()
            raise
        self._session = session
        return session

    def _lose(self, session: Session) -> None:
        if self._session is session:
            self._session = None
            self._lost.append(session.pid)
