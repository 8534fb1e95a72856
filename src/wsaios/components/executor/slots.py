"""Slots of lanes and places under concurrency keys: what is taken, by whom, and the way back."""

from collections.abc import Iterable

from wsaios.kernel.executor import Slots as PortSlots

Ref = tuple[int, int]


class Seat:
    """One slot taken by a call, with the attempts it still holds; while it stands aside the slot is free."""

    __slots__ = ("alone", "aside", "key", "key_limit", "lane", "left", "size")

    def __init__(self, lane: str, key: str, size: int, key_limit: int) -> None:
        self.lane = lane
        self.key = key
        self.key_limit = key_limit
        self.left = size
        self.size = size
        self.alone = size == 1
        self.aside = False


class Slots:
    """Who sits where. Taking and leaving are exact: every attempt leaves once, whatever is reported twice."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._key_limits: dict[str, list[int]] = {}
        self._seats: dict[Ref, Seat] = {}

    def limit(self, lane: str, slots: int) -> None:
        """Say how many slots a lane has."""
        self._limits[lane] = slots
        self._taken.setdefault(lane, 0)

    def slots(self, lane: str) -> int:
        """How many slots the lane has."""
        return self._limits[lane]

    def free(self, lane: str, lent: int = 0) -> int:
        """How many slots of the lane are free, if it had `lent` more; never negative."""
        return max(0, self._limits[lane] + lent - self._taken[lane])

    def taken(self) -> int:
        """How many slots are taken over all lanes; not those of calls that stand aside."""
        return sum(self._taken.values())

    def key_taken(self, key: str) -> int:
        """How many attempts run under a concurrency key."""
        return self._keys.get(key, 0)

    def key_room(self, key: str, limit: int) -> int:
        """How many more may run under a concurrency key: the smallest limit counts, of those that run and this one."""
        return min(limit, *self._key_limits.get(key, ()), limit) - self.key_taken(key)

    def take(self, lane: str, key: str, refs: list[Ref], key_limit: int = 1) -> None:
        """One slot for these attempts."""
        seat = Seat(lane, key, len(refs), key_limit)
        self._taken[lane] += 1
        if key:
            self._keys[key] = self._keys.get(key, 0) + len(refs)
            self._key_limits.setdefault(key, []).append(key_limit)
        for ref in refs:
            self._seats[ref] = seat

    def seat(self, ref: Ref) -> Seat | None:
        """Where an attempt sits, or None when it left or never sat."""
        return self._seats.get(ref)

    def leave(self, ref: Ref) -> Seat | None:
        """An attempt is over for its engine; returns its seat the first time, None afterwards."""
        seat = self._seats.pop(ref, None)
        if seat is None:
            return None
        seat.left -= 1
        if seat.left == 0 and not seat.aside:
            self._taken[seat.lane] -= 1
        if seat.key:
            self._keys[seat.key] -= 1
            if seat.left == 0:
                self._key_limits[seat.key].remove(seat.key_limit)
            if not self._keys[seat.key]:
                del self._keys[seat.key], self._key_limits[seat.key]
        return seat

    def stand(self, ref: Ref, *, aside: bool) -> None:
        """The call of an attempt stands aside or comes back; its place under a concurrency key stays taken.

        Who comes back sits at once, although the lane may then have more calls than slots until one of them leaves.
        """
        seat = self._seats.get(ref)
        if seat is not None and seat.aside is not aside:
            seat.aside = aside
            self._taken[seat.lane] += -1 if aside else 1

    def inherit(self, old: PortSlots) -> None:
        """Take over who sits, not how many may."""
        for ref in old.held():
            seat = old.seat(ref)
            if isinstance(seat, Seat):
                self._seats[ref] = seat
        for seat in set(self._seats.values()):
            self._taken[seat.lane] = self._taken.get(seat.lane, 0) + (not seat.aside)
            if seat.key:
                self._keys[seat.key] = self._keys.get(seat.key, 0) + seat.left
                self._key_limits.setdefault(seat.key, []).append(seat.key_limit)

    def held(self) -> Iterable[Ref]:
        """Every attempt that sits."""
        return self._seats.keys()
