"""A program whose function in a thread starts processes and ends them by a signal.

Its arguments are a folder, whether it serves by ``run`` or in a ``block``, and the signals. It prints how each process
ended, and says ``stopped`` at its end.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from wsaios import Scheduler

LIMIT_S = 30.0
NAP_S = 5.0


def end(number: int) -> int | None:
    """The exit status of a process that got this signal."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(NAP_S,))
    process.start()
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join()
    return process.exitcode


async def ask(scheduler: Scheduler, names: list[str]) -> None:
    """Have processes end, one after the other."""
    for name in names:
        task = await scheduler.submit("end", {"number": signal.Signals[name]})
        print(await task.result(timeout_s=LIMIT_S), flush=True)


async def main(folder: Path, way: str, names: list[str]) -> None:
    """Serve until a signal, or until all is done."""
    scheduler = Scheduler(f"sqlite:///{folder}/work.db")
    scheduler.add_handler("end", end, lane="thread", max_attempts=1)
    if way == "block":
        async with scheduler:
            await ask(scheduler, names)
    else:
        await scheduler.start()
        serving = asyncio.create_task(scheduler.run())
        await ask(scheduler, names)
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
