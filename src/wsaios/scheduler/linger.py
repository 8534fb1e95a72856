"""Ends that nobody waits for yet are written with what comes next, or a moment later."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from wsaios.kernel.events import Event, Reported
from wsaios.kernel.task import Flag
from wsaios.scheduler.book import Book
from wsaios.scheduler.watch import Watch

LONGEST_S: Final = 0.001
_MOST: Final = 64


class Linger:
    """Says when a commit may wait for company.

    Who submits one task after another would otherwise wait for two commits each: its own, and that of the end of the
    task before.
    """

    def __init__(self, watch: Watch, wake: Callable[[], None]) -> None:
        """`wake` is called when it may wait no longer."""
        self._watch = watch
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        watch.noticed = self._noticed

    def holds(self, events: Sequence[Event], book: Book) -> bool:
        """Whether the commit that these events led to waits; asked again after every wake."""
        if self._over or not self._may(events, book):
            self.end()
            return False
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LONGEST_S, self._ring)
        return True

    def end(self) -> None:
        """Nothing waits any more."""
        timer, self._timer, self._over = self._timer, None, False
        if timer is not None:
            timer.cancel()

    def _may(self, events: Sequence[Event], book: Book) -> bool:
        ended = book.commit.ended
        if not 0 < len(ended) <= _MOST or any(type(event) is not Reported for event in events):
            return False
        # One that may run at most once would be lost by a death in that moment, and another one run again.
        # After the end of a step a run may have ended, which somebody may wait for.
        if any(outcome.body.flags & Flag.ONCE or outcome.body.step is not None for outcome in ended):
            return False
        return book.only_ends() and not self._watch.waits_for(outcome.id for outcome in ended)

    def _noticed(self) -> None:
        if self._timer is not None:
            self._wake()

    def _ring(self) -> None:
        self._over = True
        self._wake()
