"""procrastinate on PostgreSQL. It keeps no results: a job that succeeded is the end of it."""

import asyncio
from importlib.metadata import version
from typing import Any

import procrastinate
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers.line import TOLD, drive_async, facts
from benchmarks.peers.postgres_facts import durability

CHUNK = 1_000
POLL_S = 0.05
OPEN = """\
SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE id >= %(first)s AND status IN ('todo', 'doing')) AS left"""
SUCCEEDED = """\
SELECT count(*) AS jobs FROM procrastinate_jobs WHERE id >= %(first)s AND status = 'succeeded'"""


def pool(**told: Any) -> AsyncConnectionPool:
    """Without procrastinate's `check`, which asks a connection whether it lives before each statement."""
    return AsyncConnectionPool(**told | {"check": None})


async def autocommit(connection: AsyncConnection[Any]) -> None:
    """All it sends is one statement at a time, which needs no BEGIN and no COMMIT around it."""
    await connection.set_autocommit(True)


app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(
        conninfo=TOLD["url"], min_size=TOLD["pool"], max_size=TOLD["pool"], pool_factory=pool, configure=autocommit
    )
)


async def _noop(i: int) -> int:
    return i


noop = app.task(name="noop")(_noop)


async def defer(n: int) -> list[int]:
    """One call a job, from as many coroutines as the pool has connections."""
    numbers = iter(range(n))
    jobs: list[int] = []

    async def caller() -> None:
        jobs.extend([await noop.defer_async(i=i) for i in numbers])

    await asyncio.gather(*(caller() for _ in range(TOLD["pool"])))
    return jobs


async def defer_many(n: int) -> list[int]:
    """A thousand jobs a call."""
    jobs: list[int] = []
    for first in range(0, n, CHUNK):
        jobs += await noop.batch_defer_async(*({"i": i} for i in range(first, min(n, first + CHUNK))))
    return jobs


async def collect(jobs: list[int]) -> int:
    """Until none of them is left to do."""
    first = min(jobs)
    while True:
        if not (await app.connector.execute_query_one_async(OPEN, first=first))["left"]:
            return int((await app.connector.execute_query_one_async(SUCCEEDED, first=first))["jobs"])
        await asyncio.sleep(POLL_S)


async def _main() -> None:
    said, survives = durability(TOLD["url"])
    told = facts("procrastinate", version("procrastinate"), said, survives=survives)
    async with app.open_async():
        await drive_async(defer_many if TOLD.get("many") else defer, collect, told)


def main() -> None:
    """Submit, collect, tell."""
    asyncio.run(_main())
