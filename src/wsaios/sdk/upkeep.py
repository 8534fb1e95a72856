"""What an operator does to a whole ledger, without owning it."""

from collections.abc import Callable

from wsaios.bootstrap import ledger_url
from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, NotPossible
from wsaios.ledger.location import Location, locate
from wsaios.ledger.postgres.address import dump_command
from wsaios.ledger.sqlite.backup import backup as copy_of_file


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


def require_file(place: Location) -> None:
    """Make sure that a ledger that is not on a server is there.

    Raises:
        InvalidInput, LedgerUnavailable: it is not.
    """
    if place.path is None:
        raise InvalidInput("ledger", "one in memory is inside its process; name a file")
    if not place.path.exists():
        raise LedgerUnavailable(place.name, "there is no such ledger; a scheduler makes it when it starts")
