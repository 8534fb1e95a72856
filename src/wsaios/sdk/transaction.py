"""Submitting inside a transaction of the user's own: the task exists when, and only when, that is committed."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from wsaios.bootstrap import SystemClock
from wsaios.kernel.errors import IdempotencyConflict, InvalidInput, LedgerUnavailable, UnknownTask
from wsaios.kernel.ids import encode
from wsaios.ledger.postgres.address import SCHEMA, channel_of, checked_schema
from wsaios.planning.calls import Calls
from wsaios.planning.calls import name as text
from wsaios.planning.leaving import leave
from wsaios.scheduler.service import Limits
from wsaios.sdk.outward import plain

_TYPES: Final = ("bytea", "bytea", "bytea", "text", "bigint", "bigint[]", "text")
_NOT_THERE: Final = {"3F000", "42883", "42P01"}  # no such schema, function, table
_WANTED: Final = (
    "must be a connection of asyncpg or psycopg that has your transaction (one out of a pool: what acquire() of "
    "asyncpg's, or connection() of psycopg's gives)"
)


async def submit_in(
    connection: Any,
    handler: str,
    arguments: Mapping[str, object] | None = None,
    /,
    *,
    schema: str = SCHEMA,
    **options: Any,
) -> str:
    """Submit one task inside the transaction that is open on a connection to PostgreSQL; returns the task's id.

    The task exists from the moment that transaction commits, and never if it does not. `connection` is one of asyncpg
    (also out of its pool, but not the pool) or of psycopg, with or without async, whatever rows it makes; `schema` is
    that of the ledger, which must be in the same database. Options are those of `Scheduler.submit`; a handler's own
    defaults apply where none is given.

    Raises:
        InvalidInput, IdempotencyConflict: nothing was submitted, and the transaction may go on.
        LedgerUnavailable: there is no ledger in that schema. The transaction has failed, as after any error of the
            driver, which is raised as it is.
    """
    calls = Calls(Limits().payload_bytes)
    left = leave(calls, handler, calls.encode(arguments, None), plain(options), SystemClock().now_us())
    task = left.task
    given = [
        msgspec.msgpack.encode([left]),
        task.tenant.encode(),
        task.idempotency_key.encode() or None,
        task.digest,
        task.idempotency_window_us,
        list(task.depends_on),
        channel_of(checked_schema(text("schema", schema)), "in"),
    ]
    try:
        number, known, missing = await _one_row(connection, schema, given)
    except Exception as error:
        if getattr(error, "sqlstate", None) in _NOT_THERE:
            reason = f"schema {schema!r} has no ledger, or an older one; start a scheduler on it once"
            raise LedgerUnavailable("the connection's database", reason) from error
        raise
    if missing is not None:
        raise InvalidInput("depends_on", str(UnknownTask(encode(missing))))
    if known is not None and known != task.digest:
        raise IdempotencyConflict(task.idempotency_key, encode(number))
    return encode(number)


async def _one_row(connection: Any, schema: str, given: Sequence[object]) -> Any:
    """The row, whatever rows and cursors the connection makes for its owner."""
    # A connection is of a driver that is loaded; one that is not may not even be installed.
    asyncpg, psycopg = sys.modules.get("asyncpg"), sys.modules.get("psycopg")
    if asyncpg is not None and isinstance(connection, asyncpg.Connection):
        query = _query(schema, [f"${place}::{kind}" for place, kind in enumerate(_TYPES, 1)])
        return tuple(await connection.fetchrow(query, *given, record_class=asyncpg.Record))
    query = _query(schema, [f"%s::{kind}" for kind in _TYPES])
    if psycopg is not None and isinstance(connection, psycopg.AsyncConnection):
        async with psycopg.AsyncCursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
            await cursor.execute(query, given)
            return await cursor.fetchone()
    if psycopg is not None and isinstance(connection, psycopg.Connection):
        with psycopg.Cursor(connection, row_factory=psycopg.rows.tuple_row) as cursor:
            return cursor.execute(query, given).fetchone()
    raise InvalidInput("connection", f"{_WANTED}, not {type(connection).__name__}")


def _query(schema: str, values: list[str]) -> str:
    *leaving, channel = values
    return (
        "SELECT told.id, told.known, told.missing "  # noqa: S608  # the schema is checked
        f"FROM \"{schema}\".intake_leave(NULL, {', '.join(leaving)}) AS told, pg_notify({channel}, '')"
    )
