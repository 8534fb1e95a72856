"""Events that came in and were not stepped for yet, in order."""

from collections.abc import Callable, Iterable
from typing import Final

from wsaios.kernel.engine import Report
from wsaios.kernel.events import Event, Reported
from wsaios.scheduler.flight import reports_in

_SPLIT: Final = 64
_FEW: Final = 16


class Inbox:
    """What the next step takes, and how much it is."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._rows = 0
        self._size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._events)

    def post(self, event: Event, rows: int, size_bytes: int) -> None:
        """Put one behind the others; rows and bytes are those that it brings to the ledger."""
        self._events.append(event)
        self._rows += rows
        self._size_bytes += size_bytes

    def put_first(self, events: Iterable[Event]) -> None:
        """Put some before the others."""
        self._events[:0] = events

    def few(self) -> bool:
        """Whether so little came in that a step for each of it would cost more than it saves."""
        events = self._events
        if len(events) >= _FEW or self._rows >= _FEW:
            return False
        return sum(len(event.reports) for event in events if type(event) is Reported) < _FEW

    def reports(self) -> list[Report]:
        """All reports in it."""
        return reports_in(self._events)

    def take(self) -> list[Event]:
        """All of it."""
        events, self._events = self._events, []
        return events

    def take_some(self, running: int, backlog: Callable[[], bool]) -> list[Event]:
        """All of it; but when nearly everything that ran is over at once and more waits for its slots, only half.

        Then that half is committed, and the next tasks run, while the other half is stepped; otherwise handlers and
        ledger would take turns for ever. `running` is how many attempts were running.
        """
        events = self.take()
        reports = sum(len(event.reports) for event in events if type(event) is Reported)
        if reports < _SPLIT or reports * 4 < running * 3 or not backlog():
            return events
        now: list[Event] = []
        room = reports // 2
        for place, event in enumerate(events):
            if type(event) is not Reported:
                now.append(event)
                continue
            if len(event.reports) > room:
                if room:
                    now.append(Reported(None, event.reports[:room]))
                self._events = [Reported(event.token, event.reports[room:]), *events[place + 1 :]]
                return now
            room -= len(event.reports)
            now.append(event)
        return now

    def counted(self) -> tuple[int, int]:
        """Rows and bytes that were posted since this was asked last."""
        counted = self._rows, self._size_bytes
        self._rows = self._size_bytes = 0
        return counted
