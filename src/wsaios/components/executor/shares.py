"""What each tenant has had of a lane, counted in weighted slot time: the tenant with the least goes first."""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush, heapreplace
from typing import Final

_SLACK: Final = 64


class Shares:
    """A virtual counter for each tenant: slot time in µs, divided by the tenant's weight (1 unless given).

    A tenant that comes back is lifted to where those who waited are, so that idleness is no credit. Source: Sheng et
    al., "Fairness in Serving Large Language Models" (OSDI 2024); start-time fair queueing lifts in the same way.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._counters: dict[str, float] = {}
        self._reached = 0.0

    def counter(self, tenant: str) -> float:
        """What the tenant has had, per weight."""
        return self._counters.get(tenant, 0.0)

    def come(self, tenant: str) -> float:
        """The tenant waits for something again; its counter from now on."""
        counter = self._counters[tenant] = max(self._counters.get(tenant, 0.0), self._reached)
        return counter

    def reach(self, tenant: str) -> None:
        """The tenant is served next: nobody who comes back is behind it."""
        self._reached = max(self._reached, self._counters.get(tenant, 0.0))

    def charge(self, tenant: str, us: float) -> float:
        """It has had so much slot time, or less than it was charged before (`us` < 0); its counter from now on."""
        counter = self._counters[tenant] = self._counters.get(tenant, 0.0) + us / self._weights.get(tenant, 1.0)
        return counter

    def room(self, tenant: str, other: float, us: float) -> int:
        """How many works of `us` the tenant is due until it has had more than `other`; at least one."""
        behind = (other - self._counters.get(tenant, 0.0)) * self._weights.get(tenant, 1.0)
        return 1 + max(0, int(behind / max(us, 1.0)))


class Turns:
    """Whose turn it is among the tenants that wait: the one with the smallest counter; of equal ones by name."""

    def __init__(self, shares: Shares, waits: Callable[[str], bool]) -> None:
        """`waits` says whether a tenant has something that may start."""
        self._shares = shares
        self._waits = waits
        self._heap: list[tuple[float, str]] = []
        self._inside: dict[str, float] = {}

    def come(self, tenant: str) -> None:
        """A tenant may have something to start."""
        if tenant not in self._inside:
            self._enter(tenant, self._shares.come(tenant))

    def changed(self, tenant: str) -> None:
        """Its counter is another one: a larger one is found when its turn comes, a smaller one must be said."""
        counter = self._shares.counter(tenant)
        if self._inside.get(tenant, counter) > counter:
            self._enter(tenant, counter)

    def first(self) -> str | None:
        """The tenant whose turn it is; None: nobody waits."""
        heap = self._heap
        while heap:
            counter, tenant = heap[0]
            if self._inside.get(tenant) != counter:
                heappop(heap)
            elif not self._waits(tenant):
                del self._inside[tenant]
                heappop(heap)
            elif (now := self._shares.counter(tenant)) != counter:
                self._inside[tenant] = now
                heapreplace(heap, (now, tenant))
            else:
                return tenant
        return None

    def second(self) -> float | None:
        """A counter that nobody but the first is below; None: there is no other."""
        heap = self._heap
        rest = [heap[place][0] for place in (1, 2) if place < len(heap)]
        return min(rest, default=None)

    def _enter(self, tenant: str, counter: float) -> None:
        self._inside[tenant] = counter
        heappush(self._heap, (counter, tenant))
        if len(self._heap) > _SLACK + 2 * len(self._inside):
            self._heap = sorted((counter, tenant) for tenant, counter in self._inside.items())
