"""A program that serves until it is told to stop: its arguments are a folder, the grace time in seconds, and tasks.

It submits the tasks, says ``serving`` once it hears signals and their handlers have begun, and ``stopped`` at its end.
Handlers append a line to a trace when they begin, and go on until there is a file ``release`` in the folder.
"""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

from wsaios import Scheduler

LOOK_S = 0.005


async def main(folder: Path, grace_s: float, tasks: list[str]) -> None:
    """Serve with one slot in each lane."""
    scheduler = Scheduler(f"sqlite:///{folder}/work.db", lanes={"default": 1, "thread": 1}, grace_s=grace_s)
    begun: dict[str, asyncio.Event] = {lane: asyncio.Event() for lane in ("coroutine", "stubborn", "thread")}
    loop = asyncio.get_running_loop()

    def note(lane: str, call: str) -> None:
        trace = os.open(folder / "trace", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(trace, f"{call}\n".encode())
        os.close(trace)
        loop.call_soon_threadsafe(begun[lane].set)

    @scheduler.handler("coroutine")
    async def coroutine(call: str) -> str:
        note("coroutine", call)
        while not (folder / "release").exists():  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(LOOK_S)
        return f"{call} {os.getpid()}"

    @scheduler.handler("stubborn")
    async def stubborn(call: str) -> str:
        note("stubborn", call)
        while not (folder / "release").exists():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(LOOK_S)
        return f"{call} {os.getpid()}"

    @scheduler.handler("thread")
    def thread(call: str) -> str:
        note("thread", call)
        while not (folder / "release").exists():
            time.sleep(LOOK_S)
        return f"{call} {os.getpid()}"

    await scheduler.start()
    for name in tasks:
        lane, _, delivery = name.partition(":")
        await scheduler.submit(lane, {"call": name}, delivery=delivery or None)
    for lane in {name.partition(":")[0] for name in tasks}:
        await begun[lane].wait()
    # Runs when `run` waits for a signal for the first time.
    loop.call_soon(lambda: print("serving", flush=True))
    await scheduler.run()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
