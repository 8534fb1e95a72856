"""A ledger in a file, as one that is copied or that a copy is written to."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
from msgspec.structs import asdict

from wsaios.kernel.errors import Fenced, LedgerUnavailable
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.location import Location
from wsaios.ledger.ownership import OwnerLock, myself
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.ledger.sqlite.connection import connect, translated, write_ahead
from wsaios.ledger.sqlite.schema import require, upgrade
from wsaios.ledger.statements import statements
from wsaios.ledger.transfer import LOWEST, PAGE_BYTES, PAGE_ROWS, Heights, Mark, Row, Table, size_of

_WAIT_S: Final = 5.0
_PLACES: Final = ("first", "second", "third")


class SqliteSide:
    """As `Side`."""

    def __init__(self, place: Location, who: str, failpoint: Failpoint = nothing) -> None:
        """`who` is what others are told about this process."""
        if place.path is None:
            raise ValueError("only a ledger in a file can be copied")
        self.name = str(place.path)
        self.remedy = f"remove {place.path} and the files beside it"
        self._path: Path = place.path
        self._who = who
        self._failpoint = failpoint
        self._sql: Mapping[str, str] = statements("sqlite", "commit", "opening", "copy")
        self._lock = OwnerLock(self.name, place.lock)
        self._opened: apsw.Connection | None = None
        self._epoch = 0

    def enter(self, *, make: bool) -> str:
        """As `Side.enter`."""
        if not make and not self._path.exists():
            raise LedgerUnavailable.missing(self.name)
        self._lock.acquire(myself("client", self._who, time.time_ns() // 1000), _WAIT_S)
        try:
            with translated(self.name):
                connection = self._opened = connect(self._path)
                if make and connection.pragma("schema_version") == 0:
                    upgrade(connection, self.name)
                require(connection, self.name)
                write_ahead(connection)
                return str(self._owner()[0])
        except BaseException:
            # What is refused is left as it was found.
            self._disconnect()
            self._lock.undo()
            raise

    def own(self, word: str, heights: Heights = LOWEST) -> None:
        """As `Side.own`."""
        holder = myself("client", self._who, time.time_ns() // 1000)
        given = {**asdict(holder), "slot": 0, "session": word, "now_us": holder.since_us}

        def take(connection: apsw.Connection) -> None:
            self._epoch = connection.execute(self._sql["owner_take"], given).get[0]
            self._advance(heights)

        self._write(take)

    def renew(self) -> None:
        """As `Side.renew`; the lock has no end."""

    def heights(self) -> Heights:
        """As `Side.heights`."""
        with translated(self.name):
            _, epoch, id_high, clock_us, clean, waiting = self._owner()
            return Heights(epoch, id_high, clock_us, bool(clean), waiting)

    def counts(self) -> dict[str, int]:
        """As `Side.counts`."""
        with translated(self.name):
            return dict(self._connection.execute(self._sql["copy_counts"]))

    def page(self, table: Table, after: Row) -> list[Row]:
        """As `Side.page`."""
        found: list[Row] = []
        size = 0
        given = {**dict(zip(_PLACES, after, strict=False)), "limit": PAGE_ROWS}
        with translated(self.name):
            for read in self._connection.execute(self._sql[f"copy_read_{table.name}"], given):
                row = _truths(read, table.booleans) if table.booleans else read
                found.append(row)
                size += size_of(row)
                if size >= PAGE_BYTES:
                    break
        return found

    def mark(self) -> Mark | None:
        """As `Side.mark`."""
        with translated(self.name):
            if not self._connection.execute(self._sql["copying_there"]).get:
                return None
            source, word, place, last, rows = self._connection.execute(self._sql["copy_mark_read"]).get
            return Mark(source, word, place, tuple(msgspec.msgpack.decode(last)), rows)

    def begin(self, mark: Mark) -> None:
        """As `Side.begin`."""

        def make(connection: apsw.Connection) -> None:
            connection.execute(self._sql["copy_mark_make"])
            connection.execute(self._sql["copy_mark_begin"], _marked(mark))

        self._write(make)

    def add(self, table: Table, rows: Sequence[Row], mark: Mark) -> None:
        """As `Side.add`."""

        def put(connection: apsw.Connection) -> None:
            self._advance(LOWEST)
            connection.executemany(self._sql[f"copy_add_{table.name}"], rows)
            if table.name == "fact":
                connection.execute(self._sql["copy_forget_log"])
            self._failpoint("copy.written")
            connection.execute(self._sql["copy_mark_advance"], _marked(mark))

        self._write(put)

    def check(self) -> list[str]:
        """As `Side.check`."""
        return SqliteLedger(self._path).check(half=True)

    def finish(self, heights: Heights) -> None:
        """As `Side.finish`."""

        def unmark(connection: apsw.Connection) -> None:
            given = {"epoch": self._epoch, "next": heights.epoch, "clean": heights.clean}
            connection.execute(self._sql["copy_owner_finish"], given)
            connection.execute(self._sql["copy_mark_drop"])

        self._write(unmark)
        self._epoch = max(self._epoch, heights.epoch)

    def close(self) -> None:
        """As `Side.close`."""
        self._disconnect()
        self._lock.release()

    @property
    def _connection(self) -> apsw.Connection:
        if self._opened is None:
            raise LedgerUnavailable(self.name, "it is not open; call enter() first")
        return self._opened

    def _owner(self) -> Row:
        owner: Row = self._connection.execute(self._sql["copy_owner"]).get
        return owner

    def _advance(self, heights: Heights) -> None:
        given = {"epoch": self._epoch, "id_high": heights.id_high, "clock_us": heights.clock_us}
        self._connection.execute(self._sql["copy_owner_raise"], given)
        if self._connection.changes() != 1:
            raise Fenced(self.name, self._epoch)

    def _write(self, work: Callable[[apsw.Connection], None]) -> None:
        """Do it in one transaction, or not at all."""
        connection = self._connection
        with translated(self.name):
            connection.execute(self._sql["commit_begin"])
            try:
                work(connection)
                connection.execute(self._sql["commit_end"])
            except BaseException:
                if connection.in_transaction:
                    connection.execute(self._sql["commit_undo"])
                raise

    def _disconnect(self) -> None:
        connection, self._opened = self._opened, None
        if connection is not None:
            with suppress(apsw.Error):
                connection.set_busy_timeout(0)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            with suppress(apsw.Error):
                connection.close(force=True)


def _truths(row: Row, booleans: Sequence[int]) -> Row:
    changed: list[Any] = list(row)
    for place in booleans:
        changed[place] = bool(changed[place])
    return tuple(changed)


def _marked(mark: Mark) -> dict[str, Any]:
    given = mark._asdict()
    return {**given, "place": given.pop("table"), "last": msgspec.msgpack.encode(mark.last)}
