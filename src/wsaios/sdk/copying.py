"""Moving a project from one ledger to another, on either database."""

from wsaios.bootstrap import ledger_url
from wsaios.kernel.errors import InvalidInput, MissingExtra
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.copying import WHO, Copied, Listener
from wsaios.ledger.copying import copy as copied
from wsaios.ledger.location import locate
from wsaios.ledger.postgres.address import address_of
from wsaios.ledger.sqlite.side import SqliteSide
from wsaios.ledger.transfer import Side


def copy(source: str, target: str, listener: Listener, failpoint: Failpoint = nothing) -> Copied:
    """Copy a ledger to one that is not there yet, or is empty, or holds an unfinished copy of the same.

    Both are owned while it lasts: no scheduler may live on either.

    Raises:
        InvalidInput: an address names no ledger, or both the same.
        LedgerOwned, NotPossible, Fenced, LedgerBroken, LedgerTooNew, LedgerUnavailable: as in `ledger.copying`.
    """
    ends = _side(ledger_url(source), nothing), _side(ledger_url(target), failpoint)
    if _place(source) == _place(target):
        raise InvalidInput("TO", f"{ends[1].name} is FROM itself; name another ledger")
    return copied(*ends, listener, failpoint)


def _side(url: str, failpoint: Failpoint) -> Side:
    place = locate(url)
    if not place.remote:
        if place.path is None:
            raise InvalidInput("ledger", "one in memory is inside its process; name a file")
        return SqliteSide(place, WHO, failpoint)
    try:
        # Its driver is an extra, and takes 0.1 s to import.
        from wsaios.ledger.postgres.side import PostgresSide  # noqa: PLC0415  # see above
    except ModuleNotFoundError as error:
        raise MissingExtra("asyncpg, the driver of PostgreSQL,", "postgres") from error
    return PostgresSide(url, WHO, failpoint)


def _place(url: str) -> object:
    place = locate(url)
    if not place.remote:
        return place.path
    address = address_of(url)
    return address.dsn, address.schema
