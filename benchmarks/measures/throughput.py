"""Durable no-op tasks end to end: accepted, run, their results committed and told to who submitted them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks.figures import Values
from benchmarks.loops import run
from benchmarks.machine import own_s
from benchmarks.processes import Given
from wsaios import Context, LaneSpec, Processes, Scheduler, Task

WARM_UP: Final = 2_000


async def noop(i: int) -> int:
    """Return what came."""
    return i


def noop_thread(i: int) -> int:
    """Return what came."""
    return i


HANDLERS: Final[dict[str, Callable[[int], object]]] = {
    "coroutine": noop,
    "thread": noop_thread,
    "process": noop_thread,
}
LANES: Final = {"coroutine": "default", "thread": "thread", "process": "process"}


def measure(given: Given) -> Values:
    """`n` tasks of the `handler`, submitted and awaited `how` it says, on `loop`; `slots` 0: as the lane comes.

    Beside them so many handlers as `busy` says compute in threads, in plain Python.
    """
    return run(_measured(given), given.word("loop"))


async def _measured(given: Given) -> Values:
    slots, handler, n = given.number("slots"), given.word("handler"), given.number("n")
    lane = LANES[handler]
    lanes: dict[str, int | LaneSpec] = {lane: slots} if slots else {}
    if slots and handler == "process":
        lanes[lane] = LaneSpec(lane, slots, "process", Processes(count=given.number("workers")))
    async with Scheduler(given.ledger(), lanes=lanes) as scheduler:
        scheduler.add_handler("noop", HANDLERS[handler], lane=lane)
        submit_all = HOW[given.word("how")]
        await submit_all(scheduler, WARM_UP, given)
        busy = await _busy(scheduler, given)
        used_s, begun = own_s(), time.perf_counter()
        ended, submitted = await submit_all(scheduler, n, given)
        wall_s = time.perf_counter() - begun
        for task in busy:
            await task.cancel()
        if ended != n:
            raise AssertionError(f"{ended} of {n} tasks succeeded")
        used_us = (own_s() - used_s) * 1e6 / n
    values = {"per_s": [n / wall_s], "cpu_us": [used_us]}
    if submitted:
        values["submit_per_s"] = [n / (submitted - begun)]
    return values


def compute(context: Context) -> int:
    """Until told to end."""
    rounds = 0
    while not context.cancelled:
        for number in range(10_000):
            rounds += number & 1
    return rounds


async def _busy(scheduler: Scheduler, given: Given) -> list[Task]:
    scheduler.add_handler("compute", compute, lane="thread")
    tasks = [await scheduler.submit("compute") for _ in range(int(given.size.get("busy", 0)))]
    for task in tasks:
        while (await task.status()).state != "running":  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    return tasks


async def _as_completed(scheduler: Scheduler, n: int, _: Given) -> tuple[int, float]:
    batch = await scheduler.submit_many("noop", ({"i": i} for i in range(n)))
    submitted = time.perf_counter()
    seen = 0
    async for _task in scheduler.as_completed(batch):
        seen += 1
    view = await batch.status()
    return min(seen, view.ended.get("succeeded", 0)), submitted


async def _wait(scheduler: Scheduler, n: int, _: Given) -> tuple[int, float]:
    batch = await scheduler.submit_many("noop", ({"i": i} for i in range(n)))
    submitted = time.perf_counter()
    view = await batch.wait()
    return view.ended.get("succeeded", 0), submitted


async def _single(scheduler: Scheduler, n: int, given: Given) -> tuple[int, float]:
    """As many callers as said, each submitting one task and awaiting its result before the next."""
    numbers = iter(range(n))
    right = 0

    async def caller() -> None:
        nonlocal right
        for number in numbers:
            task = await scheduler.submit("noop", {"i": number})
            result = await task.result()
            right += result == number

    await asyncio.gather(*(caller() for _ in range(given.number("callers"))))
    return right, 0.0


HOW: Final[dict[str, Callable[[Scheduler, int, Given], Awaitable[tuple[int, float]]]]] = {
    "as_completed": _as_completed,
    "wait": _wait,
    "single": _single,
}
