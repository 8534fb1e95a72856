"""procrastinate on PostgreSQL. It keeps no results: a job that succeeded is the end of it."""

import asyncio
from importlib.metadata import version

import procrastinate

from benchmarks.peers.line import TOLD, drive_async, facts
from benchmarks.peers.postgres_facts import durability

CHUNK = 1_000
POLL_S = 0.05
COUNT = """\
SELECT count(*) FILTER (WHERE status IN ('todo', 'doing')) AS open,
       count(*) FILTER (WHERE status = 'succeeded') AS succeeded
FROM procrastinate_jobs WHERE id >= %(first)s"""
app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=TOLD["url"], min_size=TOLD["pool"], max_size=TOLD["pool"])
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
    while True:
        found = await app.connector.execute_query_one_async(COUNT, first=min(jobs))
        if not found["open"]:
            return int(found["succeeded"])
        await asyncio.sleep(POLL_S)


async def _main() -> None:
    said, survives = durability(TOLD["url"])
    told = facts("procrastinate", version("procrastinate"), said, survives=survives)
    async with app.open_async():
        await drive_async(defer_many if TOLD.get("many") else defer, collect, told)


def main() -> None:
    """Submit, collect, tell."""
    asyncio.run(_main())
