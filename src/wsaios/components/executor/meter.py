"""What was measured: how long handlers and lanes take, and what each tenant has had."""

from collections.abc import Callable
from typing import Final

from wsaios.components.executor.line import Line
from wsaios.kernel.task import Shard

_WEIGHT: Final = 0.1
_PLAIN: Final = 10
_UNKNOWN_US: Final = 1000.0
HALF_LIFE_US: Final = 3_600_000_000


class Pace:
    """How long calls of a handler take: of the first ones the plain mean, later each counts a tenth."""

    __slots__ = ("count", "lane", "mean")

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self.count = 0
        self.mean = 0.0


class Meter:
    """Fed by slots that are taken and left. Times are slot time in µs: without what a call stood aside.

    `shares`: some lane is shared, so that whoever takes a slot is charged for it. `uses`: somebody asks which share
    of all slot time a tenant had.
    """

    def __init__(self, lines: Callable[[str], Line | None]) -> None:
        """`lines` finds what waits in a lane."""
        self.shares = False
        self.uses = False
        self._lines = lines
        self._handlers: dict[str, Pace] = {}
        self._longest = 0.0
        self._used: dict[str, tuple[float, int]] = {}

    def run_us(self, handler: str) -> int:
        """How long a call of the handler has taken lately; 0: none has ended."""
        pace = self._handlers.get(handler)
        return 0 if pace is None else int(pace.mean)

    def expected_us(self, handler: str) -> float:
        """As `run_us`, with a guess for one that was never seen."""
        pace = self._handlers.get(handler)
        return _UNKNOWN_US if pace is None else pace.mean

    def cost(self, handler: str) -> float:
        """How long the handler takes beside the one that takes longest, 0 … 1."""
        return self.run_us(handler) / self._longest if self._longest else 0.0

    def lane_us(self, lane: str) -> float | None:
        """How long a call in the lane holds its slot; None: none has ended."""
        paces = [pace for pace in self._handlers.values() if pace.lane == lane]
        count = sum(pace.count for pace in paces)
        return sum(pace.mean * pace.count for pace in paces) / count if count else None

    def share(self, tenant: str, now_us: int) -> float:
        """The part of all slot time of the last hours that the tenant had; what is an hour old counts half."""
        if len(self._used) <= 1 and tenant in self._used:
            return 1.0
        total = sum(_decayed(used, now_us) for used in self._used.values())
        return _decayed(self._used.get(tenant, (0.0, 0)), now_us) / total if total else 0.0

    def began(self, lane: str, shard: Shard) -> float:
        """A slot was taken for tasks of a shard; what the tenant is charged for it beforehand."""
        line = self._lines(lane)
        if line is None or line.shares is None:
            return 0.0
        expected = self.expected_us(shard.handler)
        line.charge(shard.tenant, expected)
        return expected

    def ended(self, lane: str, shard: Shard, used_us: int, charged: float, now_us: int) -> None:
        """The slot was left after `used_us`."""
        pace = self._handlers.get(shard.handler)
        if pace is None:
            pace = self._handlers[shard.handler] = Pace(lane)
        pace.lane, pace.count = lane, pace.count + 1
        pace.mean += (used_us - pace.mean) * (_WEIGHT if pace.count > _PLAIN else 1.0 / pace.count)
        self._longest = max(self._longest, pace.mean)
        if charged:
            self.undo(lane, shard, charged - used_us)
        if self.uses:
            tenant = shard.tenant
            used = _decayed(self._used.get(tenant, (0.0, now_us)), now_us)
            self._used[tenant] = used + used_us, now_us

    def undo(self, lane: str, shard: Shard, charged: float) -> None:
        """A tenant was charged so much too much."""
        line = self._lines(lane)
        if line is not None:
            line.charge(shard.tenant, -charged)

    def inherit(self, old: "Meter") -> None:
        """Go on with what another one has measured."""
        own = {name: getattr(self, name) for name in ("_lines", "shares", "uses")}
        self.__dict__.update(old.__dict__ | own)


def _decayed(used: tuple[float, int], now_us: int) -> float:
    amount, at_us = used
    return float(amount * 0.5 ** ((now_us - at_us) / HALF_LIFE_US))
