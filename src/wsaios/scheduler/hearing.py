"""Emitted events reach the steps that wait for them: all of them in one step, with whatever else the event leads to."""

from collections.abc import Callable
from functools import partial

import msgspec

from wsaios.kernel.ledger import Answer, ResultsOf
from wsaios.kernel.trigger import Emitted
from wsaios.scheduler.book import Book
from wsaios.scheduler.steps import Told
from wsaios.scheduler.waits import Place, Waits


class Hearing:
    """Listens to events for the steps of runs.

    Who waits is known once every run is in memory, and what a filter reads may have to be asked for: so long an event
    waits to be told, unacknowledged or as the fact that it is, and its commit has all that it leads to.
    """

    def __init__(self, book: Book, waits: Waits, loading: Callable[[], bool]) -> None:
        """`loading` says whether some runs are not in memory yet."""
        self._book = book
        self._waits = waits
        self._loading = loading
        self._takers: list[Place] = []
        self._told: Told = None
        self._asked: Emitted | None = None

    def since_us(self) -> int | None:
        """When the event came for which it waits for an answer; None: for none."""
        return None if self._asked is None else self._asked.at_us

    def ready(self, event: Emitted) -> bool:
        """Whether it can be told in this step."""
        if self._asked is not None or self._loading():
            return False
        self._takers, missing = self._waits.takers(event, self._told)
        if missing:
            self._asked = event
            self._book.ask(ResultsOf(tuple(sorted(set(missing)))), partial(self._found, missing))
        return not missing

    def hear(self, event: Emitted) -> None:
        """Tell it to those that took it when it was `ready`."""
        takers, self._takers, self._told = self._takers, [], None
        if takers:
            self._waits.tell(takers, msgspec.json.encode(event.data).decode())

    def _found(self, missing: list[int], answer: Answer) -> None:
        self._asked = None
        found = {payload.id: payload.data for payload in answer.results}
        self._told = {**(self._told or {}), **dict.fromkeys(missing, b"null"), **found}
