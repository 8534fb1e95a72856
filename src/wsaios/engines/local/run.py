"""One work while an engine holds it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from wsaios.engines.local.handlers import Handler
from wsaios.kernel.engine import Attempt, Ended, Work

Key = tuple[int, int]
"""(task, fence), as a plain tuple: equal to an AttemptRef, and faster to make."""


class Lane(Protocol):
    """A pool of slots that runs works of one kind of handler."""

    def begin(self, run: "Run") -> bool:
        """Take a work; False when no worker can be had for it."""

    def cancel(self, run: "Run") -> None:
        """Ask a work to end; its end is reported when it comes."""

    def recall(self) -> None:
        """Give back what waits beyond the slots, unbegun."""

    def overdue(self, run: "Run") -> None:
        """What was armed for this work has come due."""

    async def checkpoint(self, run: "Run") -> None:
        """A work comes to a point where it may yield."""


class Run(msgspec.Struct, eq=False):
    """A work, who runs it, and how far that has come; `keys` stand beside `attempts`, one each.

    `named` are the attempts whose end was asked for, `partly` gives the ends of a batched call as far as they are
    known. `told`: the ends are reported; `closed`: it no longer runs; between the two its slot is occupied, unless
    `replaced`, which means that another worker took the slot over, or it stands `aside` (so many awaits at once).
    `ahead`: it was taken as one of those that may wait beyond the slots. `asked`: it shall yield at its next
    checkpoint, as it does when it has `used_s` of `quantum_us`; `resumed` is done when it may go on.
    """

    work: Work
    attempts: list[Attempt]
    keys: list[Key]
    handler: Handler
    lane: Lane
    task: asyncio.Task[None] | None = None
    timer: "tuple[float, int, Run] | None" = None
    partly: Callable[[], list[Ended]] | None = None
    named: set[Key] | None = None
    begun_s: float = 0.0
    begun: bool = False
    ahead: bool = False
    cancelled: bool = False
    overdue: bool = False
    told: bool = False
    closed: bool = False
    replaced: bool = False
    aside: int = 0
    asked: bool = False
    quantum_us: int | None = None
    timed: bool = False
    used_s: float = 0.0
    since_s: float | None = None
    resumed: asyncio.Future[None] | None = None

    @property
    def away(self) -> bool:
        """Whether it has no slot: it awaits other tasks, or waits to go on."""
        return self.aside > 0 or self.resumed is not None

    def used_up(self, now_s: float) -> bool:
        """Whether it has run for as long as it may; what began without a limit is measured by the clock."""
        if self.quantum_us is None:
            return False
        if not self.timed:
            self.used_s = 0.0 if self.since_s is None else now_s - self.since_s
        return self.used_s * 1e6 >= self.quantum_us

    def begin_turn(self, now_s: float) -> None:
        """It goes on, with all its time before it."""
        self.used_s, self.since_s = 0.0, now_s

    def took(self, seconds: float) -> None:
        """It has run for so long."""
        self.used_s += seconds

    async def checkpoint(self) -> None:
        """Yield if it is time to, and where it can be done."""
        await self.lane.checkpoint(self)

    def name(self, key: Key) -> bool:
        """Note that the end of this attempt is asked for; True once that holds for all attempts of the work."""
        if len(self.keys) == 1:
            return True
        if self.named is None:
            self.named = set()
        self.named.add(key)
        return len(self.named) == len(self.keys)
