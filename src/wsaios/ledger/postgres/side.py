"""A ledger on PostgreSQL, as one that is copied or that a copy is written to."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import asdict

from wsaios.kernel.errors import Fenced, LedgerUnavailable
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.ownership import myself
from wsaios.ledger.postgres.address import address_of
from wsaios.ledger.postgres.bridge import Bridge
from wsaios.ledger.postgres.commit import hold, undo
from wsaios.ledger.postgres.days import BY_DAY, make_for
from wsaios.ledger.postgres.errors import DRIVER_ERRORS, translated
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.postgres.ownership import Gate
from wsaios.ledger.postgres.schema import found, require, upgrade
from wsaios.ledger.postgres.session import Session, named
from wsaios.ledger.transfer import LOWEST, PAGE_BYTES, PAGE_ROWS, Heights, Mark, Row, Table, size_of

T = TypeVar("T")
_WAIT_S: Final = 5.0
_LEASE_US: Final = 10_000_000
_PLACES: Final = ("first", "second", "third")


class PostgresSide:
    """As `Side`."""

    def __init__(self, url: str, who: str, failpoint: Failpoint = nothing) -> None:
        """`who` is what others are told about this process.

        Raises:
            InvalidInput: `url` names no place for a ledger.
        """
        self._url = url
        self._address = address_of(url)
        self.name = self._address.name
        self.remedy = f"run DROP SCHEMA {self._address.schema} CASCADE in its database"
        self._who = who
        self._failpoint = failpoint
        self._sql = named("commit", "opening", "copy")
        self._bridge = Bridge()
        self._opened: Session | None = None
        self._epoch = 0
        self._days: set[int] = set()

    def enter(self, *, make: bool) -> str:
        """As `Side.enter`."""
        return self._run(self._enter(make))

    def own(self, word: str, heights: Heights = LOWEST) -> None:
        """As `Side.own`."""
        self._run(self._own(word, heights))

    def renew(self) -> None:
        """As `Side.renew`."""
        self._run(self._hold(LOWEST))

    def heights(self) -> Heights:
        """As `Side.heights`."""
        return Heights(*self._run(self._owner())[1:])

    def counts(self) -> dict[str, int]:
        """As `Side.counts`; through a connection of its own, so that the lease can be prolonged meanwhile."""
        bridge = Bridge()
        try:
            with translated(self.name):
                return bridge.run(self._counts())
        finally:
            bridge.close()

    def page(self, table: Table, after: Row) -> list[Row]:
        """As `Side.page`."""
        return self._run(self._page(table, after))

    def mark(self) -> Mark | None:
        """As `Side.mark`."""
        return self._run(self._mark())

    def begin(self, mark: Mark) -> None:
        """As `Side.begin`."""
        self._run(self._begin(mark))

    def add(self, table: Table, rows: Sequence[Row], mark: Mark) -> None:
        """As `Side.add`."""
        self._run(self._add(table, rows, mark))

    def check(self) -> list[str]:
        """As `Side.check`."""
        return PostgresLedger(self._url).check(half=True)

    def finish(self, heights: Heights) -> None:
        """As `Side.finish`."""
        self._run(self._finish(heights))

    def close(self) -> None:
        """As `Side.close`."""
        session, self._opened = self._opened, None
        if session is not None:
            self._bridge.run(self._leave(session))
        self._bridge.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with translated(self.name):
            return self._bridge.run(work)

    @property
    def _session(self) -> Session:
        if self._opened is None:
            raise LedgerUnavailable(self.name, "it is not open; call enter() first")
        return self._opened

    async def _enter(self, make: bool) -> str:  # noqa: FBT001  # behind a keyword
        session = await Session.open(self._address, self._sql, "owner")
        try:
            await Gate(self.name, self._address.schema, session).enter(_WAIT_S)
            if make and not await found(session, self.name, self._address.schema):
                await upgrade(session, self.name, self._address.schema)
            await require(session, self.name, self._address.schema)
            ((word, *_),) = await session.rows("copy_owner")
        except BaseException:
            await session.close()
            raise
        self._opened = session
        return str(word)

    async def _own(self, word: str, heights: Heights) -> None:
        holder = myself("client", self._who, time.time_ns() // 1000)
        given = {**asdict(holder), "slot": 0, "session": word, "now_us": holder.since_us, "lease_us": _LEASE_US}
        ((self._epoch, *_),) = await self._session.rows("owner_take", **given)
        await self._hold(heights)
        if heights.id_high:
            await self._session.value("copy_ids_raise", id_high=heights.id_high)

    async def _hold(self, heights: Heights) -> None:
        owner = {"epoch": self._epoch, "id_high": heights.id_high, "now_us": heights.clock_us}
        await hold(self._session, self.name, owner, _LEASE_US)

    async def _owner(self) -> Row:
        (owner,) = await self._session.rows("copy_owner")
        return tuple(owner)

    async def _counts(self) -> dict[str, int]:
        session = await Session.open(self._address, self._sql, "upkeep")
        try:
            return {str(name): int(rows) for name, rows in await session.rows("copy_counts")}
        finally:
            await session.close()

    async def _page(self, table: Table, after: Row) -> list[Row]:
        size = 0

        def enough(row: Any) -> bool:
            nonlocal size
            size += size_of(tuple(row))
            return size >= PAGE_BYTES

        given = {**dict(zip(_PLACES, after, strict=False)), "limit": PAGE_ROWS}
        return [tuple(row) for row in await self._session.page(f"copy_read_{table.name}", enough, **given)]

    async def _mark(self) -> Mark | None:
        if not await self._session.value("copying_there"):
            return None
        ((source, word, place, last, rows),) = await self._session.rows("copy_mark_read")
        return Mark(source, word, place, tuple(msgspec.msgpack.decode(last)), rows)

    async def _begin(self, mark: Mark) -> None:
        async def make() -> None:
            await self._session.change("copy_mark_make", {})
            await self._session.change("copy_mark_begin", _marked(mark))

        await self._write(make)

    async def _add(self, table: Table, rows: Sequence[Row], mark: Mark) -> None:
        async def put() -> None:
            await self._hold(LOWEST)
            if table.name in BY_DAY:
                await make_for(self._session, (row[0] for row in rows), time.time_ns() // 1000, self._days)
            await self._session.load(table.name, table.columns, rows)
            self._failpoint("copy.written")
            await self._session.change("copy_mark_advance", _marked(mark))

        await self._write(put)

    async def _finish(self, heights: Heights) -> None:
        async def unmark() -> None:
            await self._hold(LOWEST)
            given = {"epoch": self._epoch, "next": heights.epoch, "clean": heights.clean}
            await self._session.change("copy_owner_finish", given)
            await self._session.change("copy_mark_drop", {})

        await self._write(unmark)
        self._epoch = max(self._epoch, heights.epoch)

    async def _write(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it in one transaction, or not at all."""
        await self._session.change("commit_begin", {})
        try:
            await work()
            await self._session.change("commit_end", {})
        except BaseException:
            await undo(self._session)
            raise

    async def _leave(self, session: Session) -> None:
        # What cannot be done now, the next owner does.
        with suppress(*DRIVER_ERRORS, Fenced):
            if self._epoch:
                await session.change("owner_leave", {"epoch": self._epoch})
        await session.close()


def _marked(mark: Mark) -> dict[str, Any]:
    given = mark._asdict()
    return {**given, "place": given.pop("table"), "last": msgspec.msgpack.encode(mark.last)}
