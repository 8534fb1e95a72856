"""Time that moves only when it is told to."""

from typing import Final

START_US: Final = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC."""


class SimClock:
    """Microseconds UTC, moved by hand."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """The present."""
        return self._now_us

    def advance(self, by_us: int) -> int:
        """Move on by `by_us` and return the new present.

        Raises:
            ValueError: `by_us` is negative.
        """
        if by_us < 0:
            raise ValueError(f"{by_us} µs would step back; a clock of this project never does")
        self._now_us += by_us
        return self._now_us

    def reach(self, at_us: int) -> int:
        """Move on to `at_us`, unless that is past already, and return the present."""
        self._now_us = max(self._now_us, at_us)
        return self._now_us
