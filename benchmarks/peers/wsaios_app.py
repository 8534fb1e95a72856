"""WSAIOS with a worker process and a client in another one; run with the Python of this project."""

import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import uvloop

from benchmarks.peers.line import TOLD, drive, drive_async, facts
from wsaios import AsyncClient, Client, Scheduler

URL: str = TOLD["url"]
WAIT_S = 120.0


async def noop(i: int) -> int:
    """Return what came."""
    return i


def work() -> None:
    """Serve until SIGTERM."""
    scheduler = Scheduler(URL)
    scheduler.add_handler("noop", noop)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scheduler.run())


def _one(client: Client, told: dict[str, object]) -> None:
    """One caller, each task acknowledged before the next is submitted."""

    def submit(n: int) -> list[Any]:
        return [client.submit("noop", {"i": i}) for i in range(n)]

    def collect(tasks: Sequence[Any]) -> int:
        return sum(task.result(timeout_s=WAIT_S) == i for i, task in enumerate(tasks))

    drive(submit, collect, told)


def _many(client: Client, told: dict[str, object]) -> None:
    """One call for all."""

    def submit(n: int) -> list[Any]:
        return [client.submit_many("noop", ({"i": i} for i in range(n)))]

    def collect(batches: Sequence[Any]) -> int:
        view = client.wait(batches[0].id, timeout_s=WAIT_S)
        return int(view.ended.get("succeeded", 0))

    drive(submit, collect, told)


async def _callers(told: dict[str, object]) -> None:
    """As many callers as said, each task acknowledged by a call of its own."""
    async with AsyncClient(URL) as client:

        async def submit(n: int) -> list[Any]:
            numbers = iter(range(n))
            tasks: list[Any] = [None] * n

            async def caller() -> None:
                for i in numbers:
                    tasks[i] = await client.submit("noop", {"i": i})

            await asyncio.gather(*(caller() for _ in range(TOLD["callers"])))
            return tasks

        async def collect(tasks: list[Any]) -> int:
            numbers = iter(range(len(tasks)))
            right = 0

            async def caller() -> None:
                nonlocal right
                for i in numbers:
                    value = await tasks[i].result(timeout_s=WAIT_S)
                    right += value == i

            await asyncio.gather(*(caller() for _ in range(TOLD["callers"])))
            return right

        await drive_async(submit, collect, told)


def main() -> None:
    """Submit, collect, tell."""
    where = "SQLite, WAL, synchronous=FULL" if URL.startswith("sqlite") else "PostgreSQL, synchronous_commit on"
    told = facts("wsaios", version("wsaios"), where, survives=True)
    if TOLD["how"] == "callers":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_callers(told))
        return
    with Client(URL) as client:
        (_one if TOLD["how"] == "one" else _many)(client, told)


if __name__ == "__main__" and sys.argv[1:] == ["work"]:
    work()
