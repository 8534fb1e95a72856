"""What a measured program tells: one JSON object a line on standard output.

``ready`` comes when a few tasks have gone the whole way, with what the system says of itself; ``done`` when every
result is there. It is run with the Python of the system that it drives, so it needs nothing but the standard library.
"""

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

TOLD: dict[str, Any] = json.loads(os.environ.get("BENCH_TOLD", "{}"))
"""What the harness told: ``url``, ``n``, and what the system's own row says."""

WARM_UP = 200


def say(event: str, **facts: object) -> None:
    """One line, at once."""
    print(json.dumps({"event": event, **facts}), flush=True)


def facts(name: str, version: str, durability: str, *, survives: bool) -> dict[str, object]:
    """What a system says of itself; `survives`: what it acknowledged is there after a power cut."""
    return {"system": f"{name} {version}", "durability": durability, "survives": survives}


def drive(submit: Callable[[int], Sequence[Any]], collect: Callable[[Any], int], told: dict[str, object]) -> None:
    """Submit `n` tasks, then wait for the results of all; `collect` returns how many were right."""
    warm = collect(submit(WARM_UP))
    if warm != WARM_UP:
        sys.exit(f"{warm} of {WARM_UP} results of the first tasks were right")
    say("ready", **told)
    begun = time.perf_counter()
    handles = submit(TOLD["n"])
    submitted = time.perf_counter()
    right = collect(handles)
    _done(right, begun, submitted)


async def drive_async(
    submit: Callable[[int], Awaitable[Any]], collect: Callable[[Any], Awaitable[int]], told: dict[str, object]
) -> None:
    """The same with coroutines."""
    warm = await collect(await submit(WARM_UP))
    if warm != WARM_UP:
        sys.exit(f"{warm} of {WARM_UP} results of the first tasks were right")
    say("ready", **told)
    begun = time.perf_counter()
    handles = await submit(TOLD["n"])
    submitted = time.perf_counter()
    right = await collect(handles)
    _done(right, begun, submitted)


def _done(right: int, begun: float, submitted: float) -> None:
    say("done", right=right, submit_s=submitted - begun, total_s=time.perf_counter() - begun)
