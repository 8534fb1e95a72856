"""Identifiers: 63 bits inside, opaque prefixed strings outside.

An id is 41 bits of milliseconds since 2020-01-01 UTC, 10 bits of slot and 12 bits of sequence. A slot is leased from
the ledger by whoever makes ids, so two makers never meet; slot 0 belongs to the ledger itself and serves clients that
write while no owner lives. Runs of ids are consecutive in (millisecond, sequence), so a batch of any length is a
handful of ranges.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

EPOCH_MS: Final = 1_577_836_800_000
SEQUENCE_BITS: Final = 12
SLOT_BITS: Final = 10
SLOTS: Final = 1 << SLOT_BITS
_SEQUENCES: Final = 1 << SEQUENCE_BITS
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [high + low for high in _DIGITS for low in _DIGITS]
_TO_BASE_32: Final = str.maketrans(_DIGITS, "0123456789abcdefghijklmnopqrstuv")
_WIDTH: Final = 13

Prefix = Literal["task", "batch", "event", "run"]


class IdRange(NamedTuple):
    """`length` consecutive ids of one slot, beginning at `first`."""

    first: int
    length: int

    def at(self, index: int) -> int:
        """The id at `index` (0-based), without any table."""
        return join(*_advance(self.first, index))

    def span(self, start: int, count: int) -> list[int]:
        """The ids at `start`, `start` + 1, … (0-based), `count` of them."""
        found: list[int] = []
        while len(found) < count:
            number = self.at(start + len(found))
            # Within a millisecond ids are consecutive numbers.
            same = min(count - len(found), _SEQUENCES - (number & (_SEQUENCES - 1)))
            found.extend(range(number, number + same))
        return found

    def place_of(self, number: int) -> int | None:
        """The place of an id in this range, or None when it is not part of it."""
        slot = (self.first >> SEQUENCE_BITS) & (SLOTS - 1)
        if (number >> SEQUENCE_BITS) & (SLOTS - 1) != slot:
            return None
        place = _ordinal(number) - _ordinal(self.first)
        return place if 0 <= place < self.length else None

    @property
    def last(self) -> int:
        """The last id of the range."""
        return self.at(self.length - 1)


class IdMaker:
    """Makes ids of one slot that grow and never repeat, also across restarts that hand on `high`."""

    def __init__(self, slot: int, high: int = 0) -> None:
        """`high` is the largest id that the ledger has ever held."""
        if not 0 <= slot < SLOTS:
            msg = f"slot {slot} is outside 0…{SLOTS - 1}"
            raise ValueError(msg)
        self._slot = slot
        self._next = ((high >> (SEQUENCE_BITS + SLOT_BITS)) + 1) << SEQUENCE_BITS if high else 1

    def take(self, count: int, now_us: int) -> IdRange:
        """Reserve `count` consecutive ids."""
        floor = (now_us // 1000 - EPOCH_MS) << SEQUENCE_BITS
        start = max(self._next, floor)
        self._next = start + count
        return IdRange(join(start >> SEQUENCE_BITS, self._slot, start & (_SEQUENCES - 1)), count)

    def one(self, now_us: int) -> int:
        """Reserve a single id."""
        start = (now_us // 1000 - EPOCH_MS) << SEQUENCE_BITS
        start = max(start, self._next)
        self._next = start + 1
        return (start >> SEQUENCE_BITS) << 22 | self._slot << SEQUENCE_BITS | (start & 4095)


def join(millisecond: int, slot: int, sequence: int) -> int:
    """One id from its three parts."""
    return millisecond << (SLOT_BITS + SEQUENCE_BITS) | slot << SEQUENCE_BITS | sequence


def of_ledger(number: int) -> bool:
    """Whether an id was made in the slot of the ledger itself, by a client."""
    return not (number >> SEQUENCE_BITS) & (SLOTS - 1)


def walk(ranges: Sequence[IdRange]) -> Iterator[int]:
    """Every id of the ranges, in their order."""
    for part in ranges:
        for index in range(part.length):
            yield part.at(index)


def _ordinal(number: int) -> int:
    return (number >> (SLOT_BITS + SEQUENCE_BITS)) << SEQUENCE_BITS | (number & (_SEQUENCES - 1))


def _advance(first: int, index: int) -> tuple[int, int, int]:
    place = _ordinal(first) + index
    slot = (first >> SEQUENCE_BITS) & (SLOTS - 1)
    return place >> SEQUENCE_BITS, slot, place & (_SEQUENCES - 1)


def encode(number: int, prefix: Prefix = "task") -> str:
    """The string that users see, such as ``task_01hx…``; it sorts like the number."""
    pairs = _PAIRS
    return (
        f"{prefix}_{_DIGITS[number >> 60]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}"
        f"{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"
    )


def decode(text: str, prefix: Prefix = "task") -> int:
    """The number inside an id string.

    Raises:
        ValueError: the text is not an id with this prefix.
    """
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != _WIDTH or tail.strip(_DIGITS):
        msg = f"{text!r} is not a {prefix} id; one looks like {encode(1 << 60, prefix)}"
        raise ValueError(msg)
    try:
        number = int(tail.translate(_TO_BASE_32), 32)
    except ValueError:
        number = 1 << 63
    if number >= 1 << 63:
        msg = f"{text!r} is not a {prefix} id; it has no such number"
        raise ValueError(msg)
    return number
