"""What ended while somebody follows many tasks."""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final

from wsaios.kernel.events import Closed
from wsaios.scheduler.places import Places

_BACKLOG: Final = 100_000


class Fresh:
    """What ended since someone last looked; beyond a bound it is read from the ledger instead."""

    def __init__(self) -> None:
        self.signal = asyncio.Event()
        self._ended: deque[tuple[int, int]] = deque()
        self._missed = True

    def hear(self, closed: list[Closed], places: Places) -> None:
        """Take in what belongs to the places, and mark it there."""
        self._missed = self._missed or not closed or len(self._ended) >= _BACKLOG
        for each in closed if len(self._ended) < _BACKLOG else ():
            if places.mark(each.outcome.id):
                self._ended.append((each.outcome.id, each.outcome.state))
        self.signal.set()

    def read_again(self) -> bool:
        """Whether something must be read from the ledger; asked once, it counts as done."""
        missed, self._missed = self._missed, False
        return missed

    def take(self) -> Iterator[tuple[int, int]]:
        """Remove and yield what is there."""
        while self._ended:
            yield self._ended.popleft()

    def more(self) -> bool:
        """Whether there is something to look at without waiting."""
        return self._missed or bool(self._ended)
