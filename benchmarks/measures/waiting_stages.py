"""What happens to a ledger of waiting tasks, each in a process of its own: made, let go, started again."""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from benchmarks.figures import MIB, Sample, Values
from benchmarks.loops import run
from benchmarks.machine import memory_bytes
from benchmarks.measures.throughput import noop
from benchmarks.processes import Given, deliver
from wsaios import Scheduler

LANE: Final = "lane:default"
RUN: Final = 4_000
GRACE_S: Final = 2.0


def measure(given: Given) -> Values:
    """The `stage` that is asked for, on the ledger of that `name`."""
    stages = {"make": _make, "admit": _admit, "restart": _restart}
    return run(stages[given.word("stage")](given), "asyncio")


async def _make(given: Given) -> Values:
    """`rows` waiting tasks of one batch, submitted while their lane is paused."""
    rows = given.number("rows")
    async with Scheduler(given.ledger(given.word("name"))) as scheduler:
        scheduler.add_handler("noop", noop)
        await scheduler.pause(LANE)
        begun = time.perf_counter()
        batch = await scheduler.submit_many("noop", ({"i": i} for i in range(rows)))
        wall_s = time.perf_counter() - begun
        if len(batch) != rows:
            raise AssertionError(f"{len(batch)} of {rows} rows were accepted")
    return {"wall_s": [wall_s], "peak_mib": [memory_bytes("VmHWM") / MIB]}


async def _admit(given: Given) -> Values:
    """Resume the lane in a process that does not know the handler: everything waits for one that does."""
    async with Scheduler(given.ledger(given.word("name"))) as scheduler:
        await scheduler.resume(LANE)
    return {}


async def _restart(given: Given) -> Values:
    """From `start` to the first line of a handler; then 4,000 tasks and the peak of memory, or death at once."""
    name, kind = given.word("name"), given.word("kind")
    if kind == "cold":
        _drop_from_page_cache(Path(given.folder), name)
    first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    enough = asyncio.Event()
    count = 0

    async def counted(i: int) -> int:
        nonlocal count
        if not first.done():
            first.set_result(time.perf_counter())
        count += 1
        if count >= RUN:
            enough.set()
        return i

    scheduler = Scheduler(given.ledger(name), grace_s=GRACE_S)
    scheduler.add_handler("noop", counted)
    begun = time.perf_counter()
    await scheduler.start()
    start_s = await first - begun
    # The monotonic clock is the same for all processes, so the one that asked for this one told it when.
    process_s = begun + start_s - time.perf_counter() + time.monotonic() - given.spawned_s
    values = {"start_s": [start_s], "process_s": [process_s]}
    if kind == "killed":
        deliver(given, Sample(values))
        os._exit(0)
    await enough.wait()
    values["peak_mib"] = [memory_bytes("VmHWM") / MIB]
    await scheduler.stop()
    return values


def _drop_from_page_cache(folder: Path, name: str) -> None:
    for path in folder.glob(f"{name}.db*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
