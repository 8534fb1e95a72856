"""Policy and shards alone: tasks in and out of the executor at a standing depth, without ledger and engine."""

import random
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.figures import Values
from benchmarks.processes import Given
from wsaios.components.executor.executor import TaskExecutor
from wsaios.components.executor.policy import PriorityAgeing
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, HandlerSpec, LaneSpec, Shard, Task

BATCH: Final = 16
LANE: Final = "default"
_START_US: Final = 1_800_000_000_000_000
_SPREAD: Final = 10


def measure(given: Given) -> Values:
    """`rounds` of 16 in and 16 out at `depth`, over `shards`; with `priorities` 1 of mixed priority, else all alike."""
    n_shards, depth, rounds = given.number("shards"), given.number("depth"), given.number("rounds")
    executor = TaskExecutor(PriorityAgeing())
    executor.lane(LaneSpec(LANE, BATCH))
    executor.handler(HandlerSpec("noop", LANE))
    shards = [Shard(number, "", f"tenant-{number}", "noop", 0, "") for number in range(1, n_shards + 1)]
    numbers = iter(range(1, depth + (rounds + n_shards) * BATCH * 2))
    rng = random.Random(16)
    spread = _SPREAD if given.number("priorities") else 0
    for first in range(0, depth, BATCH):
        _push(executor, shards[first // BATCH % n_shards], _made(numbers, spread, rng))
    executor.touched()
    work = [(shards[place % n_shards], _made(numbers, spread, rng)) for place in range(rounds)]
    now_us = _START_US
    used_s, begun = time.process_time(), time.perf_counter()
    for shard, tasks in work:
        now_us += BATCH
        _push(executor, shard, tasks)
        _take(executor, now_us)
        executor.touched()
    wall_s, used_s = time.perf_counter() - begun, time.process_time() - used_s
    left = sum(len(window) for window in executor.windows.values())
    if left != -(-depth // BATCH) * BATCH:
        raise AssertionError(f"{left} tasks stand where {depth} did")
    operations = rounds * BATCH * 2
    return {"per_s": [operations / wall_s], "cpu_us": [used_s * 1e6 / operations]}


def _made(numbers: Iterator[int], spread: int, rng: random.Random) -> list[Task]:
    """Records of 16 ready tasks, as intake makes them; the policy places them when they are pushed."""
    return [_task(next(numbers), rng.randint(-spread, spread)) for _ in range(BATCH)]


def _task(number: int, priority: int) -> Task:
    return Task(number, 0, State.READY, 1, 0, None, None, Body(_START_US + number, priority))


def _push(executor: TaskExecutor, shard: Shard, tasks: list[Task]) -> None:
    key, offer = executor.policy.key, executor.offer
    for task in tasks:
        task.key = key(task.body.priority, task.body.accepted_us)
        offer(task, shard)


def _take(executor: TaskExecutor, now_us: int) -> None:
    left = BATCH
    while left:
        window = executor.choose(LANE)
        assert window is not None
        left -= len(window.run(left, executor.until(LANE), now_us) or window.take(1, now_us))
        executor.touch(window)
