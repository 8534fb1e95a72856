"""``python benchmarks/stages.py``: where a task's time goes, stage by stage, on its way through one process on SQLite.

A stage is a function of the product, wrapped while this runs. Its time is that of its thread on the processor, without
the stages inside of it, so that other work on the machine hardly shows; wrapping costs about half a microsecond a call.
"""

import argparse
import asyncio
import functools
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # The folder of the checkout, where a script has its own.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.loops import FACTORIES, run
from wsaios import Scheduler
from wsaios.engines.local.engine import LocalEngine
from wsaios.engines.local.register import Register
from wsaios.kernel.json_text import JsonWriter
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.planning.calls import Calls
from wsaios.scheduler.book import Book
from wsaios.scheduler.core import Core
from wsaios.scheduler.cycle import Cycle
from wsaios.scheduler.intake import Intake
from wsaios.scheduler.reports import Reports
from wsaios.scheduler.watch import Watch

LEDGER: Final = "statements and COMMIT (ledger's thread)"
STAGES: Final[list[tuple[str, type, str]]] = [
    ("arguments and results to JSON", JsonWriter, "write"),
    ("check the call and its options", Calls, "build"),
    ("accept it: record, place, window", Intake, "submit"),
    ("choose what runs next, reserve", Cycle, "run"),
    ("take in events, timers", Core, "take"),
    ("gather what changed", Book, "finish"),
    ("refill windows", Core, "finish"),
    ("rows for the ledger", SqliteLedger, "prepare"),
    (LEDGER, SqliteLedger, "_commit"),
    ("start the handler", LocalEngine, "_take"),
    ("hand its end in", Register, "finish"),
    ("end the task: history, outcome, slot", Reports, "take"),
    ("tell who waits", Watch, "closed"),
]
REST: Final = "asyncio, futures, the handler itself"


class Stopwatch:
    """Time and calls by stage; the time of a stage is without those inside of it."""

    def __init__(self) -> None:
        self.ns: defaultdict[str, int] = defaultdict(int)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._here = threading.local()

    def wrap(self, stage: str, owner: type, name: str) -> None:
        """Count the time of a method from now on."""
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            inside = self._here.__dict__.setdefault("inside", [0])
            inside.append(0)
            began = time.thread_time_ns()
            try:
                return function(*arguments, **options)
            finally:
                took = time.thread_time_ns() - began
                self.ns[stage] += took - inside.pop()
                self.calls[stage] += 1
                inside[-1] += took

        setattr(owner, name, timed)

    def clear(self) -> None:
        """Forget what was counted."""
        self.ns.clear()
        self.calls.clear()


async def _noop(i: int) -> int:
    return i


async def _play(scheduler: Scheduler, n: int, callers: int) -> None:
    turns = iter(range(n))

    async def call() -> None:
        for i in turns:
            await (await scheduler.submit("noop", {"i": i})).result()

    await asyncio.gather(*(call() for _ in range(callers)))


async def _measured(url: str, n: int, callers: int, watch: Stopwatch) -> tuple[float, float, float]:
    """Seconds by the clock, of this thread's processor, and of the whole process's."""
    async with Scheduler(url) as scheduler:
        scheduler.add_handler("noop", _noop)
        await _play(scheduler, min(n, 2000), callers)
        watch.clear()
        began = (time.perf_counter(), time.thread_time(), time.process_time())
        await _play(scheduler, n, callers)
        ended = (time.perf_counter(), time.thread_time(), time.process_time())
    wall_s, thread_s, process_s = (after - before for before, after in zip(began, ended, strict=True))
    return wall_s, thread_s, process_s


def main() -> None:
    """Measure without stages, then with them, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=40_000)
    parser.add_argument("--callers", type=int, default=1000, help="each submits a task and awaits it before the next")
    parser.add_argument("--loop", choices=tuple(FACTORIES), default="asyncio")
    options = parser.parse_args()
    n, watch = options.tasks, Stopwatch()
    with tempfile.TemporaryDirectory(prefix="wsaios-stages-") as folder:
        wall_s, thread_s, process_s = run(
            _measured(f"sqlite:///{folder}/plain.db", n, options.callers, watch), options.loop
        )
        for stage, owner, name in STAGES:
            watch.wrap(stage, owner, name)
        _, timed_s, _ = run(_measured(f"sqlite:///{folder}/timed.db", n, options.callers, watch), options.loop)
    print(f"{n:,} tasks by {options.callers:,} callers on {sys.version.split()[0]}: {n / wall_s:,.0f}/s by the clock")
    print(f"µs a task: {thread_s * 1e6 / n:.1f} on the loop's thread, {process_s * 1e6 / n:.1f} on all threads\n")
    on_loop = sum(ns for stage, ns in watch.ns.items() if stage != LEDGER)
    rows = [(stage, watch.ns[stage] / n / 1000, watch.calls[stage] / n) for stage, _, _ in STAGES]
    rows.append((REST, timed_s * 1e6 / n - on_loop / n / 1000, 0.0))
    print(f"{'stage, with the stopwatch on':<42}{'µs a task':>10}{'calls a task':>14}")
    for stage, us, calls in rows:
        print(f"{stage:<42}{us:>10.2f}{calls or '':>14.2f}" if calls else f"{stage:<42}{us:>10.2f}")


if __name__ == "__main__":
    main()
