"""Slots against a plain count: every attempt leaves once; a slot is free once all its attempts left or stand aside."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsaios.components.executor.meter import Meter
from wsaios.components.executor.slots import Slots
from wsaios.kernel.task import Effective, Options, Shard, effective

LANES = ("default", "thread")
Ref = tuple[int, int]


def options(limit: int) -> Effective:
    return effective(Options(concurrency_limit=limit), None)


def slots() -> Slots:
    return Slots(Meter(lambda _: None))


class SlotsMachine(RuleBasedStateMachine):
    """Calls by number: their lane, their key and who still sits."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = slots()
        self.limits = {"default": 3, "thread": 1}
        for lane, count in self.limits.items():
            self.slots.limit(lane, count, {})
        self.calls: list[tuple[str, str, set[Ref]]] = []
        self.key_limits: list[int] = []
        self.gone: list[Ref] = []
        self.aside: set[Ref] = set()
        self.number = 0

    @rule(
        lane=st.sampled_from(LANES), key=st.sampled_from(("", "a", "b")), size=st.integers(1, 4), most=st.integers(1, 9)
    )
    def a_call_takes_a_slot(self, lane: str, key: str, size: int, most: int) -> None:
        refs = [(self.number + place, 7) for place in range(size)]
        self.number += size
        self.slots.take(lane, Shard(1, lane, "t", "h", 0, key), refs, options(most), 0)
        self.calls.append((lane, key, set(refs)))
        self.key_limits.append(most)

        seat = self.slots.seat(refs[0])
        assert seat is not None
        assert (seat.key, seat.size) == (key, size)

    @precondition(lambda self: any(left for _, _, left in self.calls))
    @rule(data=st.data())
    def an_attempt_leaves(self, data: st.DataObject) -> None:
        sitting = sorted(ref for _, _, left in self.calls for ref in left)
        ref = data.draw(st.sampled_from(sitting))
        seat = self.slots.leave(ref, 0)

        assert seat is not None
        assert self.slots.seat(ref) is None
        for _, _, left in self.calls:
            left.discard(ref)
        self.gone.append(ref)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def an_attempt_that_left_leaves_again(self, data: st.DataObject) -> None:
        assert self.slots.leave(data.draw(st.sampled_from(self.gone)), 0) is None

    @precondition(lambda self: any(left for _, _, left in self.calls))
    @rule(data=st.data(), aside=st.booleans())
    def a_call_stands_aside_or_comes_back(self, data: st.DataObject, aside: bool) -> None:
        left = data.draw(st.sampled_from([left for _, _, left in self.calls if left]))
        self.slots.stand(min(left), aside=aside, now_us=0)
        self.aside = self.aside | left if aside else self.aside - left

    @rule()
    def one_that_never_sat_leaves(self) -> None:
        assert self.slots.leave((self.number + 1000, 1), 0) is None
        self.slots.stand((self.number + 1000, 1), aside=True, now_us=0)

    @rule(lane=st.sampled_from(LANES), count=st.integers(0, 4))
    def a_lane_gets_another_number(self, lane: str, count: int) -> None:
        self.limits[lane] = count
        self.slots.limit(lane, count, {})

    @rule()
    def another_core_takes_over(self) -> None:
        old, self.slots = self.slots, slots()
        for lane, count in self.limits.items():
            self.slots.limit(lane, count, {})
        self.slots.inherit(old)

    @invariant()
    def everything_is_counted(self) -> None:
        seated = {lane: sum(name == lane and bool(left - self.aside) for name, _, left in self.calls) for lane in LANES}
        for lane, count in self.limits.items():
            assert self.slots.slots(lane) == count
            assert self.slots.free(lane) == max(0, count - seated[lane])
            assert self.slots.free(lane, 5) == max(0, count + 5 - seated[lane])
        assert self.slots.taken() == sum(seated.values())
        for key in ("a", "b"):
            taken = sum(len(left) for _, name, left in self.calls if name == key)
            limits = [
                most for (_, name, left), most in zip(self.calls, self.key_limits, strict=True) if name == key and left
            ]
            assert self.slots.key_taken(key) == taken
            assert self.slots.key_room(key, 5) == min([5, *limits]) - taken
        assert sorted(self.slots) == sorted(ref for _, _, left in self.calls for ref in left)


TestSlots = SlotsMachine.TestCase


def test_calls_at_hand_beyond_the_slots_count_with_their_part_of_them() -> None:
    meter = Meter(lambda _: None)
    one = Slots(meter)
    one.limit("thread", 1, {})
    shard = Shard(1, "thread", "t", "h", 0, "")
    for number in range(8):
        one.take("thread", shard, [(number, 1)], options(1), 0)
    # A call a millisecond, each after eight of them had been handed out.
    for number in range(8, 500):
        one.leave((number - 8, 1), (number - 7) * 1000)
        one.take("thread", shard, [(number, 1)], options(1), (number - 7) * 1000)
    assert 950 < meter.run_us("h") < 1050


def test_a_long_call_that_had_a_slot_from_the_first_counts_wholly_beside_short_ones_at_hand() -> None:
    meter = Meter(lambda _: None)
    two = Slots(meter)
    two.limit("thread", 2, {})
    long, short = (Shard(number, "thread", "t", name, 0, "") for number, name in ((1, "long"), (2, "short")))
    two.take("thread", long, [(0, 1)], options(1), 0)
    for number in range(1, 101):
        two.take("thread", short, [(number, 1)], options(1), 0)
    two.leave((0, 1), 1_000_000)
    assert meter.run_us("long") == 1_000_000
