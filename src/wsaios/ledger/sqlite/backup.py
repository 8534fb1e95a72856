"""A copy of a ledger as it stands at one moment, made while its owner goes on."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from wsaios.kernel.errors import InvalidInput, LedgerBroken
from wsaios.ledger.location import Location
from wsaios.ledger.sqlite.connection import connect_reader, translated
from wsaios.ledger.sqlite.schema import APPLICATION_ID, refuse_half

Advance = Callable[[int, int], None]
STEP_PAGES: Final = 256
PAUSE_S: Final = 0.005
_SYNC_STEPS: Final = 32
_CACHE_KIB: Final = 2048
_BESIDE: Final = ("-wal", "-shm", "-journal", ".lock", ".sock")
_LOGS: Final = ("-wal", "-journal")
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def backup(location: Location, file: str, advance: Advance) -> int:
    """Copy the ledger of a file to `file`, which appears whole or not at all; returns its size in bytes.

    `advance` hears after each step how many bytes are copied, and of how many.

    Raises:
        InvalidInput: nothing may or can be written there.
        LedgerBroken, LedgerUnavailable: the ledger cannot be read, or the copy not written.
    """
    ledger = location.path
    if ledger is None:
        raise ValueError("only a ledger in a file can be copied")
    target = _place(ledger, file)
    with translated(location.name, ledger):
        source = connect_reader(ledger)
    try:
        with translated(location.name, ledger):
            if source.pragma("application_id") != APPLICATION_ID:
                raise LedgerBroken(location.name, "it is a SQLite database of another program; name another file")
            refuse_half(source, location.name)
        partial = _beside(target, ".partial")
        with _aside(partial, ledger.stat().st_mode & 0o777) as number:
            with translated(str(target)):
                _copy(source, partial, number, advance)
            _publish(partial, target)
    finally:
        source.close(force=True)
    return target.stat().st_size


def _place(ledger: Path, file: str) -> Path:
    """Where the copy will be; links are followed."""
    if not file or "\0" in file or "://" in file or file.endswith(os.sep):
        raise InvalidInput("FILE", f"{file!r} names no file; name one that is not there yet, such as work-copy.db")
    target = Path(os.path.realpath(file))
    if target in {ledger, *(_beside(ledger, end) for end in _BESIDE)}:
        raise InvalidInput("FILE", f"{file!r} is the ledger itself, or a file of it; name another one")
    if os.path.lexists(target):
        raise _taken(target)
    for log in (_beside(target, end) for end in _LOGS):
        # SQLite would write what stands there into the copy; a mere look at a ledger leaves an empty log.
        if log.exists() and log.stat().st_size:
            raise InvalidInput("FILE", f"{log} is left of another database; remove it, or name another file")
    if not target.parent.is_dir():
        raise InvalidInput("FILE", f"there is no folder {target.parent}; create it, or name another")
    return target


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _taken(target: Path) -> InvalidInput:
    return InvalidInput("FILE", f"{target} is there already; remove it, or name another file")


@contextmanager
def _aside(partial: Path, mode: int) -> Iterator[int]:
    """An empty file that only this process writes to; it is gone afterwards, and what an earlier copy left is too."""
    number = _empty(partial)
    try:
        os.fchmod(number, mode)
        yield number
    finally:
        partial.unlink(missing_ok=True)
        os.close(number)


def _empty(partial: Path) -> int:
    while True:
        try:
            number = os.open(partial, _FLAGS, 0o600)
        except OSError as error:
            raise InvalidInput("FILE", f"cannot write {partial}: {error.strerror}") from error
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            raise InvalidInput("FILE", f"another backup writes {partial} now; name another file") from None
        if _is_there(number, partial):
            if not os.fstat(number).st_size:
                return number
            # Never written over: killed at its end, a backup leaves the finished copy under this name too.
            partial.unlink()
        os.close(number)


def _is_there(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.lstat())
    except FileNotFoundError:
        return False


def _copy(source: apsw.Connection, partial: Path, number: int, advance: Advance) -> None:
    """Copy one moment of the ledger, step by step, and make it durable."""
    made = apsw.Connection(str(partial))
    try:
        # A copy that breaks off is thrown away: it needs no journal, and is synced here.
        made.pragma("journal_mode", "OFF")
        made.pragma("synchronous", "OFF")
        made.pragma("cache_size", -_CACHE_KIB)
        # Inside, the source stands still: else every commit of the owner would begin the copy anew.
        with source:
            source.pragma("schema_version")  # the first read is the moment that is copied
            size = int(source.pragma("page_size") or 0)
            with made.backup("main", source, "main") as work:
                steps = 0
                while not work.step(STEP_PAGES):
                    steps += 1
                    advance(size * (work.page_count - work.remaining), size * work.page_count)
                    if not steps % _SYNC_STEPS:
                        # Little by little, so that the last one does not hold up the commits of the owner.
                        os.fdatasync(number)
                    time.sleep(PAUSE_S)
                advance(size * work.page_count, size * work.page_count)
    finally:
        made.close(force=True)
    try:
        os.fsync(number)
    except OSError as error:
        raise InvalidInput("FILE", f"cannot write {partial}: {error.strerror}") from error


def _publish(partial: Path, target: Path) -> None:
    """Give the finished copy its name, unless something has taken it meanwhile."""
    try:
        # Unlike a rename, a link never replaces a file.
        os.link(partial, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        # A file system without links.
        if os.path.lexists(target):
            raise _taken(target) from None
        partial.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(folder)
    finally:
        os.close(folder)
