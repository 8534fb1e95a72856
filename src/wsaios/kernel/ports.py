"""The small ports that the core is given: time and chance."""

from typing import Protocol


class Clock(Protocol):
    """Microseconds UTC that never step back."""

    def now_us(self) -> int:
        """The present."""


class Rng(Protocol):
    """Uniform numbers in [0, 1)."""

    def random(self) -> float:
        """The next one."""
