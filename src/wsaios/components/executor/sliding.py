"""How much started in a time: a sliding window in cells, which never lets more through than it may."""

from typing import Final

CELLS: Final = 32
Used = list[tuple[int, int]]
"""Cells as (end in µs UTC, amount), the oldest first."""


class Sliding:
    """At most `limit` in any `per_us`, wherever it begins.

    What is taken is added up in cells of a 32nd of that time. A cell leaves as a whole, when the last thing that it may
    hold is `per_us` old: so at most as much as allowed is ever in a window, and a steady stream gets 32/33 of it.
    """

    __slots__ = ("_cells", "limit", "per_us", "total")

    def __init__(self, limit: int, per_us: int, used: Used | None = None) -> None:
        """`used` is what was taken before; it may have been in cells of another size."""
        self.limit = limit
        self.per_us = per_us
        self._cells: dict[int, int] = dict(sorted(used or ()))
        self.total = sum(self._cells.values())

    def room(self, now_us: int) -> int:
        """How much may be taken now; below 0 when more was used than had been asked for."""
        self._leave(now_us)
        return self.limit - self.total

    def take(self, amount: int, now_us: int) -> int:
        """Take it; returns the cell that it is in, for `give_back`."""
        cell = -(-(now_us + 1) * CELLS // self.per_us) * self.per_us // CELLS
        # A time that falls into a cell of another size must not end before it.
        cell = max(cell, now_us + 1, next(reversed(self._cells), 0))
        self._cells[cell] = self._cells.get(cell, 0) + amount
        self.total += amount
        return cell

    def give_back(self, amount: int, cell: int) -> bool:
        """Some of what was taken was not used; False: it has left the window already."""
        there = self._cells.get(cell)
        if there is None:
            return False
        back = min(amount, there)
        self._cells[cell] = there - back
        self.total -= back
        return True

    def when_us(self, amount: int, now_us: int) -> int | None:
        """From when on `amount` may be taken, if nothing else is; None: never, it is more than all."""
        if amount > self.limit:
            return None
        left = self.room(now_us) - amount
        if left >= 0:
            return now_us
        for cell, there in self._cells.items():
            left += there
            if left >= 0:
                return cell + self.per_us
        return None

    def empty_us(self) -> int:
        """When all that was taken has left."""
        return next(reversed(self._cells), 0) + self.per_us

    def used(self) -> Used:
        """What is in the window, to be kept."""
        return [(cell, amount) for cell, amount in self._cells.items() if amount]

    def _leave(self, now_us: int) -> None:
        cells = self._cells
        while cells:
            cell = next(iter(cells))
            if cell + self.per_us > now_us:
                return
            self.total -= cells.pop(cell)
