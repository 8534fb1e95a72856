"""The heads of the shards of one lane, the best in front."""

from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final

from wsaios.kernel.executor import Window

_SLACK: Final = 64

Head = tuple[int, int, int]
"""The best task of one shard as (key, id, shard): smaller (key, id) first."""


class Heads:
    """A heap with one living entry for each window that may start something; parked windows are not in it."""

    def __init__(self, windows: Mapping[int, Window], lane: str) -> None:
        self._windows = windows
        self._lane = lane
        self._heap: list[Head] = []

    def push(self, window: Window) -> None:
        """Say that the head of the window may have become better, or that it is no longer parked."""
        place = window.place()
        if place is None or (window.queued is not None and window.queued <= place):
            return
        window.queued = place
        heappush(self._heap, (*place, window.shard.id))
        if len(self._heap) > _SLACK + 2 * len(self._windows):
            self._shrink()

    def best(self) -> Head | None:
        """The smallest head; entries that are no longer true are put right on the way."""
        heap, windows = self._heap, self._windows
        while heap:
            head = heap[0]
            key, number, shard = head
            window = windows.get(shard)
            if window is None or window.queued != (key, number) or window.lane != self._lane:
                heappop(heap)
                continue
            place = None if window.parked else window.place()
            if place is None:
                window.queued = None
                heappop(heap)
            elif place == window.queued:
                return head
            else:
                window.queued = place
                heapreplace(heap, (*place, shard))
        return None

    def after_best(self) -> tuple[int, int] | None:
        """A (key, id) that no head but the best comes before; None: there is no other head."""
        heap = self._heap
        while len(heap) > 1:
            second = heap[1] if len(heap) == 2 or heap[1] < heap[2] else heap[2]  # noqa: PLR2004  # the children of the root
            if second != heap[0]:
                return second[0], second[1]
            # A head that became worse and then better again stands there twice.
            heappop(heap)
        return None

    def __iter__(self) -> Iterator[Head]:
        """Every head that may start, each once, in no order."""
        # A head that grew worse may meet an older entry of its own.
        for head in set(self._heap):
            window = self._windows.get(head[2])
            if window is None or window.parked or window.lane != self._lane:
                continue
            if window.queued == head[:2] == window.place():
                yield head

    def __len__(self) -> int:
        """How many entries there are, those that are no longer true included."""
        return len(self._heap)

    def _shrink(self) -> None:
        """A head that better ones pass again and again leaves an entry for each of them; keep one of each window."""
        windows, living = self._windows, {}
        for head in self._heap:
            window = windows.get(head[2])
            if window is not None and window.queued == head[:2] and window.lane == self._lane:
                living[head[2]] = head
        self._heap = list(living.values())
        heapify(self._heap)
