"""The idle round trip: one durable task at a time, from `submit` to its result."""

import time
from typing import Final

from benchmarks.figures import MS, Values, percentile
from benchmarks.loops import run
from benchmarks.measures.throughput import noop
from benchmarks.processes import Given
from wsaios import Scheduler

WARM_UP: Final = 200


def measure(given: Given) -> Values:
    """`rounds` of them on `loop`, after a warm-up."""
    return run(_measured(given), given.word("loop"))


async def _measured(given: Given) -> Values:
    times_ms, submits_ms = [], []
    async with Scheduler(given.ledger()) as scheduler:
        scheduler.add_handler("noop", noop)
        for number in range(WARM_UP + given.number("rounds")):
            begun = time.perf_counter()
            task = await scheduler.submit("noop", {"i": number})
            submitted = time.perf_counter()
            result = await task.result()
            times_ms.append((time.perf_counter() - begun) * MS)
            submits_ms.append((submitted - begun) * MS)
            if result != number:
                raise AssertionError(f"{result!r} is not {number}")
    del times_ms[:WARM_UP], submits_ms[:WARM_UP]
    return {
        "p50_ms": [percentile(times_ms, 50)],
        "p99_ms": [percentile(times_ms, 99)],
        "submit_p50_ms": [percentile(submits_ms, 50)],
    }
