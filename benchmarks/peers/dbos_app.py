"""dbos on PostgreSQL: workflows without steps, in the process that starts them."""

import asyncio
from importlib.metadata import version
from typing import Any

from dbos import DBOS

from benchmarks.peers.line import TOLD, drive_async, facts
from benchmarks.peers.postgres_facts import durability


async def _noop(i: int) -> int:
    return i


noop = DBOS.workflow()(_noop)


async def run(n: int) -> list[Any]:
    """Start a workflow and await its result, from as many coroutines as said."""
    numbers = iter(range(n))
    results: list[Any] = [None] * n

    async def caller() -> None:
        for i in numbers:
            handle = await DBOS.start_workflow_async(noop, i)
            results[i] = await handle.get_result()

    await asyncio.gather(*(caller() for _ in range(TOLD["callers"])))
    return results


async def collect(results: list[Any]) -> int:
    """They are there."""
    return sum(value == i for i, value in enumerate(results))


def main() -> None:
    """Submit, collect, tell."""
    said, survives = durability(TOLD["url"])
    url = TOLD["url"].replace("postgresql://", "postgresql+psycopg://")
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    asyncio.run(drive_async(run, collect, facts("dbos", version("dbos"), said, survives=survives)))
    DBOS.destroy()
