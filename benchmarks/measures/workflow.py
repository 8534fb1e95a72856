"""A run of a workflow whose steps do nothing, in layers: from `run_workflow` to its end."""

import time
from typing import Final

from benchmarks.figures import Values
from benchmarks.loops import run
from benchmarks.machine import own_s
from benchmarks.processes import Given
from wsaios import Scheduler, Workflow

_WARM_UP: Final = 500


def measure(given: Given) -> Values:
    """A run of `steps` steps in layers of `width`, each step with two parents in the layer above."""
    return run(_measured(given), given.word("loop"))


async def _measured(given: Given) -> Values:
    n, width = given.number("steps"), given.number("width")
    async with Scheduler(given.ledger()) as scheduler:

        async def nothing() -> None:
            """Do nothing."""

        scheduler.add_handler("nothing", nothing)
        await _one(scheduler, _WARM_UP, width)
        plan_s, wall_s, used_s = await _one(scheduler, n, width)
        return {"per_s": [n / wall_s], "cpu_us": [used_s / n * 1e6], "check_s": [plan_s]}


async def _one(scheduler: Scheduler, n: int, width: int) -> tuple[float, float, float]:
    begun = time.perf_counter()
    flow = Workflow(f"layers-{n}")
    for number in range(n):
        above = number // width * width - width
        before = {above + (number * prime) % width for prime in (7_919, 104_729)} if above >= 0 else ()
        flow.step(f"s{number}", handler="nothing", depends_on=[f"s{each}" for each in sorted(before)])
    plan = flow.check()
    checked = time.perf_counter()
    used_s = own_s()
    started = await scheduler.run_workflow(plan)
    view = await started.wait()
    ended = time.perf_counter()
    if view.state != "succeeded":
        raise AssertionError(f"the run {view.state}: {view.failure}")
    return checked - begun, ended - checked, own_s() - used_s
