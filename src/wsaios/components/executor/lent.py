"""How many short calls may wait in a lane beyond its slots, as its engine says."""

from collections.abc import Iterator


class Lent:
    """Rows by lane and handler; what is not known gets none."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, int]] = {}
        self._most: dict[str, int] = {}

    def lend(self, lane: str, handler: str, rows: int) -> None:
        """From now on so many, in place of what was said before."""
        known = self._rows.setdefault(lane, {})
        known[handler] = rows
        if not rows:
            del known[handler]
        self._most[lane] = max(known.values(), default=0)

    def rows(self, lane: str, handler: str) -> int:
        """How many of this handler."""
        known = self._rows.get(lane)
        return known.get(handler, 0) if known else 0

    def all(self) -> Iterator[tuple[str, str, int]]:
        """Lane, handler and rows."""
        return ((lane, handler, rows) for lane, known in self._rows.items() for handler, rows in known.items())

    def most(self, lane: str) -> int:
        """The most of any handler."""
        return self._most.get(lane, 0)
