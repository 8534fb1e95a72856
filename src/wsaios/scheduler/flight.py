"""Commits on their way to the ledger, in order, each with what leaves when it lands."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from wsaios.kernel.engine import Report
from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.events import Effects, Event, Reported
from wsaios.kernel.ledger import Commit, Committed
from wsaios.scheduler.notices import Call
from wsaios.scheduler.threads import CallThread

_FULL: Final = 128
_IN_THE_AIR: Final = 2


class Flight:
    """What was taken in and decided since the last launch; `told` is the ledger's answer.

    None: there is nothing that the ledger should write.
    """

    __slots__ = ("calls", "effects", "events", "rows", "size_bytes", "told")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.rows = 0
        self.size_bytes = 0
        self.calls: list[Call] = []
        self.effects = Effects(Commit(0, 0))
        self.told: asyncio.Future[Committed] | None = None

    @property
    def over(self) -> bool:
        """Whether the ledger has answered; what wrote nothing needs no answer."""
        return self.told is None or self.told.done()


class Airway:
    """At most two flights of one core at a time. After one that failed, those behind it do not take place."""

    def __init__(self, ledger: str, thread: CallThread, landed: Callable[[], None]) -> None:
        """`landed` is called on the loop whenever one comes back; `ledger` is what messages call it."""
        self._ledger = ledger
        self._thread = thread
        self._landed = landed
        self._flights: deque[Flight] = deque()
        self._broken = False

    def launch(self, flight: Flight, write: Callable[[], Committed] | None) -> None:
        """Send it on its way; None: it writes nothing and has landed when those before it have."""
        self._flights.append(flight)
        if write is not None:
            flight.told = self._thread.call(self._fly, write)
            flight.told.add_done_callback(self._came_back)

    def landed(self) -> Flight | None:
        """The first one, when it came back; it stays until `leave`."""
        first = self._flights[0] if self._flights else None
        return first if first is not None and first.over else None

    def leave(self) -> Flight | None:
        """Take out the first one; None: there is none."""
        return self._flights.popleft() if self._flights else None

    def empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._flights

    def ends(self, number: int) -> bool:
        """Whether one is on its way with the end of this task."""
        return any(number in flight.effects.ended for flight in self._flights)

    def closed(self) -> bool:
        """Whether one is on its way before whose answer nothing may be taken in."""
        return any(flight.effects.alone for flight in self._flights)

    def open_for(self, size: int) -> bool:
        """Whether another one of `size` rows may follow at once: a small one waits, so that more gathers for it."""
        flights = self._flights
        if not flights:
            return True
        return size >= _FULL and len(flights) < _IN_THE_AIR and not self.closed()

    def _came_back(self, told: "asyncio.Future[Committed]") -> None:
        # Of several that fail only the first may be asked for its error: the others are no news.
        _ = told.cancelled() or told.exception()
        self._landed()

    def _fly(self, write: Callable[[], Committed]) -> Committed:
        if self._broken:
            raise LedgerUnavailable(self._ledger, "the commit before this one failed")
        try:
            return write()
        except BaseException:
            self._broken = True
            raise


def reports_in(events: Sequence[Event]) -> list[Report]:
    """All reports among these events."""
    return [report for event in events if type(event) is Reported for report in event.reports]
