"""Who stops, who goes on next, and who must make room."""

import pytest

from tests.unit.components.executor.tasks import ready
from wsaios.components.executor.executor import TaskExecutor
from wsaios.components.executor.yields import PATIENCE_US
from wsaios.kernel.executor import Span, Window
from wsaios.kernel.policy import FairShare, Mlfq, Ordering
from wsaios.kernel.states import State
from wsaios.kernel.task import GRADES, HandlerSpec, LaneKind, LaneSpec, Shard, Task, effective

MLFQ = Mlfq(quanta_ms=(4.0, 8.0), boost_s=1.0)
FENCE = 1
BULK, DEFAULT, INTERACTIVE = range(len(GRADES))


class Hall:
    """An executor with one lane, in which calls sit and tasks wait."""

    def __init__(self, slots: int, ordering: Ordering | None = None, kind: LaneKind = "async") -> None:
        self.executor = TaskExecutor(ordering or Ordering())
        self.executor.lane(LaneSpec("lane", slots, kind))
        self.executor.handler(HandlerSpec("work", "lane", preemptible=True))
        self.yields = self.executor.yields
        self.shards: dict[tuple[int, str], Shard] = {}

    def shard(self, grade: int, tenant: str = "default") -> Shard:
        return self.shards.setdefault(
            (grade, tenant), Shard(len(self.shards) + 1, "lane", tenant, "work", 0, "", grade=grade)
        )

    def sits(self, number: int, key: int, grade: int = DEFAULT, *, tenant: str = "default", at_us: int = 0) -> Task:
        """A task that runs and may have to make room."""
        task, shard = ready(number, key), self.shard(grade, tenant)
        task.state, task.shard = State.RUNNING, shard.id
        self.executor.slots.take("lane", shard, [(number, FENCE)], effective(None, None), at_us)
        self.yields.may_yield("lane", (number, FENCE), key)
        return task

    def rests(self, task: Task, now_us: int = 0, *, used_up: bool = False) -> None:
        shard = next(shard for shard in self.shards.values() if shard.id == task.shard)
        self.yields.rest(task, shard, now_us, used_up=used_up)

    def waits(self, number: int, key: int, grade: int = DEFAULT, *, tenant: str = "default") -> Window:
        task, shard = ready(number, key), self.shard(grade, tenant)
        task.shard = shard.id
        self.executor.offer(task, shard)
        return self.executor.windows[shard.id]

    def asked(self, now_us: int) -> list[int]:
        """The numbers of those that are asked to make room now."""
        window = self.yields.waits("lane")
        assert window is not None
        self.yields.begin()
        refs = self.yields.victims("lane", window, now_us)
        for ref in refs:
            seat = self.executor.slots.seat(ref)
            assert seat is not None
            assert seat.turn is not None
            seat.turn.asked_us = now_us
        return [number for number, _ in refs]


def test_a_call_that_rests_has_no_slot_and_goes_on_from_its_place() -> None:
    hall = Hall(1)
    task = hall.sits(1, 10)
    assert hall.executor.slots.free("lane") == 0

    hall.rests(task)
    assert hall.executor.slots.free("lane") == 1
    hall.waits(2, 20)
    rest = hall.yields.returns("lane")
    assert rest is not None
    assert (rest.ref, rest.place) == ((1, FENCE), (10, 1))
    assert hall.yields.within("lane", Span((20, 2), None)) == Span((10, 1), None)

    assert hall.yields.goes_on(rest.ref, 5) is None
    assert hall.executor.slots.free("lane") == 0
    assert hall.yields.returns("lane") is None


def test_it_waits_behind_what_is_better() -> None:
    hall = Hall(1)
    hall.rests(hall.sits(1, 10))
    hall.waits(2, 5)
    assert hall.yields.returns("lane") is None


def test_who_used_up_its_time_sinks_and_has_more_of_it_there_and_who_was_asked_does_not() -> None:
    hall = Hall(1, Ordering(MLFQ))
    task = hall.sits(1, 10)
    assert hall.yields.quantum_us() == 4000
    hall.rests(task, 100)
    assert hall.yields.goes_on((1, FENCE), 200) == 4000

    hall.rests(task, 300, used_up=True)
    rest = hall.yields.returns("lane")
    assert rest is not None
    assert rest.key == 1_000_000 + 300
    assert hall.yields.goes_on((1, FENCE), 400) == 8000
    hall.rests(task, 500, used_up=True)
    assert hall.yields.goes_on((1, FENCE), 600) == 8000


def test_a_call_that_gets_another_place_has_it_also_while_it_rests() -> None:
    hall = Hall(2, Ordering(MLFQ))
    rests, runs = hall.sits(1, 10), hall.sits(2, 20)
    hall.rests(rests, used_up=True)

    hall.yields.renew(rests, 7)
    hall.yields.renew(runs, 3)
    rest = hall.yields.returns("lane")
    assert rest is not None
    assert rest.place == (7, 1)
    assert hall.yields.goes_on(rest.ref, 0) == 4000
    hall.rests(runs)
    rest = hall.yields.returns("lane")
    assert rest is not None
    assert rest.place == (3, 2)


def test_of_tenants_that_share_the_one_that_had_the_least_goes_on_first() -> None:
    hall = Hall(4, Ordering(MLFQ, FairShare()))
    many, one = hall.sits(1, 10, tenant="many"), hall.sits(2, 20, tenant="one")
    hall.rests(one, 1000)
    hall.rests(many, 9000)
    rest = hall.yields.returns("lane")
    assert rest is not None
    assert rest.ref == (2, FENCE)
    # As many tasks as one would start whose turn it is now: then it may be the other one's.
    assert hall.yields.within("lane", Span(None, None)) == Span((20, 2), 1)

    # What has not begun waits for its tenant's turn too, whatever its place.
    hall.waits(3, 1, tenant="many")
    assert hall.yields.returns("lane") == rest
    hall.yields.goes_on(rest.ref, 9000)
    hall.rests(one, 99_000)
    assert hall.yields.returns("lane") is None


def test_a_tenant_that_comes_later_has_no_credit_for_what_a_call_had_before() -> None:
    hall = Hall(1, Ordering(MLFQ, FairShare()))
    task = hall.sits(1, 10, tenant="many")
    hall.rests(task, 50_000)
    hall.yields.goes_on((1, FENCE), 50_000)
    hall.waits(2, 20, tenant="new")
    hall.rests(task, 50_000)
    rest = hall.yields.returns("lane")
    assert rest is not None
    assert rest.ref == (1, FENCE)


def test_a_call_that_also_awaits_has_no_slot_until_both_are_over() -> None:
    hall = Hall(1)
    hall.rests(hall.sits(1, 10))
    slots = hall.executor.slots
    slots.stand((1, FENCE), aside=True, now_us=1)
    hall.yields.goes_on((1, FENCE), 2)
    assert slots.free("lane") == 1
    slots.stand((1, FENCE), aside=False, now_us=3)
    assert slots.free("lane") == 0


def test_the_lowest_class_makes_room_and_of_it_the_one_that_began_last() -> None:
    hall = Hall(4)
    hall.sits(1, 50, BULK, at_us=1)
    hall.sits(2, 50, BULK, at_us=2)
    hall.sits(3, 50, DEFAULT, at_us=3)
    hall.sits(4, 50, INTERACTIVE, at_us=4)
    hall.waits(5, 10, INTERACTIVE)
    assert hall.asked(0) == [2]
    # One waits, and one is on its way.
    assert hall.asked(1) == []
    hall.waits(6, 11, INTERACTIVE)
    hall.waits(7, 12, INTERACTIVE)
    assert hall.asked(2) == [1, 3]


def test_who_is_better_than_what_waits_or_has_no_slot_need_not_make_room() -> None:
    hall = Hall(3)
    hall.sits(1, 5, BULK)
    hall.rests(hall.sits(2, 50, BULK))
    hall.sits(3, 50, BULK)
    hall.executor.slots.stand((3, FENCE), aside=True, now_us=0)
    hall.executor.slots.limit("lane", 1, {})
    hall.waits(4, 10, INTERACTIVE)
    assert hall.asked(0) == []


def test_nobody_makes_room_where_there_is_room() -> None:
    hall = Hall(2)
    hall.sits(1, 50, BULK)
    hall.waits(2, 10, INTERACTIVE)
    assert hall.asked(0) == []


@pytest.mark.parametrize("kind", ["async", "process"])
def test_a_coroutine_that_does_not_react_keeps_no_other_from_being_asked_and_a_process_ends(kind: LaneKind) -> None:
    hall = Hall(2, kind=kind)
    hall.sits(1, 50, BULK, at_us=1)
    hall.sits(2, 50, BULK, at_us=2)
    hall.waits(3, 10, INTERACTIVE)
    assert hall.asked(1000) == [2]
    assert hall.yields.next_us() == (1000 + PATIENCE_US if kind == "async" else None)

    assert hall.asked(999 + PATIENCE_US) == []
    assert hall.yields.next_us() == (1000 + PATIENCE_US if kind == "async" else None)
    assert hall.asked(1000 + PATIENCE_US) == ([1] if kind == "async" else [])
    # There is nobody else to ask.
    assert hall.asked(1001 + PATIENCE_US) == []
    assert hall.yields.next_us() is None


def test_who_was_asked_and_stopped_may_be_asked_again() -> None:
    hall = Hall(1)
    task = hall.sits(1, 50, BULK)
    hall.waits(2, 10, INTERACTIVE)
    assert hall.asked(0) == [1]
    hall.rests(task, 1)
    hall.yields.goes_on((1, FENCE), 2)
    assert hall.asked(3) == [1]


def test_calls_that_are_over_are_forgotten() -> None:
    hall = Hall(1)
    for number in range(1, 1000):
        hall.sits(number, 50, BULK)
        hall.executor.slots.leave((number, FENCE), 1)
    assert len(hall.executor.yields.preemptible["lane"]) < 100
    hall.waits(1000, 10, INTERACTIVE)
    assert hall.asked(0) == []
    assert not hall.executor.yields.preemptible["lane"]


def test_another_executor_takes_over_who_rests_and_who_may_be_asked() -> None:
    before, after = Hall(2), Hall(2)
    before.rests(before.sits(1, 50, BULK), 5)
    before.sits(2, 60, BULK)
    after.executor.slots.inherit(before.executor.slots)
    after.yields.inherit(before.yields)

    assert after.executor.slots.free("lane") == 1
    rest = after.yields.returns("lane")
    assert rest is not None
    assert rest.place == (50, 1)
    after.yields.goes_on(rest.ref, 6)
    after.waits(3, 55, INTERACTIVE)
    # The other one is better than what waits.
    assert after.asked(7) == [2]
