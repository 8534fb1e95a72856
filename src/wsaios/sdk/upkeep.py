"""What an operator does to a whole ledger, without owning it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from wsaios.bootstrap import Settings, SystemClock, ledger_of, ledger_url
from wsaios.kernel.errors import InvalidInput, LedgerOwned, LedgerUnavailable, NotPossible
from wsaios.kernel.ledger import Reads
from wsaios.ledger.location import Location, locate
from wsaios.ledger.postgres.address import dump_command
from wsaios.ledger.sqlite.backup import backup as copy_of_file
from wsaios.planning.calls import seconds

LONGEST_DAYS: Final = 36_500.0
_DAY_S: Final = 86_400
_ROWS: Final = 1000
_HOLD_S: Final = 1.0
_PAUSE_S: Final = 0.05


def backup(ledger: str | None, file: str, advance: Callable[[int, int], None]) -> int:
    """Copy a ledger to a file, beside a live owner too; returns how many bytes it has.

    `advance` hears after each step how many bytes are copied, and of how many.

    Raises:
        InvalidInput: nothing may or can be written there, or the address names no ledger.
        NotPossible: the ledger is on a server; the message has the command that copies it.
        LedgerBroken, LedgerUnavailable: it cannot be read.
    """
    url = ledger_url(ledger)
    place = locate(url)
    if place.remote:
        raise NotPossible("back up", place.name, "on a server", f"run: {dump_command(url, file)}")
    require_file(place)
    return copy_of_file(place, file, advance)


def prune(ledger: str | None, older_than_days: float) -> int:
    """Remove what ended so long ago, while no scheduler lives on the ledger; returns how many rows went.

    Rows of a kept batch stay. The ledger is held for a second at a time, so that a scheduler that starts gets it.

    Raises:
        InvalidInput: no such number of days, or the address names no ledger.
        NotPossible: a scheduler has the ledger, and prunes it by itself.
        LedgerBroken, LedgerTooNew, LedgerUnavailable: it cannot be read or written, or needs a scheduler first.
    """
    days = seconds("--older-than-days", older_than_days, 0, LONGEST_DAYS, what="number of days")
    url = ledger_url(ledger)
    place = locate(url)
    if not place.remote:
        require_file(place)
    clock, removed, more = SystemClock(), 0, True
    while more:
        try:
            gone, more = _prune_a_while(url, clock, int(days * _DAY_S * 1e6))
        except LedgerOwned as error:
            hint = "a scheduler removes what is over by itself, after Settings(retention_s=…); stop it to do so now"
            done = f"; {removed} rows were removed before it came" if removed else ""
            raise NotPossible("prune", place.name, f"owned by {error.owner}", hint + done) from error
        removed += gone
        if more:
            time.sleep(_PAUSE_S)
    return removed


@contextmanager
def reading_of(ledger: str | None) -> Iterator[Reads]:
    """A way to read a ledger, beside a live owner too.

    Raises:
        InvalidInput: the address names no ledger.
        LedgerBroken, LedgerTooNew, LedgerUnavailable: it cannot be read.
    """
    url = ledger_url(ledger)
    place = locate(url)
    if not place.remote:
        require_file(place)
    store = ledger_of(url, Settings(only_client=True))
    try:
        yield store.reads()
    finally:
        store.close()


def _prune_a_while(url: str, clock: SystemClock, retention_us: int) -> tuple[int, bool]:
    """Prune in small steps while the ledger is held; returns how many rows went, and whether there may be more."""
    store = ledger_of(url, Settings(only_client=True))
    try:
        # Opening makes a ledger where none is, and brings an older one up to date: neither is asked for.
        store.reads()
        opening = store.open(clock.now_us(), "ledger prune")
        clock.not_before(opening.clock_us)
        removed, gone, until_s = 0, _ROWS, time.monotonic() + _HOLD_S
        while gone >= _ROWS:
            gone = store.prune(clock.now_us() - retention_us, _ROWS)
            removed += gone
            if time.monotonic() >= until_s:
                break
        return removed, gone >= _ROWS
    finally:
        store.close()


def require_file(place: Location) -> None:
    """Make sure that a ledger that is not on a server is there.

    Raises:
        InvalidInput, LedgerUnavailable: it is not.
    """
    if place.path is None:
        raise InvalidInput("ledger", "one in memory is inside its process; name a file")
    if not place.path.exists():
        raise LedgerUnavailable.missing(place.name)
