"""Submitting inside a transaction of one's own, with the drivers that people use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg.rows import dict_row, scalar_row

from tests.acceptance.postgres.owners import ask
from tests.integration.door.owners import Owner
from tests.servers.postgres import PostgresServer
from wsaios import AsyncClient, submit_in
from wsaios.kernel.errors import IdempotencyConflict, InvalidInput, LedgerUnavailable, TaskFailed, UnknownTask

Opened = tuple[Any, Callable[[str], Awaitable[object]]]


@asynccontextmanager
async def by_asyncpg(url: str) -> AsyncIterator[Opened]:
    connection = await asyncpg.connect(url)
    yield connection, connection.execute
    await connection.close()


@asynccontextmanager
async def by_asyncpg_pool(url: str) -> AsyncIterator[Opened]:
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool, pool.acquire() as connection:
        yield connection, connection.execute


@asynccontextmanager
async def by_psycopg(url: str) -> AsyncIterator[Opened]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection, connection.execute


@asynccontextmanager
async def by_psycopg_with_dicts(url: str) -> AsyncIterator[Opened]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        yield connection, connection.execute


@asynccontextmanager
async def by_blocking_psycopg(url: str) -> AsyncIterator[Opened]:
    with psycopg.connect(url, autocommit=True) as connection:

        async def execute(text: str) -> object:
            return connection.execute(text)

        yield connection, execute


class TheirRecord(asyncpg.Record):
    """One that gives nothing away by its place."""

    def __iter__(self) -> Any:
        return iter(self.keys())


class TheirAsyncConnection(psycopg.AsyncConnection[Any]):
    """Of a module of the user's own."""


class TheirConnection(psycopg.Connection[Any]):
    """Of a module of the user's own."""


@asynccontextmanager
async def by_asyncpg_with_records_of_their_own(url: str) -> AsyncIterator[Opened]:
    connection = await asyncpg.connect(url, record_class=TheirRecord)
    yield connection, connection.execute
    await connection.close()


@asynccontextmanager
async def by_psycopg_of_their_own(url: str) -> AsyncIterator[Opened]:
    async with await TheirAsyncConnection.connect(url, autocommit=True, row_factory=scalar_row) as connection:
        yield connection, connection.execute


@asynccontextmanager
async def by_blocking_psycopg_of_their_own(url: str) -> AsyncIterator[Opened]:
    with TheirConnection.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:

        async def execute(text: str) -> object:
            return connection.execute(text.encode())

        yield connection, execute


Open = Callable[[str], AbstractAsyncContextManager[Opened]]
WAYS = [
    by_asyncpg,
    by_asyncpg_pool,
    by_asyncpg_with_records_of_their_own,
    by_psycopg,
    by_psycopg_with_dicts,
    by_psycopg_of_their_own,
    by_blocking_psycopg,
    by_blocking_psycopg_of_their_own,
]


@pytest.fixture
def schema(url: str) -> str:
    return url.partition("schema=")[2]


@pytest.mark.parametrize("way", WAYS)
async def test_a_task_exists_when_its_transaction_commits_and_not_before(
    postgres: PostgresServer, schema: str, owner: Owner, client: AsyncClient, way: Open
) -> None:
    async with way(postgres.url()) as (connection, execute):
        await execute("BEGIN")
        task = await submit_in(connection, "shout", {"text": "käse"}, schema=schema, priority=3)
        with pytest.raises(UnknownTask):
            await client.status(task)
        await execute("COMMIT")
        assert await client.result(task, timeout_s=20) == "KÄSE"
        assert (await client.status(task)).priority == 3
        await execute("BEGIN")
        gone = await submit_in(connection, "echo", {"value": 1}, schema=schema, idempotency_key="k")
        await execute("ROLLBACK")
        with pytest.raises(UnknownTask):
            await client.status(gone)
        again = await submit_in(connection, "echo", {"value": 2}, schema=schema, idempotency_key="k")
        assert again != gone
        assert await client.result(again, timeout_s=20) == 2


async def test_what_is_refused_leaves_the_transaction_as_it_was(
    postgres: PostgresServer, schema: str, owner: Owner, client: AsyncClient
) -> None:
    connection = await asyncpg.connect(postgres.url())
    async with connection.transaction():
        first = await submit_in(connection, "echo", {"value": 1}, schema=schema, idempotency_key="k")
        assert await submit_in(connection, "echo", {"value": 1}, schema=schema, idempotency_key="k") == first
        child = await submit_in(connection, "echo", {"value": 2}, schema=schema, depends_on=first)
        with pytest.raises(IdempotencyConflict, match=first):
            await submit_in(connection, "echo", {"value": 9}, schema=schema, idempotency_key="k")
        with pytest.raises(InvalidInput, match="no task task_0000000000001"):
            await submit_in(connection, "echo", {}, schema=schema, depends_on="task_0000000000001")
        with pytest.raises(InvalidInput, match="max_attempts"):
            await submit_in(connection, "echo", {}, schema=schema, max_attempts=0)
        with pytest.raises(InvalidInput, match="arguments"):
            await submit_in(connection, "echo", {"value": object()}, schema=schema)
    await connection.close()
    assert [await client.result(number, timeout_s=20) for number in (first, child)] == [1, 2]
    assert (await client.overview()).ended == {"succeeded": 2}


async def test_what_nobody_can_do_is_said(postgres: PostgresServer, schema: str) -> None:
    connection = await asyncpg.connect(postgres.url())
    with pytest.raises(LedgerUnavailable, match="has no ledger"):
        await submit_in(connection, "echo", {}, schema=schema)
    with pytest.raises(InvalidInput, match="lower-case"):
        await submit_in(connection, "echo", {}, schema='x"; DROP TABLE live')
    await connection.close()
    for odd in (None, 7, "postgresql://me@host/work"):
        with pytest.raises(InvalidInput, match="must be a connection of asyncpg or psycopg"):
            await submit_in(odd, "echo", {})


async def test_a_pool_is_refused_for_it_would_commit_elsewhere(
    postgres: PostgresServer, schema: str, owner: Owner
) -> None:
    async with asyncpg.create_pool(postgres.url(), min_size=1, max_size=2) as pool:
        with pytest.raises(InvalidInput, match=r"out of a pool: what acquire\(\).*, not Pool"):
            await submit_in(pool, "echo", {"value": 1}, schema=schema)
    assert await ask(postgres, f"x?schema={schema}", "SELECT * FROM intake") == []


async def test_another_user_of_the_database_may_submit_with_few_rights(
    postgres: PostgresServer, schema: str, owner: Owner, client: AsyncClient
) -> None:
    master = await asyncpg.connect(postgres.url())
    await master.execute(f"""
        CREATE ROLE clerk LOGIN;
        GRANT USAGE ON SCHEMA {schema} TO clerk;
        GRANT SELECT ON {schema}.live, {schema}.outcome TO clerk;
        GRANT SELECT, INSERT ON {schema}.intake TO clerk;
        GRANT SELECT, INSERT, UPDATE ON {schema}.idempotency TO clerk;
        GRANT SELECT, UPDATE ON SEQUENCE {schema}.intake_id TO clerk;
    """)
    clerk = await asyncpg.connect(postgres.url(user="clerk"))
    first = await submit_in(clerk, "echo", {"value": 1}, schema=schema, idempotency_key="k")
    task = await submit_in(clerk, "echo", {"value": 2}, schema=schema, depends_on=first)
    assert await client.result(task, timeout_s=20) == 2
    await clerk.close()
    await master.execute("DROP OWNED BY clerk; DROP ROLE clerk")
    await master.close()


async def test_a_scheduler_refuses_late_what_it_cannot_run(
    postgres: PostgresServer, schema: str, owner: Owner, client: AsyncClient
) -> None:
    connection = await asyncpg.connect(postgres.url())
    task = await submit_in(connection, "shout", {}, schema=schema)
    await connection.close()
    with pytest.raises(TaskFailed, match="needs 'text'"):
        await client.result(task, timeout_s=20)


async def test_ids_are_given_once_whoever_asks(postgres: PostgresServer, schema: str, client: AsyncClient) -> None:
    tasks = [(await client.submit("echo", {"value": 0})).id]
    connections = [await asyncpg.connect(postgres.url()) for _ in range(4)]
    for _ in range(25):
        tasks += [await submit_in(connection, "echo", {"value": 1}, schema=schema) for connection in connections]
        tasks += [(await client.submit("echo", {"value": 2})).id]
    assert len(set(tasks)) == len(tasks)
    rows = await ask(postgres, f"x?schema={schema}", "SELECT first, last FROM intake ORDER BY first")
    assert all(one[1] < other[0] for one, other in pairwise(rows))
    for connection in connections:
        await connection.close()
