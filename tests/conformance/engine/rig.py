"""What the suite needs of an engine: works, handlers that tell, a sink that keeps all, and its rules."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, Final, TypeVar

import msgspec

from wsaios.kernel.engine import (
    Aside,
    AtHand,
    Attempt,
    AttemptRef,
    Ended,
    Engine,
    Freed,
    Noted,
    Receipt,
    Report,
    Started,
    Unbegun,
    Work,
    WorkerLost,
    Yielded,
)
from wsaios.kernel.task import LaneSpec

PATIENCE_S: Final = 60.0
NOW_US: Final = 1_767_225_600_000_000
MAX_RESULT_BYTES: Final = 1 << 20
LANES: Final = {
    "default": LaneSpec("default", 4, "async"),
    "thread": LaneSpec("thread", 2, "thread"),
    "process": LaneSpec("process", 2, "process"),
}


R = TypeVar("R", bound=Report)


class Rig(ABC):
    """An engine under test with handlers of the same names in each lane, such as ``echo@thread``.

    echo returns `value` · raise, exit, retry, give_up, nan, object, large do as they are called · hold waits for
    `release` and returns `value` · stubborn does so too and heeds no cancel · steps does so too, with checkpoints
    meanwhile · rows… take many: rows echoes, rows_raise raises while a `value` is "bad", rows_short and rows_no_list
    answer wrongly, rows_retry asks for another time, rows_mixed returns an exception for "bad", rows_hold waits for
    `release`.
    """

    exact = True
    engine: Engine

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.executed: Counter[str] = Counter()
        self._finals: dict[tuple[int, int], Ended | WorkerLost] = {}
        self._thread = threading.get_ident()
        self._arrived = asyncio.Event()
        self._number = count(1)

    @abstractmethod
    def release(self) -> None:
        """Let those that hold go on, now and from now on."""

    @abstractmethod
    def calm(self) -> None:
        """Have no more faults."""

    def work(self, name: str, lane: str, *values: object, fence: int = 1, **options: Any) -> Work:
        """A new work of the handler `name` in `lane`, with a row for each value (one with None if there is none)."""
        rows = [msgspec.json.encode({"value": value}) for value in values or (None,)]
        attempts = [Attempt(next(self._number), fence, 1, 0, row, "default") for row in rows]
        return Work(f"{name}@{lane}", lane, attempts, **options)

    async def submit(self, *works: Work) -> list[AttemptRef]:
        """Have them accepted, as far as one can know; returns the attempts in order."""
        told = set(await self.engine.submit(works))
        assert told == {Receipt.ACCEPTED} or (not self.exact and Receipt.REJECTED not in told)
        return [ref for work in works for ref in refs(work)]

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until `done()`; looked at again whenever something was reported or executed."""
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                self._arrived.clear()
                await self._arrived.wait()

    async def ends(self, wanted: Sequence[AttemptRef]) -> list[Ended]:
        """The ends of these attempts, once all are there; faults are over then."""
        self.calm()
        await self.until(lambda: all(self.final(ref) is not None for ref in wanted))
        found = [self.final(ref) for ref in wanted]
        return [end for end in found if isinstance(end, Ended)]

    async def began(self, *keys: str) -> None:
        """Wait until handlers were called with these values."""
        await self.until(lambda: all(self.executed[key] for key in keys))

    def final(self, ref: AttemptRef) -> Ended | WorkerLost | None:
        """How the attempt ended, or None while it is not known."""
        return self._finals.get(ref)

    def of(self, kind: type[R], ref: AttemptRef) -> list[R]:
        """The reports of one kind about this attempt."""
        return [report for report in self.about(ref) if isinstance(report, kind)]

    def about(self, ref: AttemptRef) -> list[Started | Noted | Aside | Ended | Freed | Unbegun | Yielded]:
        """What was reported of this attempt alone, in order."""
        single = [report for report in self.reports if not isinstance(report, (WorkerLost, AtHand))]
        return [report for report in single if (report.task, report.fence) == ref]

    def sink(self, reports: Sequence[Report]) -> Awaitable[None]:
        """Where the engine reports."""
        assert threading.get_ident() == self._thread, "reports come on the loop that called start"
        self.reports += reports
        for report in reports:
            if isinstance(report, Ended):
                self._finals.setdefault((report.task, report.fence), report)
            elif isinstance(report, WorkerLost):
                self._finals |= dict.fromkeys(report.held, report)
        self._arrived.set()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def signal(self, key: object) -> None:
        """A handler was called with this value; on the loop."""
        self.executed[str(key)] += 1
        self._arrived.set()

    async def close(self) -> None:
        """Let everything end, stop, and check what must hold for whatever was reported."""
        self.release()
        self.calm()
        assert await self.engine.drain(PATIENCE_S)
        await self.until(lambda: not self._stuck())
        self._check()
        if self.exact:
            assert dict(self.engine.capacity()) == {name: lane.slots for name, lane in LANES.items()}
        await self.engine.stop()

    def _stuck(self) -> set[tuple[int, int]]:
        kept = {(end.task, end.fence) for end in self.reports if isinstance(end, Ended) and not end.freed}
        return kept - {(freed.task, freed.fence) for freed in self.reports if isinstance(freed, Freed)}

    def _check(self) -> None:
        finals: dict[tuple[int, int], list[Report]] = {}
        freed: Counter[tuple[int, int]] = Counter()
        for report in self.reports:
            if isinstance(report, WorkerLost):
                for ref in report.held:
                    finals.setdefault(ref, []).append(report)
                continue
            if isinstance(report, AtHand):
                continue
            key = (report.task, report.fence)
            if isinstance(report, (Ended, Unbegun)):
                finals.setdefault(key, []).append(report)
            elif isinstance(report, Freed):
                freed[key] += 1
            elif self.exact:
                assert isinstance(report, (Started, Noted, Yielded))
                assert key not in finals, "nothing is said of an attempt that ended"
        for key, ends in finals.items():
            assert all(end == ends[0] for end in ends), "an attempt ends in one way only"
            assert len(ends) == 1 or not self.exact, "an end is told once"
            kept = isinstance(ends[0], Ended) and not ends[0].freed
            assert bool(freed[key]) == kept, "a slot is told free if its end left it occupied"
            assert freed[key] <= 1 or not self.exact
        assert set(freed) <= set(finals)


def refs(work: Work) -> list[AttemptRef]:
    return [AttemptRef(attempt.task, attempt.fence) for attempt in work.attempts]
