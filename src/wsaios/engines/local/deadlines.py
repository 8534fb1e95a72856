"""Time limits of many works on one timer of the loop."""

import asyncio
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from wsaios.engines.local.run import Run

# Loops round timers to a millisecond; what is due within that is due.
_SLACK_S: Final = 0.001
_TIDY_AT: Final = 256


class Deadlines:
    """Calls `due(run)` once for each armed run whose time has come; each run has at most one deadline."""

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[Run], None]) -> None:
        self._loop = loop
        self._due = due
        self._heap: list[tuple[float, int, Run]] = []
        self._number = 0
        self._gone = 0
        self._handle: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def arm(self, run: Run, delay_s: float) -> None:
        """Set the deadline of a run `delay_s` from now, in place of the one it may have."""
        self.disarm(run)
        at_s = time.monotonic() + delay_s
        self._number += 1
        run.timer = entry = (at_s, self._number, run)
        heappush(self._heap, entry)
        if self._handle is None or at_s < self._next_s:
            self._schedule(at_s)

    def disarm(self, run: Run) -> None:
        """Take the deadline of a run back, if it has one."""
        if run.timer is None:
            return
        run.timer = None
        self._gone += 1
        # Entries that are gone would stay until their time comes, hours perhaps; they may take half of the heap.
        if self._gone > _TIDY_AT and self._gone * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].timer is entry]
            heapify(self._heap)
            self._gone = 0

    def stop(self) -> None:
        """Forget everything."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self, at_s: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._next_s = at_s
        self._handle = self._loop.call_later(max(0.0, at_s - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._handle = None
        limit_s = time.monotonic() + _SLACK_S
        while self._heap and (self._heap[0][0] <= limit_s or self._heap[0][2].timer is not self._heap[0]):
            entry = heappop(self._heap)
            run = entry[2]
            if run.timer is not entry:
                self._gone -= 1
                continue
            run.timer = None
            self._due(run)
        if self._heap and self._handle is None:
            self._schedule(self._heap[0][0])
