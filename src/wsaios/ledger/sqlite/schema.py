"""The schema of a ledger: made, brought up to date, or refused."""

from typing import Final

import apsw

from wsaios.kernel.errors import LedgerBroken, LedgerTooNew, LedgerUnavailable
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.statements import migrations, statements
from wsaios.ledger.transfer import unfinished

APPLICATION_ID: Final = 0x57534149
"""What marks a SQLite file as a ledger: "WSAI" in its header."""


def upgrade(connection: apsw.Connection, ledger: str, failpoint: Failpoint = nothing) -> None:
    """Apply the migrations that are missing, each in one transaction. The caller holds the lock of the ledger.

    Raises:
        LedgerBroken: the database belongs to another program.
        LedgerTooNew: a newer version wrote it.
    """
    steps = migrations("sqlite")
    found = _inspect(connection, ledger, len(steps))
    for version in range(found + 1, len(steps) + 1):
        with connection:
            connection.execute(steps[version - 1])
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", version)
            failpoint("open.migrating")


def require(connection: apsw.Connection, ledger: str) -> None:
    """Make sure that the schema is the one this version reads.

    Raises:
        LedgerBroken, LedgerTooNew: as `upgrade`.
        LedgerUnavailable: it is older, and only an owner may change it.
    """
    known = len(migrations("sqlite"))
    found = _inspect(connection, ledger, known)
    if found < known:
        raise LedgerUnavailable.older(ledger, found, known)


def refuse_half(connection: apsw.Connection, ledger: str) -> None:
    """Make sure that this is no copy that was begun and not finished.

    Raises:
        LedgerUnavailable: it is.
    """
    sql = statements("sqlite", "opening")
    if connection.execute(sql["copying_there"]).get:
        raise unfinished(ledger, connection.execute(sql["copying_source"]).get)


def _inspect(connection: apsw.Connection, ledger: str, known: int) -> int:
    empty = connection.pragma("schema_version") == 0
    marked = connection.pragma("application_id")
    if marked != APPLICATION_ID and not (empty and marked == 0):
        raise LedgerBroken(ledger, "it is a SQLite database of another program; name another file")
    found = int(connection.pragma("user_version") or 0)
    if found > known:
        raise LedgerTooNew(ledger, found, known)
    return found
