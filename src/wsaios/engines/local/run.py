"""One work while an engine holds it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from wsaios.engines.local.handlers import Handler
from wsaios.kernel.engine import Attempt, AttemptRef, Ended, Work

Key = tuple[int, int]
"""(task, fence), as a plain tuple: equal to an AttemptRef, and faster to make."""


class Lane(Protocol):
    """A pool of slots that runs works of one kind of handler."""

    def begin(self, run: "Run") -> bool:
        """Take a work; False when no worker can be had for it."""

    def cancel(self, run: "Run") -> None:
        """Ask a work to end; its end is reported when it comes."""

    def overdue(self, run: "Run") -> None:
        """What was armed for this work has come due."""


class Run:
    """A work, who runs it, and how far that has come.

    `partly` gives the ends of a batched call as far as they are known. `told`: the ends of its attempts are reported; `closed`: it no longer runs; between the two its slot is occupied, unless
    `replaced`, which means that another worker took the slot over.
    """

    __slots__ = (
        "attempts",
        "begun",
        "begun_s",
        "cancelled",
        "closed",
        "handler",
        "lane",
        "named",
        "overdue",
        "partly",
        "replaced",
        "task",
        "timer",
        "told",
        "work",
    )

    def __init__(self, work: Work, attempts: list[Attempt], handler: Handler, lane: Lane) -> None:
        self.work = work
        self.attempts = attempts
        self.handler = handler
        self.lane = lane
        self.begun = False
        self.begun_s = 0.0
        self.cancelled = False
        self.overdue = False
        self.told = False
        self.closed = False
        self.replaced = False
        self.named: set[Key] | None = None
        self.partly: Callable[[], list[Ended]] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: tuple[float, int, Run] | None = None

    def refs(self) -> list[AttemptRef]:
        """The attempts of this work."""
        return [AttemptRef(attempt.task, attempt.fence) for attempt in self.attempts]

    def name(self, key: Key) -> bool:
        """Note that the end of this attempt is asked for; True once that holds for all attempts of the work."""
        if len(self.attempts) == 1:
            return True
        if self.named is None:
            self.named = set()
        self.named.add(key)
        return len(self.named) == len(self.attempts)
