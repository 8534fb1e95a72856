"""A fixed piece of work beside much that waits, or over many lanes, tenants and handlers; in processes of its own."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.figures import MIB, MS, Values, percentile
from benchmarks.loops import run
from benchmarks.machine import memory_bytes, own_s
from benchmarks.measures.throughput import noop
from benchmarks.processes import Given
from wsaios import LaneSpec, Scheduler

ASIDE: Final = LaneSpec("aside", 1)
CALLERS: Final = 250
WARM_UP: Final = 500
AT_ONCE: Final = 50
DAY_S: Final = 86_400.0
SLOTS: Final = 1_000


def measure(given: Given) -> Values:
    """The `stage` that is asked for: ``make`` what waits, or do the ``piece`` beside it."""
    return run({"make": _make, "piece": _piece}[given.word("stage")](given), "uvloop")


async def _make(given: Given) -> Values:
    """`waiting` tasks, a third each in a paused lane, without a handler, and with a time; and one for every start.

    They belong to the `tenants`, and those without a handler to as many as there are `handlers`.
    """
    tenants, handlers = given.number("tenants"), given.number("handlers")
    shares = max(tenants, handlers)
    third = given.number("waiting") // 3
    gate = asyncio.Semaphore(AT_ONCE)
    begun = time.perf_counter()
    async with Scheduler(given.ledger(given.word("name")), lanes=_lanes(given)) as scheduler:
        scheduler.add_handler("noop", noop)
        await scheduler.pause(f"lane:{ASIDE.name}")

        async def some(place: int) -> None:
            n = third // shares + (place < third % shares)
            tenant = f"tenant-{place % tenants}"
            if not n:
                return
            async with gate:
                await scheduler.submit_many("noop", _rows(n), tenant=tenant, lane=ASIDE.name)
                await scheduler.submit_many(f"absent-{place % handlers}", _rows(n), tenant=tenant)
                await scheduler.submit_many("noop", _rows(n), tenant=tenant, delay_s=DAY_S)

        await asyncio.gather(*(some(place) for place in range(shares)))
        for number in range(given.runs):
            await scheduler.submit(f"first-{number}", {"i": number}, priority=-100)
    return {"make_s": [time.perf_counter() - begun]}


async def _piece(given: Given) -> Values:
    """From `start` to the first dispatch, then `tasks` from `submit` to their results, then one at a time."""
    first: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def starts(i: int) -> int:
        first.set_result(time.perf_counter())
        return i

    scheduler = Scheduler(given.ledger(given.word("name")), lanes=_lanes(given))
    lanes, handlers = given.number("lanes"), given.number("handlers")
    for number in range(max(lanes, handlers)):
        lane = f"lane-{number % lanes}" if lanes > 1 else None
        scheduler.add_handler(f"noop-{number}", noop, lane=lane)
    scheduler.add_handler(f"first-{given.number('run')}", starts)
    begun = time.perf_counter()
    async with scheduler:
        restart_s = await asyncio.wait_for(first, 600.0) - begun
        await _run(scheduler, given, WARM_UP)
        tasks = given.number("tasks")
        used_s, begun = own_s(), time.perf_counter()
        await _run(scheduler, given, tasks)
        wall_s, used_s = time.perf_counter() - begun, own_s() - used_s
        times_ms = [await _trip(scheduler, given, number) for number in range(given.number("rounds"))]
        peak_mib = memory_bytes("VmHWM") / MIB
    return {
        "per_s": [tasks / wall_s],
        "cpu_us": [used_s * 1e6 / tasks],
        "p50_ms": [percentile(times_ms, 50)],
        "peak_mib": [peak_mib],
        "restart_s": [restart_s],
    }


async def _run(scheduler: Scheduler, given: Given, tasks: int) -> None:
    numbers = iter(range(tasks))

    async def caller() -> None:
        for number in numbers:
            await _trip(scheduler, given, number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _trip(scheduler: Scheduler, given: Given, number: int) -> float:
    """One task; its handler, its lane and its tenant take turns."""
    handlers = max(given.number("lanes"), given.number("handlers"))
    begun = time.perf_counter()
    task = await scheduler.submit(
        f"noop-{number % handlers}", {"i": number}, tenant=f"tenant-{number % given.number('tenants')}"
    )
    result = await task.result()
    took_ms = (time.perf_counter() - begun) * MS
    if result != number:
        raise AssertionError(f"{result!r} is not {number}")
    return took_ms


def _lanes(given: Given) -> dict[str, int | LaneSpec]:
    """Together they have as many slots as one lane alone."""
    lanes = given.number("lanes")
    slots = max(1, SLOTS // lanes)
    many = {f"lane-{number}": LaneSpec(f"lane-{number}", slots) for number in range(lanes)} if lanes > 1 else {}
    return {ASIDE.name: ASIDE, **many}


def _rows(n: int) -> Iterator[dict[str, int]]:
    return ({"i": i} for i in range(n))
