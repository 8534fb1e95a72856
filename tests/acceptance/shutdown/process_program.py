"""A program with functions in worker processes: its arguments are a folder and the tasks to submit.

It says ``serving`` once their calls have begun, and ``stopped`` at its end.
"""

import asyncio
import ctypes
import multiprocessing
import os
import sys
import time
from pathlib import Path

from wsaios import LaneSpec, Scheduler

LOOK_S = 0.005


def wait(folder: str) -> int:
    """Go on until there is a file ``release``."""
    Path(folder, f"began-wait-{os.getpid()}").touch()
    while not Path(folder, "release").exists():
        time.sleep(LOOK_S)
    return os.getpid()


def seize(folder: str) -> None:
    """Sleep without letting the interpreter go: no other thread of this process runs."""
    Path(folder, f"began-seize-{os.getpid()}").touch()
    ctypes.PyDLL(None).sleep(3600)


def bear(folder: str) -> None:
    """Fork a process that sleeps, and sleep as well."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,))
    process.start()
    Path(folder, f"began-bear-{os.getpid()}").touch()
    process.join()


def idle(folder: str) -> None:
    """End at once."""
    Path(folder, f"began-idle-{os.getpid()}").touch()


async def main(folder: Path, tasks: list[str]) -> None:
    """Serve until a signal."""
    lanes = {"process": LaneSpec("process", 3, "process")}
    scheduler = Scheduler(f"sqlite:///{folder}/work.db", lanes=lanes, grace_s=600.0)
    for function in (wait, seize, idle, bear):
        scheduler.add_handler(function.__name__, function, lane="process")
    await scheduler.start()
    for name in tasks:
        await scheduler.submit(name, {"folder": str(folder)}, delivery="at_most_once")
    while len(list(folder.glob("began-*"))) < len(tasks):  # noqa: ASYNC110  # a file tells nobody
        await asyncio.sleep(LOOK_S)
    asyncio.get_running_loop().call_soon(lambda: print("serving", flush=True))
    await scheduler.run()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
