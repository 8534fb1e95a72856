"""One task behind very many blocked ones of another tenant: how soon it starts."""

import asyncio
import time
from typing import Final

import msgspec

from benchmarks.figures import MS, Values, percentile
from benchmarks.loops import run
from benchmarks.measures.throughput import noop
from benchmarks.processes import Given, fresh
from wsaios import Scheduler

LANE: Final = "lane:default"
TIMEOUT_S: Final = 1_200.0
WARM_UP: Final = 20


def measure(given: Given) -> Values:
    """`rows` blocked tasks, half behind a concurrency key, half in a paused batch: made once, `runs` starts."""
    if "stage" in given.size:
        return run({"make": _make, "start": _start}[given.word("stage")](given), "asyncio")
    _stage(given, "make")
    found = [_stage(given, "start") for _ in range(given.runs)]
    return {key: [values[key][0] for values in found] for key in found[0]}


def _stage(given: Given, stage: str) -> Values:
    size = {**given.size, "stage": stage}
    told = msgspec.structs.replace(given, size=size, answer=f"{given.folder}/stage.json", probed=False)
    return fresh(told, timeout_s=TIMEOUT_S).values


async def _hold(i: int) -> int:
    await asyncio.Event().wait()
    return i


async def _make(given: Given) -> Values:
    half = given.number("rows") // 2
    async with Scheduler(given.ledger()) as scheduler:
        scheduler.add_handler("noop", noop)
        scheduler.add_handler("hold", _hold)
        await scheduler.pause(LANE)
        paused = await scheduler.submit_many("noop", ({"i": i} for i in range(half)), tenant="crowd")
        await scheduler.pause(paused.id)
        keyed = ({"i": i} for i in range(half))
        await scheduler.submit_many("hold", keyed, tenant="crowd", concurrency_key="door", concurrency_limit=1)
    return {}


async def _start(given: Given) -> Values:
    """`rounds` tasks of another tenant, of the lowest priority, so that every blocked one stands before them."""
    begun: dict[int, float] = {}
    held = asyncio.Event()

    async def hold(i: int) -> int:
        held.set()
        return await _hold(i)

    async def mark(i: int) -> int:
        begun[i] = time.perf_counter()
        return i

    times_ms = []
    async with Scheduler(given.ledger(), grace_s=0.2) as scheduler:
        for name, handler in (("noop", noop), ("hold", hold), ("mark", mark)):
            scheduler.add_handler(name, handler)
        await scheduler.resume(LANE)
        await held.wait()
        await scheduler.flush()
        for number in range(WARM_UP + given.number("rounds")):
            asked = time.perf_counter()
            task = await scheduler.submit("mark", {"i": number}, tenant="other", priority=-100)
            await task.result(timeout_s=60)
            times_ms.append((begun[number] - asked) * MS)
    del times_ms[:WARM_UP]
    return {"p50_ms": [percentile(times_ms, 50)], "p99_ms": [percentile(times_ms, 99)], "max_ms": [max(times_ms)]}
