"""The scheduler under watch, in a process of its own: a steady mix of work, and a line of JSON for every sample."""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import msgspec

from benchmarks.figures import MS, percentile
from benchmarks.loops import run
from benchmarks.processes import end_with_parent
from benchmarks.soak_work import LANES, register
from wsaios import AsyncClient, Scheduler, Settings, Task, errors

PATIENCE_S: Final = 120.0
GRACE_S: Final = 2.0


class Told(msgspec.Struct):
    """What the load is told: the ledger, for how long, between which samples, and how long ended work is kept."""

    url: str
    seconds: float
    every_s: float
    retention_s: float


class Line(msgspec.Struct):
    """One sample: the time since the beginning, tasks that ended by kind so far, and round trips since the last one."""

    at_s: float
    ended: dict[str, int]
    p50_ms: float | None = None
    p99_ms: float | None = None
    pruned: int = 0


class Load:
    """Every kind of work again and again, each with its own period; the next round of a kind waits for the one before.

    So the load is the same at all times, and what waits is bounded however slow the machine is.
    """

    def __init__(self, scheduler: Scheduler, told: Told) -> None:
        self.scheduler = scheduler
        self.told = told
        self.begun_s = time.monotonic()
        self.ended: Counter[str] = Counter()
        self.trips_ms: list[float] = []
        self.pruned = 0

    def over(self) -> bool:
        """Whether its time is."""
        return time.monotonic() - self.begun_s >= self.told.seconds

    async def keep_on(self, kind: str, period_s: float, act: Callable[["Load", int], Awaitable[int]]) -> None:
        """One kind of work until the end."""
        number = 0
        while not self.over():
            due_s = time.monotonic() + period_s
            self.ended[kind] += await act(self, number)
            number += 1
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def prune(self) -> None:
        """What is over goes all the time, not every ten minutes."""
        pruning = self.scheduler._parts.pruning  # noqa: SLF001  # its own rounds come every ten minutes
        while not self.over():
            await asyncio.sleep(min(1.0, self.told.retention_s / 5))
            self.pruned += await pruning.round()

    async def tell(self) -> None:
        """A line for every sample, the last one at the end."""
        while not self.over():
            due_s = self.begun_s + self.told.seconds
            await asyncio.sleep(max(0.0, min(self.told.every_s, due_s - time.monotonic())))
            trips, self.trips_ms = self.trips_ms, []
            line = Line(time.monotonic() - self.begun_s, dict(self.ended), pruned=self.pruned)
            if trips:
                line.p50_ms, line.p99_ms = percentile(trips, 50), percentile(trips, 99)
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
            sys.stdout.flush()


async def _trip(load: Load, number: int) -> int:
    begun = time.perf_counter()
    task = await load.scheduler.submit("noop", {"i": number})
    _same(await task.result(timeout_s=PATIENCE_S), number)
    load.trips_ms.append((time.perf_counter() - begun) * MS)
    return 1


async def _singles(load: Load, _: int) -> int:
    async def one(i: int) -> None:
        task = await load.scheduler.submit("noop", {"i": i})
        _same(await task.result(timeout_s=PATIENCE_S), i)

    return await _all(one(i) for i in range(50))


async def _batch(load: Load, _: int) -> int:
    batch = await load.scheduler.submit_many("noop", ({"i": i} for i in range(200)))
    seen = 0
    async for task in load.scheduler.as_completed(batch):
        await task.result(timeout_s=PATIENCE_S)
        seen += 1
    _same(seen, 200)
    view = await batch.wait(timeout_s=PATIENCE_S)
    _same(view.ended.get("succeeded"), 200)
    return 200


async def _retries(load: Load, number: int) -> int:
    """Of twenty, ten succeed at the second attempt and ten fail for good."""
    tasks = await _submitted(load, "flaky", [{"i": number, "fails": 1 + i % 2} for i in range(20)])
    return await _all(_ends(task, number, "failed" if place % 2 else "succeeded") for place, task in enumerate(tasks))


async def _dependencies(load: Load, number: int) -> int:
    """One, ten that wait for it, one that waits for the ten."""
    [first] = await _submitted(load, "noop", [{"i": number}])
    middle = await _submitted(load, "noop", [{"i": i} for i in range(10)], depends_on=[first.id])
    [last] = await _submitted(load, "noop", [{"i": number}], depends_on=[task.id for task in middle])
    _same(await last.result(timeout_s=PATIENCE_S), number)
    return 12


async def _delays(load: Load, number: int) -> int:
    async def one(delay_s: float) -> None:
        task = await load.scheduler.submit("noop", {"i": number}, delay_s=delay_s)
        await _ends(task, number, "succeeded")

    return await _all(one(0.05 * i) for i in range(10))


async def _cancellations(load: Load, number: int) -> int:
    """Five that wait, five that run."""
    tasks = await _submitted(load, "noop", [{"i": number}] * 5, delay_s=3_600)
    tasks += await _submitted(load, "long", [{"i": number}] * 5)
    await asyncio.sleep(0.05)
    for task in tasks:
        await task.cancel("it is no longer needed")
    return await _all(_ends(task, number, "cancelled") for task in tasks)


async def _timeouts(load: Load, number: int) -> int:
    tasks = await _submitted(load, "long", [{"i": number}] * 3, timeout_s=0.1, max_attempts=1)
    return await _all(_ends(task, number, "failed") for task in tasks)


async def _threads(load: Load, number: int) -> int:
    return await _handled(load, "threaded", 20, number)


async def _processes(load: Load, number: int) -> int:
    return await _handled(load, "computed", 4, number)


async def _tenants(load: Load, number: int) -> int:
    """Tenants and concurrency keys that were never there before."""
    name = f"tenant-{number}"
    return await _handled(load, "noop", 5, number, tenant=name, concurrency_key=name, concurrency_limit=1)


async def _paused(load: Load, _: int) -> int:
    batch = await load.scheduler.submit_many("noop", ({"i": i} for i in range(20)), delay_s=0.2)
    await load.scheduler.pause(batch.id)
    await load.scheduler.resume(batch.id)
    await batch.wait(timeout_s=PATIENCE_S)
    return 20


async def _clients(load: Load, number: int) -> int:
    """A client that connects, submits, waits and goes."""
    async with AsyncClient(load.told.url) as client:
        task = await client.submit("noop", {"i": number})
        _same(await task.result(timeout_s=PATIENCE_S), number)
    return 1


async def _states(load: Load, number: int) -> int:
    load.scheduler.state.set(f"soak.key-{number % 20}", number)
    await load.scheduler.flush()
    return 0


KINDS: Final[dict[str, tuple[float, Callable[[Load, int], Awaitable[int]]]]] = {
    "round trips": (0.02, _trip),
    "singles": (0.5, _singles),
    "batches": (1.0, _batch),
    "retries": (0.5, _retries),
    "dependencies": (0.5, _dependencies),
    "delays": (1.0, _delays),
    "cancellations": (0.5, _cancellations),
    "timeouts": (0.5, _timeouts),
    "threads": (0.5, _threads),
    "processes": (0.5, _processes),
    "new tenants": (0.2, _tenants),
    "paused": (1.0, _paused),
    "clients": (0.5, _clients),
    "states": (0.2, _states),
}


async def _handled(load: Load, handler: str, n: int, number: int, **options: Any) -> int:
    tasks = await _submitted(load, handler, [{"i": number}] * n, **options)
    return await _all(_ends(task, number, "succeeded") for task in tasks)


async def _submitted(load: Load, handler: str, rows: list[dict[str, Any]], **options: Any) -> list[Task]:
    """All at once: what was submitted first must not be pruned before the last one is."""
    return list(await asyncio.gather(*(load.scheduler.submit(handler, row, **options) for row in rows)))


async def _ends(task: Task, number: int, how: str) -> None:
    try:
        _same(await task.result(timeout_s=PATIENCE_S), number)
        ended = "succeeded"
    except errors.TaskFailed as error:
        ended = error.state
    _same(ended, how)


async def _all(works: Any) -> int:
    done = await asyncio.gather(*works)
    return len(done)


def _same(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


async def _soaked(told: Told) -> None:
    settings = Settings(lanes=LANES, grace_s=GRACE_S, retention_s=told.retention_s)
    scheduler = Scheduler(told.url, settings=settings)
    register(scheduler)
    async with scheduler:
        load = Load(scheduler, told)
        works: list[Coroutine[Any, Any, None]] = [load.tell(), load.prune()]
        works += [load.keep_on(kind, period_s, act) for kind, (period_s, act) in KINDS.items()]
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)


def main() -> None:
    """Work as told by the only argument; ends with the process that asked for it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    run(_soaked(msgspec.json.decode(sys.argv[1], type=Told)), "uvloop")


if __name__ == "__main__":
    main()
