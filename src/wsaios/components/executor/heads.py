"""The heads of the shards of one lane, the best in front."""

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush, heapreplace

from wsaios.components.executor.policy import Head
from wsaios.kernel.executor import Window


class Heads:
    """A heap with one living entry for each window that may start something; parked windows are not in it."""

    def __init__(self, windows: Mapping[int, Window]) -> None:
        self._windows = windows
        self._heap: list[Head] = []

    def push(self, window: Window) -> None:
        """Say that the head of the window may have become better, or that it is no longer parked."""
        place = window.place()
        if place is None or (window.queued is not None and window.queued <= place):
            return
        window.queued = place
        heappush(self._heap, Head(*place, window.shard.id))

    def best(self) -> Head | None:
        """The smallest head; entries that are no longer true are put right on the way."""
        heap = self._heap
        while heap:
            head = heap[0]
            window = self._windows.get(head.shard)
            if window is None or window.queued != head[:2]:
                heappop(heap)
                continue
            place = None if window.parked else window.place()
            if place == head[:2]:
                return head
            window.queued = place
            if place is None:
                heappop(heap)
            else:
                heapreplace(heap, Head(*place, window.shard.id))
        return None

    def __iter__(self) -> Iterator[Head]:
        """Every head that may start, each once, in no order."""
        for head in self._heap:
            window = self._windows.get(head.shard)
            if window is not None and not window.parked and window.queued == head[:2] and window.place() == head[:2]:
                yield head
