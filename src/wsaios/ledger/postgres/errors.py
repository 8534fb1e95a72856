"""What errors of PostgreSQL and its driver mean to a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
import msgspec
from asyncpg.exceptions._base import ClientConfigurationError, InterfaceError, InternalClientError, PostgresError

from wsaios.kernel.errors import LedgerBroken, LedgerUnavailable, OperatorError

Meaning = tuple[type[BaseException] | tuple[type[BaseException], ...], type[LedgerBroken | LedgerUnavailable], str]
DRIVER_ERRORS: Final = (PostgresError, InterfaceError, InternalClientError, OSError)
"""Everything by which the driver says that something went wrong; time-outs are among them."""
LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    InterfaceError,
    InternalClientError,
    OSError,
)
"""The connection is gone, or the server is about to go."""
_MEANINGS: Final[tuple[Meaning, ...]] = (
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        LedgerUnavailable,
        "the server refuses this user; check user and password in the URL, PGPASSWORD and pg_hba.conf",
    ),
    (asyncpg.InvalidCatalogNameError, LedgerUnavailable, "there is no such database; make it with createdb"),
    (
        asyncpg.InsufficientPrivilegeError,
        LedgerUnavailable,
        "the user may not do that; make it the owner of the schema, or grant it CREATE on the database",
    ),
    (
        ClientConfigurationError,
        LedgerUnavailable,
        "the driver cannot connect with these options; check the URL and the variables PG… of the environment",
    ),
    (asyncpg.TooManyConnectionsError, LedgerUnavailable, "the server has no connection left; raise max_connections"),
    (asyncpg.DiskFullError, LedgerUnavailable, "the server's disk is full; make room and start again"),
    (
        asyncpg.ReadOnlySQLTransactionError,
        LedgerUnavailable,
        "the server takes no writes; name the primary, not a standby",
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError),
        LedgerBroken,
        "a part of its schema is gone; put back a copy of it",
    ),
    (
        (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError),
        LedgerBroken,
        "its files are damaged; put back a copy of it",
    ),
    (
        (asyncpg.IntegrityConstraintViolationError, asyncpg.CardinalityViolationError, asyncpg.DataError),
        LedgerBroken,
        "a rule of the ledger was violated, nothing was written",
    ),
    (
        (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, InterfaceError, InternalClientError),
        LedgerUnavailable,
        "the connection to the server is lost; see whether it runs",
    ),
    (TimeoutError, LedgerUnavailable, "the server did not answer in time; see whether it runs and can be reached"),
    (OSError, LedgerUnavailable, "the server cannot be reached; check host and port, and that it runs"),
)


@contextmanager
def translated(ledger: str) -> Iterator[None]:
    """Turn errors of the database, and rows that cannot be read, into errors of the ledger."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise meaning(ledger, error) from error
    except msgspec.DecodeError as error:
        raise LedgerBroken(ledger, f"a row cannot be read ({error}); put back a copy of the ledger") from error


def meaning(ledger: str, error: BaseException) -> OperatorError:
    """What an error means; messages of the driver name no password."""
    said = str(error) or type(error).__name__
    for kind, wrap, reason in _MEANINGS:
        if isinstance(error, kind):
            return wrap(ledger, f"{reason} ({said})")
    return LedgerUnavailable(ledger, f"the server says: {said}")
