"""Calls that stopped at a checkpoint: running ones without a slot, in one order with what has not begun."""

from collections.abc import Callable
from heapq import heappop, heappush

from wsaios.kernel.executor import Rest

Ref = tuple[int, int]


class Resting:
    """By lane and class of work, best first. What left meanwhile stays as a husk until it comes to the front."""

    def __init__(self) -> None:
        self._lanes: dict[str, dict[int, list[Rest]]] = {}
        self._inside: dict[Ref, Rest] = {}

    def __len__(self) -> int:
        return len(self._inside)

    def lanes(self) -> list[str]:
        """Those in which some call rests."""
        return [lane for lane, grades in self._lanes.items() if any(grades.values())]

    def add(self, lane: str, grade: int, rest: Rest) -> None:
        """A call stopped."""
        self._inside[rest.ref] = rest
        heappush(self._lanes.setdefault(lane, {}).setdefault(grade, []), rest)

    def leave(self, ref: Ref) -> bool:
        """A call rests no longer: it goes on, or is over. Whether it did rest."""
        return self._inside.pop(ref, None) is not None

    def best(self, lane: str, room: Callable[[int], int] | None = None) -> Rest | None:
        """The one that goes on next; `room` says how many slots a class may take now."""
        found: Rest | None = None
        for grade, heap in self._lanes.get(lane, {}).items():
            while heap and self._inside.get(heap[0].ref) is not heap[0]:
                heappop(heap)
            if heap and (room is None or room(grade) > 0) and (found is None or heap[0] < found):
                found = heap[0]
        return found

    def refs(self) -> list[Ref]:
        """All that rest."""
        return list(self._inside)
