"""Slots of lanes, places under concurrency keys and what limits count: what is taken, by whom, and the way back."""

from collections.abc import Iterator, Mapping

from wsaios.components.executor.gates import Gates
from wsaios.components.executor.meter import Meter
from wsaios.components.executor.seat import Seat
from wsaios.kernel.executor import AWAITS
from wsaios.kernel.executor import Slots as PortSlots
from wsaios.kernel.task import GRADES, Effective, Shard

Ref = tuple[int, int]


class Slots:
    """Who sits where. Taking and leaving are exact: every attempt leaves once, whatever is reported twice."""

    def __init__(self, meter: Meter) -> None:
        """`meter` is told what is taken and how long."""
        self.meter = meter
        self._limits: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._graded: dict[str, list[int]] = {}
        self.reserved: dict[str, list[int]] = {}
        self._keys: dict[str, int] = {}
        self._key_limits: dict[str, list[int]] = {}
        self._seats: dict[Ref, Seat] = {}
        self.gates = Gates(self._seats, meter.run_us)

    def limit(self, lane: str, slots: int, reserved: Mapping[str, int]) -> None:
        """Say how many slots a lane has, and how many of them are kept for a class of work and those above it."""
        self._limits[lane] = slots
        self._taken.setdefault(lane, 0)
        self.reserved.pop(lane, None)
        if any(reserved.values()):
            self.reserved[lane] = [reserved.get(name, 0) for name in GRADES]
            self._graded[lane] = graded = [0] * len(GRADES)
            for seat in set(self._seats.values()):
                graded[seat.shard.grade] += seat.lane == lane and not seat.away

    def slots(self, lane: str) -> int:
        """How many slots the lane has."""
        return self._limits[lane]

    def free(self, lane: str, lent: int = 0) -> int:
        """How many slots of the lane are free, if it had `lent` more; never negative."""
        return max(0, self._limits[lane] + lent - self._taken[lane])

    def room(self, lane: str, grade: int) -> int:
        """How many free slots of the lane a class of work may take: those kept for classes above it are not for it."""
        free = self.free(lane)
        reserved = self.reserved.get(lane)
        if reserved is None:
            return free
        graded = self._graded[lane]
        return free - sum(max(0, reserved[above] - graded[above]) for above in range(grade + 1, len(GRADES)))

    def taken(self) -> int:
        """How many slots are taken over all lanes; not those of calls that stand aside."""
        return sum(self._taken.values())

    def key_taken(self, key: str) -> int:
        """How many attempts run under a concurrency key."""
        return self._keys.get(key, 0)

    def key_room(self, key: str, limit: int) -> int:
        """How many more may run under a concurrency key: the smallest limit counts, of those that run and this one."""
        return min(limit, *self._key_limits.get(key, ()), limit) - self.key_taken(key)

    def take(self, lane: str, shard: Shard, refs: list[Ref], options: Effective, now_us: int) -> None:
        """One slot for these attempts of a shard, and what they hold of limits."""
        seat = Seat(lane, shard, len(refs), options, now_us)
        if self.meter.shares:
            seat.charged = self.meter.began(lane, shard)
        seat.ahead = self._taken[lane] >= self._limits[lane]
        self._taken[lane] += 1
        if self.reserved and lane in self.reserved:
            self._graded[lane][shard.grade] += 1
        if seat.key:
            self._keys[seat.key] = self._keys.get(seat.key, 0) + len(refs)
            self._key_limits.setdefault(seat.key, []).append(options.concurrency_limit)
        for ref in refs:
            self._seats[ref] = seat
        if self.gates.any:
            self.gates.take(seat, now_us)

    def seat(self, ref: Ref) -> Seat | None:
        """Where an attempt sits, or None when it left or never sat."""
        return self._seats.get(ref)

    def leave(self, ref: Ref, now_us: int | None) -> Seat | None:
        """An attempt is over for its engine; returns its seat the first time, None afterwards.

        `now_us` None: it never came to its engine, and nothing is measured by it.
        """
        seat = self._seats.pop(ref, None)
        if seat is None:
            return None
        seat.left -= 1
        if self.gates.any:
            self.gates.leave(seat, now_us)
        if seat.left == 0:
            self._count(seat, now_us)
        if seat.key:
            self._keys[seat.key] -= 1
            if seat.left == 0:
                self._key_limits[seat.key].remove(seat.options.concurrency_limit)
            if not self._keys[seat.key]:
                del self._keys[seat.key], self._key_limits[seat.key]
        return seat

    def stand(self, ref: Ref, *, aside: bool, now_us: int, why: int = AWAITS) -> None:
        """The call of an attempt stands aside or comes back; its place under a concurrency key stays taken.

        It is back when no reason is left. Who comes back sits at once, although the lane may then have more calls than
        slots until one of them leaves.
        """
        seat = self._seats.get(ref)
        if seat is None:
            return
        was = seat.away
        seat.away = now = was | why if aside else was & ~why
        if self.gates.any and (was ^ now) & AWAITS:
            self.gates.stand(seat, aside=aside)
        if bool(was) is bool(now):
            return
        if now:
            self._rose(seat, now_us)
        seat.since_us = now_us
        step = -1 if now else 1
        self._taken[seat.lane] += step
        if seat.lane in self.reserved:
            self._graded[seat.lane][seat.shard.grade] += step

    def _rose(self, seat: Seat, now_us: int) -> None:
        """What it had until now counts at once: it may come and go for hours."""
        seat.used_us += max(0, now_us - seat.since_us)
        more = seat.used_us - seat.charged
        if self.meter.shares and more > 0:
            seat.charged += more
            self.meter.undo(seat.lane, seat.shard, -more)

    def inherit(self, old: PortSlots) -> None:
        """Take over who sits, not how many may."""
        for ref in old:
            seat = old.seat(ref)
            if isinstance(seat, Seat):
                self._seats[ref] = seat
        for seat in set(self._seats.values()):
            self._taken[seat.lane] = self._taken.get(seat.lane, 0) + (not seat.away)
            if seat.lane in self.reserved:
                self._graded[seat.lane][seat.shard.grade] += not seat.away
            seat.charged = 0.0
            if seat.turn is not None:
                seat.turn.asked_us = None
            if seat.key:
                self._keys[seat.key] = self._keys.get(seat.key, 0) + seat.left
                self._key_limits.setdefault(seat.key, []).append(seat.options.concurrency_limit)
        if isinstance(old, Slots):
            self.gates.inherit(old.gates)
            self.meter.inherit(old.meter)
        self.gates.recount()

    def __iter__(self) -> Iterator[Ref]:
        """Every attempt that sits."""
        return iter(self._seats)

    def _count(self, seat: Seat, now_us: int | None) -> None:
        """The seat is empty.

        Of calls that were handed out ahead it is not known when they began; together they have had the slots.
        """
        lane, used_us = seat.lane, seat.used_us
        if not seat.away:
            slots, taken = self._limits[lane], self._taken[lane]
            self._taken[lane] = taken - 1
            if self.reserved and lane in self.reserved:
                self._graded[lane][seat.shard.grade] -= 1
            if now_us is not None:
                held_us = now_us - seat.since_us
                used_us += held_us * slots // taken if seat.ahead and taken > slots else held_us
        if now_us is None:
            self.meter.undo(lane, seat.shard, seat.charged)
        else:
            self.meter.ended(lane, seat.shard, used_us, seat.charged, now_us)
