"""The policy port and the policy there is: priority with linear ageing, then age."""

from collections.abc import Iterator
from typing import Final, Protocol

from wsaios.kernel.task import PRIORITY_MAX, PRIORITY_MIN, clamp_priority

AGEING_US_PER_POINT: Final = 600 * 1_000_000


Head = tuple[int, int, int]
"""The best task of one shard as (key, id, shard): smaller (key, id) first."""


class HeadsView(Protocol):
    """The heads of one lane that may start now."""

    def best(self) -> Head | None:
        """The smallest by (key, id), in O(log n); None when there is none."""

    def after_best(self) -> tuple[int, int] | None:
        """A (key, id) that no head but the best comes before; None: there is no other head."""

    def __iter__(self) -> Iterator[Head]:
        """All of them, in no order."""


class Policy(Protocol):
    """Two pure functions. `key` is fixed at intake, stored, and orders a shard.

    `choose` picks among the heads of shards.
    """

    def key(self, priority: int, enqueued_us: int) -> int:
        """The place of a task within its shard; smaller first, an int64."""

    def choose(self, heads: HeadsView) -> Head | None:
        """The head that starts next, or None when there is none."""

    def until(self, heads: HeadsView) -> tuple[int, int] | None:
        """Up to which (key, id) the shard of the chosen head would be chosen again and again; None: to its end."""

    def longest_wait_us(self) -> int:
        """By how much a younger task can have been enqueued and still go first."""


class PriorityAgeing:
    """Larger priority first; every point is worth a fixed time of waiting.

    key = enqueued_us − priority × µs per point, so that a task waits at most behind work enqueued within
    (p_max − p_min) × µs per point after it, whatever arrives: that is the bound on waiting.
    """

    def __init__(self, us_per_point: int = AGEING_US_PER_POINT) -> None:
        """`us_per_point` is how long one point of priority is worth, in µs (600 s unless set)."""
        self._us_per_point = us_per_point

    def key(self, priority: int, enqueued_us: int) -> int:
        """Clamped to PRIORITY_MIN … PRIORITY_MAX before use."""
        return enqueued_us - clamp_priority(priority) * self._us_per_point

    def choose(self, heads: HeadsView) -> Head | None:
        """The smallest key; of equal ones the older task."""
        return heads.best()

    def until(self, heads: HeadsView) -> tuple[int, int] | None:
        """Until another head is smaller."""
        return heads.after_best()

    def longest_wait_us(self) -> int:
        """(p_max − p_min) × µs per point."""
        return (PRIORITY_MAX - PRIORITY_MIN) * self._us_per_point
