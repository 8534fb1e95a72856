"""Which line leads from a client to its ledger, and which door a scheduler opens to clients."""

from typing import Any, Protocol, cast

from wsaios.bootstrap import Parts
from wsaios.door.line import Line
from wsaios.door.outgoing import Outgoing
from wsaios.door.questions import BatchOpen
from wsaios.door.server import Door, NoDoor
from wsaios.kernel.errors import MissingExtra
from wsaios.kernel.task import Batch
from wsaios.ledger.location import locate


class Going(Protocol):
    """A batch that is open for rows."""

    async def add(self, rows: list[bytes]) -> None:
        """Return when there is room for the next chunk."""

    async def seal(self) -> Batch:
        """There are no more rows: the batch as it was accepted."""

    async def abort(self) -> None:
        """Take it back; safe to call whatever happened."""


class Opened(Protocol):
    """What a scheduler does with its door."""

    async def open(self) -> None:
        """Let clients in."""

    def shut(self) -> None:
        """Let nobody in; the ledger must still be owned."""

    async def close(self) -> None:
        """End every connection; the scheduler has stopped."""


def line_of(url: str, retry_s: float) -> Line:
    """The line to the ledger at an address; that of a ledger on a server has the same verbs.

    Raises:
        InvalidInput: no other process can reach it.
        MissingExtra: the driver of its database is not installed.
    """
    if not locate(url).remote:
        return Line(url, retry_s)
    try:
        # The driver is an extra, and takes 0.1 s to import.
        from wsaios.door.mail import Mail  # noqa: PLC0415  # see above
    except ModuleNotFoundError as error:
        raise MissingExtra("asyncpg, the driver of PostgreSQL,", "postgres") from error
    mail: Any = Mail(url, retry_s)
    found: Line = mail
    return found


async def going(line: Line, opening: BatchOpen) -> Going:
    """A batch on that line.

    Raises:
        InvalidInput: the batch cannot have one of its options.
    """
    begin = getattr(line, "outgoing", None)
    if begin is not None:
        return cast("Going", await begin(opening))
    outgoing = Outgoing(line, opening)
    await outgoing.start()
    return outgoing


def door_of(url: str, parts: Parts) -> Opened:
    """The door of a scheduler; one that works for its own process alone, or in memory, has none."""
    place = locate(url)
    if not parts.settings.serves:
        return NoDoor()
    if place.remote:
        # As in `line_of`; the ledger has imported it already.
        from wsaios.door.mailroom import Mailroom  # noqa: PLC0415  # see above

        return Mailroom(url, parts)
    return NoDoor() if place.path is None else Door(place.path, parts.service, parts.log)
