"""A process that owns a ledger on PostgreSQL and does its work until it is told to stop, or worse.

Usage: ``python -m tests.acceptance.postgres.worker URL ROWS SECONDS``: with ROWS it submits a batch of so many, whose
rows take so many seconds each. It says ``owner`` when it owns, and ``batch ID`` when the batch is durable.
"""

import asyncio
import os
import signal
import sys

from wsaios import Scheduler
from wsaios.bootstrap import Settings
from wsaios.kernel.errors import WsaiosError

LEASE_S = 2.0


async def main(url: str, rows: int, each_s: float) -> None:
    # One that serves nobody does not stand by: it is told that it does not own.
    scheduler = Scheduler(url, settings=Settings(lease_s=LEASE_S, grace_s=0.5, serves=False))

    @scheduler.handler("work")
    async def work(n: int) -> list[int]:
        await asyncio.sleep(each_s)
        return [n, os.getpid()]

    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    try:
        await scheduler.start()
    except WsaiosError as error:
        say(f"{type(error).__name__} {error}")
        return
    say("owner")
    if rows:
        batch = await scheduler.submit_many("work", ({"n": n} for n in range(rows)))
        say(f"batch {batch.id}")
    await asked.wait()
    await scheduler.stop()


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
