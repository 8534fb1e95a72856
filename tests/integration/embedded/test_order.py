"""What starts next: policies chosen at the start or while work waits, and tenants that share."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Context, FairShare, LaneSpec, RetryAfter, Scheduler, Settings, policies
from wsaios.kernel.errors import InvalidInput


class Room:
    """One slot that a gate holds, and handlers that say in which order they came."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.gate = Gate()
        self.order: list[Any] = []
        scheduler.add_handler("gate", self.gate)
        for name in ("left", "right"):
            scheduler.add_handler(name, self._come)

    async def _come(self, name: Any) -> None:
        self.order.append(name)


async def held(scheduler: Scheduler) -> Room:
    room = Room(scheduler)
    await scheduler.start()
    await scheduler.submit("gate", {"name": "holds the slot"})
    await room.gate.seen(1)
    return room


def narrow(url: str, **settings: Any) -> Scheduler:
    return Scheduler(url, settings=Settings(lanes=(LaneSpec("default", 1),), grace_s=5, **settings))


async def test_what_waits_gets_its_place_by_the_policy_that_is_chosen_later(url: str) -> None:
    scheduler = narrow(url)
    try:
        room = await held(scheduler)
        now = datetime.now(UTC)
        rows = [
            ("left" if place % 2 else "right", place, now + timedelta(seconds=600 + (place * 37) % 101))
            for place in range(1200)
        ]
        tasks = [
            await scheduler.submit(handler, {"name": place}, priority=place % 7, deadline=deadline)
            for handler, place, deadline in rows
        ]
        assert await scheduler.order_by("deadline") == policies.Ordering(policies.Deadline())
        last = max(range(1200), key=lambda place: (rows[place][2], -(place % 7), place))
        while (why := await tasks[last].why()).ahead != 1199:
            # Places are changed in memory first, and `ahead` is counted in the ledger.
            assert why.waits_for == "order"
            await asyncio.sleep(0.01)
        room.gate.open()
        await asyncio.gather(*(task.result(timeout_s=30) for task in tasks))
    finally:
        await scheduler.stop()
    assert room.order == sorted(range(1200), key=lambda place: (rows[place][2], -(place % 7), place))


async def test_a_policy_stays_for_the_next_scheduler_and_another_one_may_be_named_at_its_start(url: str) -> None:
    scheduler = narrow(url, policy="fcfs", fair_share=FairShare({"acme": 2.0}))
    await scheduler.start()
    tasks = [await scheduler.submit("left", {"name": place}, priority=place) for place in range(5)]
    await scheduler.stop()
    async with Scheduler(url) as second:
        assert await second.order_by() == policies.Ordering(policies.Fcfs(), FairShare({"acme": 2.0}))
    third = narrow(url, policy="priority", fair_share=False)
    room = Room(third)
    async with third:
        await asyncio.gather(*(third.result(task.id, timeout_s=20) for task in tasks))
        assert await third.order_by() == policies.Ordering()
    assert set(room.order) == set(range(5))


async def test_rows_of_a_batch_that_was_open_while_the_policy_changed_stand_where_the_new_one_puts_them(
    url: str,
) -> None:
    scheduler = narrow(url, policy="fcfs")
    try:
        room = await held(scheduler)

        async def rows() -> Any:
            for place in range(3000):
                if place == 2500:
                    await scheduler.order_by("priority")
                yield {"name": f"row {place}"}

        batch = await scheduler.submit_many("left", rows(), priority=-10)
        first = await scheduler.submit("right", {"name": "first"})
        while "order is being changed" in (why := await first.why()).detail:
            assert why.state == "ready"
            await asyncio.sleep(0.01)
        room.gate.open()
        await first.result(timeout_s=20)
        assert room.order[0] == "first"
        await batch.wait(timeout_s=60)
    finally:
        await scheduler.stop()


async def test_tenants_that_share_take_turns_however_many_wait(url: str) -> None:
    scheduler = narrow(url, fair_share=FairShare({"paying": 3.0}))
    try:
        room = await held(scheduler)
        flood = await scheduler.submit_many("left", ({"name": "flood"} for _ in range(400)), tenant="flood")
        paying = await scheduler.submit_many("left", ({"name": "paying"} for _ in range(60)), tenant="paying")
        room.gate.open()
        await paying.wait(timeout_s=30)
        await flood.wait(timeout_s=30)
    finally:
        await scheduler.stop()
    before = room.order[: len(room.order) - room.order[::-1].index("paying")]
    # Three for each one of the flood, but for what a first guess of how long they take gave away.
    assert before.count("flood") <= 60


async def test_slots_that_are_kept_let_interactive_work_start_at_once(url: str) -> None:
    lane = LaneSpec("default", 4, reserved={"interactive": 1})
    scheduler = Scheduler(url, settings=Settings(lanes=(lane,), grace_s=1))
    gate = Gate()
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", lambda: "here", lane="thread")

    @scheduler.handler("call")
    async def call() -> str:
        return "here"

    async with scheduler:
        for place in range(10):
            await scheduler.submit("gate", {"name": place})
        await gate.seen(3)
        called = await scheduler.submit("call", priority=50)
        assert await called.result(timeout_s=10) == "here"
        assert len(gate.came) == 3
        gate.open()


@pytest.mark.parametrize(
    "settings, field",
    [
        ({"policy": "dedline"}, "did you mean 'deadline'"),
        ({"policy": 7}, "policy"),
        ({"policy": policies.Priority(point_s=0)}, "policy.point_s"),
        ({"policy": policies.Mlfq(quanta_ms=(8.0, 4.0))}, r"policy.quanta_ms\[1\]"),
        ({"policy": policies.Multifactor(age=0.001, age_s=1e9, urgency=1e9)}, "weights"),
        ({"fair_share": "yes"}, "fair_share"),
        ({"fair_share": FairShare({"acme": 0.0})}, r"fair_share.weights\['acme'\]"),
    ],
)
def test_a_policy_that_nothing_could_be_ordered_by_is_refused(url: str, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        Scheduler(url, settings=Settings(**settings))


@pytest.mark.parametrize(
    "reserved, field",
    [
        ({"interactiv": 1}, "did you mean 'interactive'"),
        ({"interactive": -1}, "reserved"),
        ({"interactive": 4}, "reserved"),
    ],
)
def test_slots_are_kept_for_classes_that_there_are_and_not_all_of_them(
    url: str, reserved: dict[str, int], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        Scheduler(url, settings=Settings(lanes=(LaneSpec("default", 4, reserved=reserved),)))


async def test_a_function_that_used_up_its_time_under_feedback_queues_comes_again_behind_the_others(url: str) -> None:
    # There is no boost within an hour.
    policy = policies.Mlfq(quanta_ms=(2.0, 10_000.0), boost_s=3600.0)
    scheduler = Scheduler(url, lanes={"process": 1}, policy=policy, grace_s=5)
    for name in (slices, answers):
        scheduler.add_handler(name.__name__, name, lane="process")
    async with scheduler:
        await scheduler.pause("all")
        long = await scheduler.submit("slices", {"seconds": 0.02})
        others = [await scheduler.submit("answers") for _ in range(5)]
        await scheduler.resume("all")
        ends = {}
        for task in (long, *others):
            await task.result(timeout_s=20)
            ends[task.id] = (await task.history())[-1].at
    in_order = sorted(ends, key=lambda task: ends[task])
    assert in_order[-1] == long.id


def slices(context: Context, seconds: float) -> int:
    """Works for a while, and asks to be called again once."""
    time.sleep(seconds)
    if context.saved is None:
        context.save(1)
        raise RetryAfter(0.0)
    return 1


def answers() -> str:
    return "here"
