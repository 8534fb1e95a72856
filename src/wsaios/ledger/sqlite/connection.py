"""Connections to the database of a ledger, and what their errors mean."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import apsw
import msgspec

from wsaios.kernel.errors import LedgerBroken, LedgerUnavailable, OperatorError

Synchronous = Literal["FULL", "NORMAL", "OFF"]
BUSY_MS: Final = 5_000
CHECKPOINT_PAGES: Final = 4_000
_CACHE_KIB: Final = 16_384
_MEANINGS: Final[tuple[tuple[type[apsw.Error], type[LedgerBroken | LedgerUnavailable], str], ...]] = (
    (apsw.NotADBError, LedgerBroken, "it is not a SQLite database; name another file"),
    (apsw.CorruptError, LedgerBroken, "the file is damaged; put back a copy of it"),
    (apsw.ConstraintError, LedgerBroken, "a rule of the ledger was violated, nothing was written"),
    (apsw.FullError, LedgerUnavailable, "the disk is full; make room and start again"),
    (apsw.ReadOnlyError, LedgerUnavailable, "it cannot be written; check the permissions of the file and its folder"),
    (apsw.CantOpenError, LedgerUnavailable, "it cannot be opened; check that it is a file and its permissions"),
    (apsw.IOError, LedgerUnavailable, "it cannot be read or written; check that it is a file, and the disk"),
    (apsw.BusyError, LedgerUnavailable, "another program has locked the database file; end its transaction"),
    (apsw.LockedError, LedgerUnavailable, "another program has locked the database file; end its transaction"),
)


def connect(path: Path | None, synchronous: Synchronous = "FULL") -> apsw.Connection:
    """A connection that writes; None is a database in memory. The file is not touched yet."""
    connection = apsw.Connection(":memory:" if path is None else str(path))
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("synchronous", synchronous)
    connection.pragma("cache_size", -_CACHE_KIB)
    connection.pragma("temp_store", "MEMORY")
    connection.pragma("mmap_size", 0)
    return connection


def write_ahead(connection: apsw.Connection) -> None:
    """Switch to the write-ahead log; this connection is the only one that moves pages from the log to the file."""
    connection.pragma("journal_mode", "WAL")
    connection.pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
    # The log is written over from its start, not made anew: a file that does not grow is synced faster.
    connection.pragma("journal_size_limit", -1)


def connect_reader(path: Path) -> apsw.Connection:
    """A connection that cannot write."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("query_only", value=True)
    connection.pragma("mmap_size", 0)
    return connection


@contextmanager
def translated(ledger: str, path: Path | None = None) -> Iterator[None]:
    """Turn errors of the database, and rows that cannot be read, into errors of the ledger; `path` is its file."""
    try:
        yield
    except apsw.Error as error:
        if path is not None and isinstance(error, (apsw.CantOpenError, apsw.ReadOnlyError)):
            _check_folder(ledger, path.parent, error)
        raise meaning(ledger, error) from error
    except msgspec.DecodeError as error:
        raise LedgerBroken(ledger, f"a row cannot be read ({error}); put back a copy of the file") from error


def _check_folder(ledger: str, folder: Path, error: apsw.Error) -> None:
    # Who only reads needs the index of the log beside the file as well, and SQLite does not say that it cannot make it.
    if not os.access(folder, os.W_OK, effective_ids=True):
        fixed = os.statvfs(folder).f_flag & os.ST_RDONLY
        why = os.strerror(errno.EROFS if fixed else errno.EACCES)
        raise LedgerUnavailable.unwritable(ledger, folder, why) from error


def meaning(ledger: str, error: apsw.Error) -> OperatorError:
    """What an error of the database means to a person."""
    for kind, wrap, reason in _MEANINGS:
        if isinstance(error, kind):
            return wrap(ledger, f"{reason} ({error})")
    return LedgerUnavailable(ledger, f"the database says: {error}")
