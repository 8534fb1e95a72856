"""What was taken of rates, as the ledger keeps it: whoever owns it next takes no more in the same time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Any, Final

from wsaios.components.executor.gate import Gate
from wsaios.components.executor.sliding import Used

USED: Final = "limit_used"
"""Facts by limit and unit: how long the time is, µs, and the cells."""
Window = tuple[int, Used]


class Usage:
    """Written with the commit that holds the starts; what is over is removed with a later one.

    `paid` are the limits of which something was taken since the last commit, `stored` what nobody has asked for yet.
    """

    def __init__(self, gates: Mapping[str, Gate]) -> None:
        self.paid: dict[str, None] = {}
        self.stored: dict[str, Window] = {}
        self._gates = gates
        self._inherited: dict[str, None] = {}
        self._ends: list[tuple[int, str]] = []

    @property
    def any(self) -> bool:
        """Whether there is something to write or to forget."""
        return bool(self.paid or self._inherited or self._ends)

    def load(self, facts: Iterable[tuple[str, str, Any]]) -> None:
        """Take over what the ledger knows; before the first task is looked at."""
        for component, key, value in facts:
            if component == USED:
                per_us, cells = value
                self._store(key, per_us, [(end, amount) for end, amount in cells])

    def inherit(self, old: "Usage", per_us: Callable[[str, str], int | None]) -> None:
        """Go on with what another one has counted, whatever became of its last commits: the next one writes it.

        `per_us` is how long the time of a rate is (None: not known): what was counted over another is not what holds.
        """
        for key, window in old.windows():
            name, _, unit = key.rpartition(" ")
            if per_us(name, unit) in {None, window[0]}:
                self._store(key, *window)
        self._inherited = dict.fromkeys(self.stored)

    def windows(self) -> Iterator[tuple[str, Window]]:
        """All that is known to have been taken, by limit and unit."""
        yield from self.stored.items()
        for name, gate in self._gates.items():
            for unit, rate in gate.rates.items():
                yield f"{name} {unit}", (rate.per_us, rate.used())

    def take(self, key: str) -> Used | None:
        """What was taken of a rate before; from now on the rate counts it."""
        stored = self.stored.pop(key, None)
        return None if stored is None else stored[1]

    def kept(self, now_us: int) -> list[tuple[str, str, Any]]:
        """What the next commit writes."""
        facts: dict[str, Any] = {key: self._window(key) for key in self._inherited}
        self._inherited.clear()
        for name in self.paid:
            gate = self._gates.get(name)
            for unit, rate in gate.rates.items() if gate is not None else ():
                key = f"{name} {unit}"
                facts[key] = rate.per_us, rate.used()
                heappush(self._ends, (rate.empty_us(), key))
        self.paid.clear()
        over: dict[str, None] = {}
        while self._ends and self._ends[0][0] <= now_us:
            over[heappop(self._ends)[1]] = None
        for key in over:
            if self._empty(key, now_us):
                self.stored.pop(key, None)
                facts[key] = None
        return [(USED, key, value) for key, value in facts.items()]

    def _store(self, key: str, per_us: int, cells: Used) -> None:
        self.stored[key] = per_us, cells
        heappush(self._ends, (_empty_us(per_us, cells), key))

    def _window(self, key: str) -> Window | None:
        name, _, unit = key.rpartition(" ")
        gate = self._gates.get(name)
        rate = gate.rates.get(unit) if gate is not None else None
        return self.stored.get(key) if rate is None else (rate.per_us, rate.used())

    def _empty(self, key: str, now_us: int) -> bool:
        """Whether nothing of a rate is in its time any more; else it is looked at again when that is over."""
        window = self._window(key)
        if window is None or (empty_us := _empty_us(*window)) <= now_us:
            return True
        heappush(self._ends, (empty_us, key))
        return False


def _empty_us(per_us: int, cells: Used) -> int:
    return max((end for end, _ in cells), default=0) + per_us
