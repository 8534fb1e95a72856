"""Finds ids that stand in more than one row, in 8 bytes a row."""

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

_BUCKETS: Final = 256
_SUSPECTS_ENOUGH: Final = 100_000


class Repeat(NamedTuple):
    """An id and the two rows that have it."""

    id: str | int
    first: int
    second: int


class IdHashes:
    """The 64-bit hashes of all ids of an input.

    Hashes alone prove only that no id repeats. Where two are equal, by a repeated id or by chance (about 3 in a million
    for ten million rows), `repeat_among` looks at the ids themselves, so that the verdict is exact. The text "1" and
    the number 1 are two ids.
    """

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def add(self, row_id: str | int) -> None:
        """Takes the id of the next row."""
        digest = hash(row_id)
        self._buckets[digest % _BUCKETS].append(digest)

    def suspects(self) -> set[int]:
        """Hashes that came more than once; none proves that all ids differ. Of very many, some 100,000 are named."""
        found: set[int] = set()
        for bucket in self._buckets:
            if len(set(bucket)) < len(bucket) and len(found) < _SUSPECTS_ENOUGH:
                found.update(digest for digest, times in Counter(bucket).items() if times > 1)
        return found


def repeat_among(ids: Iterable[tuple[int, str | int]], suspects: set[int]) -> Repeat | None:
    """The first id among (row number, id) whose hash is suspect and that stands in two rows, if there is one."""
    first_of: dict[str | int, int] = {}
    for number, row_id in ids:
        if hash(row_id) in suspects:
            first = first_of.setdefault(row_id, number)
            if first != number:
                return Repeat(row_id, first, number)
    return None
