"""A scheduler as a process of its own, until it is told to stop, or worse.

Usage: ``python -m tests.acceptance.chaos.worker URL``
"""

import asyncio
import itertools
import os
import sys

from wsaios import Scheduler
from wsaios.bootstrap import Settings


def main(url: str) -> None:
    scheduler = Scheduler(url, settings=Settings(grace_s=2.0))
    number = itertools.count(1)

    @scheduler.handler("work")
    async def work(n: int) -> list[object]:
        await asyncio.sleep(0.005)
        # No other execution returns the same: whoever saw a result can tell whether it is the one that stands.
        return [n, f"{os.getpid()}.{next(number)}"]

    asyncio.run(scheduler.run())


if __name__ == "__main__":
    main(sys.argv[1])
