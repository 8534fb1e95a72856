"""What was taken of rates, as the ledger keeps it: whoever owns it next takes no more in the same time."""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Any, Final

from wsaios.components.executor.gate import Gate
from wsaios.components.executor.sliding import Used

USED: Final = "limit_used"
"""Facts by limit and unit: how long the time is, µs, and the cells."""


class Usage:
    """Written with the commit that holds the starts; what is over is removed with a later one.

    `paid` are the limits of which something was taken since the last commit, `stored` what nobody has asked for yet.
    """

    def __init__(self, gates: Mapping[str, Gate]) -> None:
        self.paid: dict[str, None] = {}
        self.stored: dict[str, Used] = {}
        self._gates = gates
        self._ends: list[tuple[int, str]] = []

    @property
    def any(self) -> bool:
        """Whether there is something to write or to forget."""
        return bool(self.paid or self._ends)

    def load(self, facts: Iterable[tuple[str, str, Any]]) -> None:
        """Take over what the ledger knows; before the first task is looked at."""
        for component, key, value in facts:
            if component == USED:
                per_us, cells = value
                self.stored[key] = [(end, amount) for end, amount in cells]
                heappush(self._ends, (max((end for end, _ in cells), default=0) + per_us, key))

    def kept(self, now_us: int) -> list[tuple[str, str, Any]]:
        """What the next commit writes."""
        facts: list[tuple[str, str, Any]] = []
        for name in self.paid:
            gate = self._gates.get(name)
            for unit, rate in gate.rates.items() if gate is not None else ():
                key = f"{name} {unit}"
                facts.append((USED, key, [rate.per_us, rate.used()]))
                heappush(self._ends, (rate.empty_us(), key))
        self.paid.clear()
        over: dict[str, None] = {}
        while self._ends and self._ends[0][0] <= now_us:
            over[heappop(self._ends)[1]] = None
        for key in over:
            if self._empty(key, now_us):
                self.stored.pop(key, None)
                facts.append((USED, key, None))
        return facts

    def _empty(self, key: str, now_us: int) -> bool:
        """Whether nothing of a rate is in its time any more; else it is looked at again when that is over."""
        name, _, unit = key.rpartition(" ")
        gate = self._gates.get(name)
        rate = gate.rates.get(unit) if gate is not None else None
        if rate is None or rate.empty_us() <= now_us:
            return True
        heappush(self._ends, (rate.empty_us(), key))
        return False
