"""The handlers of a soak, in a module of their own: worker processes import it."""

import asyncio

from wsaios import Context, LaneSpec, Processes, Scheduler

LANES = (LaneSpec("process", 4, "process", Processes(count=1, max_tasks=200)),)
LONG_S = 3_600.0


async def noop(i: int) -> int:
    """Return what came."""
    return i


def threaded(i: int) -> int:
    """The same in a thread."""
    return i


def computed(i: int) -> int:
    """The same in a worker process, which is replaced after 200 of them."""
    return i


async def flaky(i: int, fails: int, context: Context) -> int:
    """Fail so many times first."""
    if context.attempt <= fails:
        raise ValueError(f"attempt {context.attempt} of {i} fails")
    return i


async def long(i: int) -> int:
    """Go on until somebody ends it."""
    await asyncio.sleep(LONG_S)
    return i


def register(scheduler: Scheduler) -> None:
    """Make all of them known."""
    for handler in (noop, threaded, long):
        scheduler.add_handler(handler.__name__, handler)
    scheduler.add_handler("computed", computed, lane="process")
    scheduler.add_handler("flaky", flaky, max_attempts=2, backoff_initial_s=0.05)
