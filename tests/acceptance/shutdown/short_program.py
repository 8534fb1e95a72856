"""A program with many short calls in worker processes, some of which may run at most once; its argument is a folder.

One of the calls kills it.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from wsaios import AsyncClient, LaneSpec, Scheduler

SLOTS: Final = 2
ROWS: Final = 300
LIMIT_S: Final = 60.0
_DEADLY: Final = 45
_TOGETHER: Final = 5


def short(folder: str, call: int) -> None:
    """Leave a line, and take some time; one of them kills the scheduler, once."""
    with Path(folder, "begun").open("a", encoding="ascii") as file:
        file.write(f"{call}\n")
    killed = Path(folder, "killed")
    if call == _DEADLY and not killed.exists():
        killed.touch()
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.0002)


def delivery(call: int) -> str:
    """Some of one kind, then as many of the other."""
    return ("at_most_once", "at_least_once")[call // _TOGETHER % 2]


def scheduler(folder: Path) -> Scheduler:
    """One that knows the function."""
    made = Scheduler(f"sqlite:///{folder}/work.db", lanes={"process": LaneSpec("process", SLOTS, "process")})
    made.add_handler("short", short, lane="process")
    return made


async def the_rest(folder: Path) -> None:
    """Go on with what is left, until all is over."""
    async with scheduler(folder), AsyncClient(f"sqlite:///{folder}/work.db") as client, asyncio.timeout(LIMIT_S):
        while await client.tasks(["ready", "running", "retrying"], limit=1):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


async def main(folder: Path) -> None:
    """Serve until it is killed."""
    served = scheduler(folder)
    await served.start()
    for _ in range(20):
        await (await served.submit("short", {"folder": str(folder), "call": -1})).result()
    await served.pause("lane:process")
    calls = [served.submit("short", {"folder": str(folder), "call": i}, delivery=delivery(i)) for i in range(ROWS)]
    await asyncio.gather(*calls)
    await served.resume("lane:process")
    await served.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
