"""1 → 100 → 1 tasks that depend on each other: from the start of the first to the result of the last."""

import asyncio
import time
from typing import Final

from benchmarks.figures import MS, Values, percentile
from benchmarks.loops import run
from benchmarks.processes import Given
from wsaios import Scheduler

WARM_UP: Final = 5
LANE: Final = "lane:default"


def measure(given: Given) -> Values:
    """`rounds` of 1 → `width` → 1 on `loop`, after a warm-up."""
    return run(_measured(given), given.word("loop"))


async def _measured(given: Given) -> Values:
    begun: dict[int, float] = {}

    async def step(number: int) -> int:
        begun.setdefault(number, time.perf_counter())
        return number

    async with Scheduler(given.ledger()) as scheduler:
        scheduler.add_handler("step", step)
        count, width = WARM_UP + given.number("rounds"), given.number("width")
        times_ms = [await _round(scheduler, number, width, begun) for number in range(count)]
    del times_ms[:WARM_UP]
    return {"p50_ms": [percentile(times_ms, 50)], "p99_ms": [percentile(times_ms, 99)]}


async def _round(scheduler: Scheduler, number: int, width: int, begun: dict[int, float]) -> float:
    """Submitted while the lane is paused, so that nothing has begun before everything stands."""
    await scheduler.pause(LANE)
    arguments = {"number": number}
    first = await scheduler.submit("step", arguments)
    middle = await asyncio.gather(*(scheduler.submit("step", arguments, depends_on=[first]) for _ in range(width)))
    last = await scheduler.submit("step", arguments, depends_on=list(middle))
    result = asyncio.create_task(last.result(timeout_s=60))
    await scheduler.resume(LANE)
    if await result != number:
        raise AssertionError(f"round {number} gave {result.result()!r}")
    return (time.perf_counter() - begun[number]) * MS
