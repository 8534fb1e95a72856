"""How fast something goes, and how long it will take."""

from collections import deque
from typing import Final

_WINDOW_S: Final = 30.0
_MINUTE_S: Final = 60
_ROUND: Final = 100


class Pace:
    """Rate over the last half minute; what was done before the first look does not count."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._seen: deque[tuple[float, int]] = deque()

    def look(self, done: int, now_s: float) -> None:
        """So much is done at this time."""
        self._seen.append((now_s, done))
        while now_s - self._seen[0][0] > _WINDOW_S and now_s - self._seen[1][0] >= _WINDOW_S:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """How many a second; 0 while nobody knows."""
        if not self._seen:
            return 0.0
        (began_s, before), (now_s, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now_s - began_s) if now_s > began_s else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until all is done, if it goes on like this; None while nobody knows."""
        if not self._seen or not self.rate:
            return None
        return max(0, self._total - self._seen[-1][1]) / self.rate


def span(seconds: float | None) -> str:
    """A time such as ``42 s``, ``3:07`` or ``1:02:05``; ``?`` for None."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    minutes, rest = divmod(whole, _MINUTE_S)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def speed(rate: float) -> str:
    """A rate with as many digits as it deserves."""
    return f"{rate:,.0f}" if rate >= _ROUND else f"{rate:.1f}"
