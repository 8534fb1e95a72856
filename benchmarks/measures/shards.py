"""Policy and shards alone: tasks in and out of the executor at a standing depth, without ledger and engine."""

import random
import time
from typing import Final

from benchmarks.figures import Values
from benchmarks.processes import Given
from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.policy import Ordering
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, HandlerSpec, LaneSpec, Shard, Task

BATCH: Final = 16
LANE: Final = "default"
_START_US: Final = 1_800_000_000_000_000
_SPREAD: Final = 10


def measure(given: Given) -> Values:
    """`rounds` of 16 in and 16 out at `depth`, over `shards`; with `priorities` 1 of mixed priority, else all alike.

    What came out goes in again as a new task, so that no record is made and none is older than the standing ones.
    """
    n_shards, depth, rounds = given.number("shards"), given.number("depth"), given.number("rounds")
    executor = TaskExecutor(Ordering())
    executor.lane(LaneSpec(LANE, BATCH))
    executor.handler(HandlerSpec("noop", LANE))
    shards = [Shard(number, "", f"tenant-{number}", "noop", 0, "") for number in range(1, n_shards + 1)]
    rng = random.Random(16)
    spread = _SPREAD if given.number("priorities") else 0
    standing = -(-depth // BATCH)
    for place in range(standing):
        _push(executor, shards[place % n_shards], _made(spread, rng), place * BATCH)
    executor.touched()
    tasks = _made(spread, rng)
    used_s, begun = time.process_time(), time.perf_counter()
    for place in range(standing, standing + rounds):
        _push(executor, shards[place % n_shards], tasks, place * BATCH)
        tasks = _take(executor, _START_US + place * BATCH)
        executor.touched()
    wall_s, used_s = time.perf_counter() - begun, time.process_time() - used_s
    left = sum(window.ready(depth + BATCH) for window in executor.windows.values())
    if left != standing * BATCH:
        raise AssertionError(f"{left} tasks stand where {standing * BATCH} did")
    operations = rounds * BATCH * 2
    return {"per_s": [operations / wall_s], "cpu_us": [used_s * 1e6 / operations]}


def _made(spread: int, rng: random.Random) -> list[Task]:
    """Records of 16 ready tasks."""
    bodies = [Body(0, rng.randint(-spread, spread), history=[]) for _ in range(BATCH)]
    return [Task(0, 0, State.READY, 1, 0, None, None, body) for body in bodies]


def _push(executor: TaskExecutor, shard: Shard, tasks: list[Task], first: int) -> None:
    """As intake does it: a number, a time, a place, and in."""
    place, offer = executor.place, executor.offer
    for number, task in enumerate(tasks, first):
        body = task.body
        body.accepted_us = _START_US + number
        task.id, task.key = number + 1, place(shard, body, body.accepted_us)
        offer(task, shard)


def _take(executor: TaskExecutor, now_us: int) -> list[Task]:
    """As the cycle does it: the best window, and from it all that no other window has anything better than."""
    taken: list[Task] = []
    while len(taken) < BATCH:
        window = executor.choose(LANE)
        assert window is not None
        until, _ = executor.span(LANE, window.shard.handler)
        taken += window.run(BATCH - len(taken), until, now_us) or window.take(1, now_us)
        executor.touch(window)
    return taken
