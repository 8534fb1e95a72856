"""The same rows out of a ledger on PostgreSQL: plain SQL, past all code of the product."""

import asyncio
import json
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from tests.acceptance.crash.ledger_rows import LEFT, REFUSED, Rows, Sealed, ended_of
from wsaios.kernel.ids import encode

_OUTCOMES: Final = """
    SELECT outcome.id, outcome.fence, outcome.state, shard.handler, shard.batch, shard.concurrency_key,
           convert_from(payload.data, 'UTF8'), convert_from(outcome.result, 'UTF8'), outcome.failure::text,
           outcome.body::text, outcome.ended_us
    FROM outcome LEFT JOIN shard ON shard.id = outcome.shard LEFT JOIN payload ON payload.id = outcome.id
    ORDER BY outcome.id
"""


def ask(url: str, statement: str) -> list[Any]:
    """What one statement answers in the schema of a ledger."""
    return asyncio.run(fetch(url, statement))


async def fetch(url: str, statement: str) -> list[Any]:
    """What one statement answers in the schema of a ledger."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    schema = options.pop("schema", "wsaios")
    server = urlunsplit(parts._replace(query=urlencode(options)))
    connection = await asyncpg.connect(server, server_settings={"search_path": schema})
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


def made(url: str) -> bool:
    """Whether there is a ledger, however empty."""
    return bool(ask(url, "SELECT to_regclass('migration') IS NOT NULL AND to_regclass('outcome') IS NOT NULL")[0][0])


def read_postgres(url: str) -> Rows:
    """Read a ledger that no process owns."""
    parts: dict[int, list[Any]] = {}
    for task, entries in ask(url, "SELECT task, entries::text FROM history_part ORDER BY task, part"):
        parts.setdefault(task, []).extend(json.loads(entries))
    ended = tuple(ended_of(tuple(row), parts.get(row[0], [])) for row in ask(url, _OUTCOMES))
    batches = tuple(
        Sealed(encode(row[0], "batch"), row[1], row[2]) for row in ask(url, "SELECT id, state, rows FROM batch")
    )
    keys = {key: encode(task) for key, task in ask(url, "SELECT convert_from(key, 'UTF8'), task FROM idempotency")}
    left = {table: int(ask(url, f"SELECT count(*) FROM {table}")[0][0]) for table in LEFT}
    return Rows(ended, batches, keys, left, tuple(_damage(url)))


def _damage(url: str) -> list[str]:
    found = []
    for what, statement in REFUSED.items():
        try:
            ask(url, statement.replace("x'00'", "'\\x00'"))
        except asyncpg.IntegrityConstraintViolationError:
            continue
        found.append(f"the schema lets {what} through")
    return found
