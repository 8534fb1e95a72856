"""Which of many tasks have been seen: one bit each, found by id without looking at every range."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from wsaios.kernel.ids import SEQUENCE_BITS, SLOTS, IdRange

_SLOT: Final = SLOTS - 1


class Places:
    """The rows of several id ranges that do not overlap; `left` counts those that are not marked yet."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """`ranges` are (first id, length)."""
        parts: dict[int, list[tuple[IdRange, int]]] = {}
        total = 0
        for first, length in ranges:
            if length:
                parts.setdefault(_slot(first), []).append((IdRange(first, length), total))
                total += length
        self._parts = {slot: sorted(found) for slot, found in parts.items()}
        self._firsts = {slot: [part.first for part, _ in found] for slot, found in self._parts.items()}
        self._seen = bytearray((total + 7) // 8)
        self.left = total

    def place_of(self, number: int) -> int | None:
        """The row (0-based) of an id, or None when it is in none of the ranges."""
        slot = _slot(number)
        # Ids of one slot sort like their places.
        index = bisect_right(self._firsts.get(slot, ()), number) - 1
        if index < 0:
            return None
        part, before = self._parts[slot][index]
        place = part.place_of(number)
        return None if place is None else before + place

    def mark(self, number: int) -> bool:
        """Whether the id belongs here and was not marked before; from now on it is."""
        place = self.place_of(number)
        if place is None:
            return False
        byte, bit = place >> 3, 1 << (place & 7)
        if self._seen[byte] & bit:
            return False
        self._seen[byte] |= bit
        self.left -= 1
        return True

    def first_left(self) -> Iterator[int]:
        """Of each range the first id that is not marked."""
        for found in self._parts.values():
            for part, before in found:
                place = self._unmarked(before, before + part.length)
                if place is not None:
                    yield part.at(place - before)

    def _unmarked(self, place: int, end: int) -> int | None:
        while place < end:
            if not place & 7:
                rest = self._seen[place >> 3 : end >> 3]
                place += 8 * (len(rest) - len(rest.lstrip(b"\xff")))
                if place >= end:
                    return None
            if not self._seen[place >> 3] & 1 << (place & 7):
                return place
            place += 1
        return None


def _slot(number: int) -> int:
    return (number >> SEQUENCE_BITS) & _SLOT
