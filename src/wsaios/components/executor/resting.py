"""Calls that stopped at a checkpoint: running ones without a slot, in one order with what has not begun."""

from collections.abc import Callable
from heapq import heappop, heappush

from wsaios.kernel.executor import Ref, Rest


class Resting:
    """By lane, class of work and tenant ("" where tenants do not share), best first.

    What left meanwhile stays as a husk until it comes to the front.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, dict[tuple[int, str], list[Rest]]] = {}
        self._inside: dict[Ref, Rest] = {}

    def __len__(self) -> int:
        return len(self._inside)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._inside

    def lanes(self) -> list[str]:
        """Those in which some call rests."""
        return [lane for lane, groups in self._lanes.items() if any(groups.values())]

    def add(self, lane: str, grade: int, tenant: str, rest: Rest) -> None:
        """A call stopped, or stands in another place from now on."""
        self._inside[rest.ref] = rest
        heappush(self._lanes.setdefault(lane, {}).setdefault((grade, tenant), []), rest)

    def leave(self, ref: Ref) -> bool:
        """A call rests no longer: it goes on, or is over. Whether it did rest."""
        return self._inside.pop(ref, None) is not None

    def best(
        self, lane: str, room: Callable[[int], int] | None = None, had: Callable[[str], float] | None = None
    ) -> Rest | None:
        """The one that goes on next: of the best places of the classes the best.

        `room` says how many slots a class may take now, `had` what a tenant has had: within a class, who had the least
        is first.
        """
        found: dict[int, tuple[float, Rest]] = {}
        groups = self._lanes.get(lane, {})
        for (grade, tenant), heap in list(groups.items()):
            while heap and self._inside.get(heap[0].ref) is not heap[0]:
                heappop(heap)
            if not heap:
                del groups[grade, tenant]
            elif room is None or room(grade) > 0:
                each = (0.0 if had is None else had(tenant), heap[0])
                found[grade] = min(each, found.get(grade, each))
        return min((rest for _, rest in found.values()), default=None)

    def refs(self) -> list[Ref]:
        """All that rest."""
        return list(self._inside)
