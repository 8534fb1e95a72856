"""Limits of lanes, handlers, tenants and keys: what waits, what goes on at once, what passes, and what is kept."""

from collections import Counter
from typing import Any

import pytest

from tests.unit.scheduler.rig import NOW_US, Rig
from wsaios.kernel.engine import Aside, AttemptRef, Ended, Noted, Unbegun, Verdict, Work, WorkerLost
from wsaios.kernel.events import Act, Reported, Scope, SetLimits
from wsaios.kernel.executor import Window
from wsaios.kernel.limit import Learn, Limit, LimitView, Rate, amounts
from wsaios.kernel.states import State
from wsaios.kernel.task import Failure, HandlerSpec, LaneSpec, NewTask, Options

SPECS: tuple[LaneSpec | HandlerSpec, ...] = (
    LaneSpec("default", 100),
    LaneSpec("other", 100),
    HandlerSpec("echo", "default"),
    HandlerSpec("far", "other"),
    HandlerSpec("rows", "default", 8, 0),
)


def rig(*limits: Limit, specs: tuple[LaneSpec | HandlerSpec, ...] = SPECS) -> Rig:
    made = Rig(specs)
    made.step(SetLimits("set", list(limits)))
    return made


def task(handler: str = "echo", tenant: str = "default", *, priority: int = 0, **asks: dict[str, float]) -> NewTask:
    resources, costs = asks.get("resources"), asks.get("costs")
    options = Options(resources=amounts(resources or {}), costs=amounts(costs or {})) if asks else None
    return NewTask(handler, b"{}", tenant=tenant, priority=priority, options=options)


def running(made: Rig) -> Counter[str]:
    held = (made.core.executor.slots.seat(ref) for ref in made.core.executor.slots)
    return Counter(seat.shard.tenant for seat in held if seat is not None)


def end(made: Rig, *, place: int = 0, verdict: Verdict = Verdict.SUCCEEDED, **more: Any) -> Work:
    work = made.works.pop(place)
    result = b"1" if verdict == Verdict.SUCCEEDED else b""
    ends = [Ended(each.task, each.fence, verdict, result, **more) for each in work.attempts]
    made.step(Reported(None, list(ends)))
    return work


def view(made: Rig, on: str) -> LimitView:
    return next(each for each in made.core.executor.slots.gates.views(made.now_us) if each.limit.on == on)


def window_of(made: Rig, number: int) -> Window:
    return made.core.executor.windows[made.core.book.tasks[number].shard]


def why(made: Rig, number: int) -> str:
    held = made.core.executor.queues.why(window_of(made, number), made.now_us)
    assert held is not None
    return held.detail


@pytest.mark.parametrize("on", ["lane:default", "handler:echo", "tenant:acme", "key:door", "tenant:*", "key:*"])
def test_no_more_run_than_a_limit_lets_and_an_end_starts_the_next_at_once(on: str) -> None:
    made = rig(Limit(on, {"tasks": 2}))
    asked = task(tenant="acme")
    asked.concurrency_key, asked.options = "door", Options(concurrency_limit=100)
    made.submit(*[asked] * 5)
    assert len(made.works) == 2
    for left in (2, 2, 2, 1, 0):
        end(made)
        assert len(made.works) == left
    assert view(made, on).running.get("tasks", 0) == 0


def test_a_limit_of_one_tenant_hides_no_other() -> None:
    made = rig(Limit("tenant:acme", {"tasks": 1}))
    made.submit(*[task(tenant="acme", priority=50)] * 9, *[task(tenant="other")] * 4)
    assert running(made) == {"acme": 1, "other": 4}


def test_a_limit_for_each_tenant_counts_each_by_itself() -> None:
    made = rig(Limit("tenant:*", {"tasks": 2}), Limit("tenant:big", {"tasks": 5}))
    made.submit(*(task(tenant=tenant) for tenant in ("a", "b", "big") for _ in range(9)))
    assert running(made) == {"a": 2, "b": 2, "big": 5}


def test_all_limits_of_a_task_hold_together() -> None:
    made = rig(
        Limit("handler:echo", {"tasks": 3}), Limit("tenant:a", {"tasks": 2}), Limit("lane:default", {"tasks": 4})
    )
    made.submit(*(task(name, tenant) for tenant in ("a", "b") for name in ("echo", "rows") for _ in range(5)))
    assert sum(len(work.attempts) for work in made.works) == 4
    assert running(made)["a"] <= 2


def test_the_best_that_waits_for_a_limit_is_next_whatever_its_lane() -> None:
    made = rig(Limit("tenant:acme", {"tasks": 1}))
    made.submit(task(tenant="acme"))
    low, high = made.submit(task("echo", "acme"), task("far", "acme", priority=90))
    assert end(made).attempts[0].task not in {low, high}
    assert [work.attempts[0].task for work in made.works] == [high]


def test_a_micro_batch_is_cut_to_what_the_limit_lets() -> None:
    made = rig(Limit("handler:rows", {"tasks": 5}))
    made.submit(*[task("rows")] * 20)
    assert [len(work.attempts) for work in made.works] == [5]


def test_more_may_run_at_once_when_a_limit_is_raised_or_removed_and_none_is_stopped_when_it_is_lowered() -> None:
    made = rig(Limit("handler:echo", {"tasks": 1}))
    made.submit(*[task()] * 9)
    assert len(made.works) == 1
    made.step(SetLimits("more", [Limit("handler:echo", {"tasks": 4})]))
    assert len(made.works) == 4
    made.step(SetLimits("less", [Limit("handler:echo", {"tasks": 2})]))
    assert view(made, "handler:echo").running == {"tasks": 4}
    for left in (3, 2, 2):
        end(made)
        assert len(made.works) == left
    made.step(SetLimits("none", [Limit("handler:echo")]))
    assert len(made.works) == 6
    assert made.replies["none"] == []


def test_limits_are_kept_and_what_runs_is_counted_by_the_next_core() -> None:
    made = rig(Limit("tenant:default", {"tasks": 2, "gpu": 1.0}))
    made.submit(*[task(resources={"gpu": 0.5})] * 5)
    assert len(made.works) == 2
    made.step()
    made.rebuild()
    made.step()
    assert (len(made.works), view(made, "tenant:default").running) == (2, {"tasks": 2, "gpu": 1.0})
    made.restart()
    assert (len(made.works), view(made, "tenant:default").running) == (2, {"tasks": 2, "gpu": 1.0})
    for _ in range(5):
        end(made)
    assert view(made, "tenant:default").running == {"tasks": 0, "gpu": 0.0}
    assert not made.works


@pytest.mark.parametrize("how", ["lost", "cancelled", "timed out", "failed", "unbegun"])
def test_whatever_becomes_of_a_call_it_leaves_nothing_behind(how: str) -> None:
    made = rig(Limit("handler:echo", {"tasks": 1, "gpu": 1.0}))
    first, _ = made.submit(task(resources={"gpu": 0.3}), task(resources={"gpu": 0.9}))
    (work,) = made.works
    ref = work.attempts[0]
    if how == "lost":
        made.step(Reported(None, [WorkerLost([AttemptRef(ref.task, ref.fence)])]))
    elif how == "unbegun":
        made.step(Reported(None, [Unbegun(ref.task, ref.fence)]))
    elif how == "cancelled":
        made.step(Act("c", "cancel", Scope("task", first)))
        made.step(Reported(None, [Ended(ref.task, ref.fence, Verdict.CANCELLED)]))
    else:
        verdict = Verdict.TIMED_OUT if how == "timed out" else Verdict.FAILED
        made.step(Reported(None, [Ended(ref.task, ref.fence, verdict, failure=Failure("E", "e"))]))
    made.works.remove(work)
    assert view(made, "handler:echo").running["tasks"] == len(made.works) == 1
    made.step(Act("all", "cancel", Scope("all")))
    made.step(Reported(None, [Ended(each.task, each.fence, Verdict.CANCELLED) for each in made.works[0].attempts]))
    assert view(made, "handler:echo").running == {"tasks": 0, "gpu": 0.0}


def test_a_parent_that_awaits_its_child_lets_it_run_under_the_same_limit() -> None:
    made = rig(Limit("tenant:default", {"tasks": 1}))
    made.submit(task())
    made.submit(task())
    parent = made.works[0].attempts[0]
    assert len(made.works) == 1
    made.step(Reported(None, [Aside(parent.task, parent.fence)]))
    assert len(made.works) == 2
    end(made, place=1)
    made.step(Reported(None, [Aside(parent.task, parent.fence, back=True)]))
    assert view(made, "tenant:default").running == {"tasks": 1}


def test_only_so_much_starts_in_a_time_and_the_next_when_that_is_over() -> None:
    made = rig(Limit("handler:echo", rates={"requests": Rate(3, 1.0)}))
    made.submit(*[task()] * 7)
    assert len(made.works) == 3
    for _ in range(3):
        end(made)
    assert not made.works
    wake_us = made.core.wake_us()
    assert wake_us is not None
    assert NOW_US + 1_000_000 < wake_us <= NOW_US + 1_000_000 + 1_000_000 // 32 + 1
    made.now_us = wake_us
    made.step()
    assert len(made.works) == 3


def test_costs_count_and_what_was_not_used_is_given_back() -> None:
    made = rig(Limit("tenant:default", rates={"tokens": Rate(100, 60.0)}))
    made.submit(*[task(costs={"tokens": 50})] * 4)
    assert len(made.works) == 2
    one = made.works[0].attempts[0]
    made.step(Reported(None, [Noted(one.task, one.fence, used={"tokens": 10.0})]))
    assert view(made, "tenant:default").used == {"tokens": 100}
    end(made)
    assert view(made, "tenant:default").used == {"tokens": 60}
    assert len(made.works) == 1
    one = made.works[0].attempts[0]
    made.step(Reported(None, [Noted(one.task, one.fence, used={"tokens": 20.0})]))
    end(made)
    assert view(made, "tenant:default").used == {"tokens": 80}
    assert len(made.works) == 1


def test_what_names_no_cost_takes_none_along_that_does() -> None:
    made = rig(Limit("tenant:default", rates={"tokens": Rate(60, 60.0)}))
    first = task()
    first.due_us = NOW_US + 1
    second = task(costs={"tokens": 50})
    second.due_us = NOW_US + 1
    third = task(costs={"tokens": 20})
    third.due_us = NOW_US + 1
    made.submit(first, second, third)
    assert not made.works
    made.now_us = NOW_US + 1
    made.step()
    assert len(made.works) == 2
    assert view(made, "tenant:default").used == {"tokens": 50}


def test_more_than_was_said_is_owed() -> None:
    made = rig(Limit("tenant:default", rates={"tokens": Rate(100, 60.0)}))
    made.submit(task(), task(), task())
    assert len(made.works) == 3
    for _ in range(3):
        one = made.works[0].attempts[0]
        made.step(Reported(None, [Noted(one.task, one.fence, used={"tokens": 70.0})]))
        end(made)
    assert view(made, "tenant:default").used == {"tokens": 210}
    made.submit(task())
    assert not made.works


def test_what_never_began_has_cost_nothing() -> None:
    made = rig(Limit("handler:echo", rates={"requests": Rate(1, 3600.0)}))
    made.submit(task())
    one = made.works.pop().attempts[0]
    made.step(Reported(None, [Unbegun(one.task, one.fence)]))
    assert len(made.works) == 1


def test_a_restart_lets_no_more_start_in_the_same_time() -> None:
    made = rig(Limit("handler:echo", rates={"requests": Rate(3, 60.0), "tokens": Rate(100, 60.0)}))
    made.submit(*[task(costs={"tokens": 30})] * 2)
    made.restart()
    # Both were put back, and may start once more under the same rate: three in all.
    assert len(made.works) == 1
    made.restart()
    assert not made.works
    assert view(made, "handler:echo").used == {"requests": 3, "tokens": 90}
    made.now_us += 62_000_000
    made.step()
    assert len(made.works) == 2


def test_what_was_taken_of_a_rate_is_forgotten_by_the_ledger_when_it_is_over() -> None:
    made = rig(Limit("key:*", rates={"requests": Rate(3, 1.0)}))
    for number in range(20):
        asked = task()
        asked.concurrency_key = f"key {number}"
        made.submit(asked)
    kept = [key for part, key in made.ledger.tables.facts if part == "limit_used"]
    assert len(kept) == 20
    for _ in range(20):
        end(made)
    made.now_us += 3_000_000
    made.submit(task())
    assert not [key for part, key in made.ledger.tables.facts if part == "limit_used"]


def test_a_limit_that_learns_cuts_once_for_a_round_of_refusals_and_waits_as_it_is_told() -> None:
    made = rig(Limit("handler:echo", learn=Learn(start=8, most=100)))
    made.submit(*[task()] * 60)
    assert len(made.works) == 8
    for _ in range(4):
        end(made, verdict=Verdict.RETRY_AFTER, retry_after_s=5.0, failure=Failure("RetryAfter", "busy"))
    found = view(made, "handler:echo")
    assert (found.allowed, found.closed_s) == (4, 5.0)
    while made.works:
        end(made)
    assert not made.works
    made.now_us = NOW_US + 5_000_000
    made.step()
    assert len(made.works) == 4
    before = view(made, "handler:echo").allowed
    for _ in range(20):
        end(made)
    assert before == 4
    assert len(made.works) > 6


def test_a_refusal_that_comes_as_an_exception_cuts_too() -> None:
    made = rig(Limit("handler:echo", learn=Learn(start=8)))
    made.submit(*[task()] * 20)
    end(made, verdict=Verdict.FAILED, failure=Failure("ValueError", "no refusal"))
    assert view(made, "handler:echo").allowed == 8
    end(made, verdict=Verdict.FAILED, failure=Failure("RateLimitError", "429"))
    assert view(made, "handler:echo").allowed == 4


def gpu(*, slots: int = 100) -> Rig:
    made = Rig(
        (LaneSpec("gpu", slots, resources={"gpu": 1.0}), HandlerSpec("short", "gpu"), HandlerSpec("long", "gpu"))
    )
    # How long each takes is known from a first call.
    for handler, took_us in (("short", 10_000), ("long", 1_000_000)):
        made.submit(NewTask(handler, b"{}"))
        made.now_us += took_us
        end(made)
    return made


def asks(handler: str, amount: float, priority: int = 0) -> NewTask:
    """Of another tenant for each amount, for in one shard nothing passes."""
    return task(handler, f"asks for {amount}", priority=priority, resources={"gpu": amount})


def asked(made: Rig, work: Work) -> float:
    seat = made.core.executor.slots.seat((work.attempts[0].task, work.attempts[0].fence))
    assert seat is not None
    return float(seat.shard.tenant.rpartition(" ")[2])


def names(made: Rig) -> list[str]:
    return [work.handler for work in made.works]


def test_no_more_of_a_resource_is_held_than_there_is() -> None:
    made = gpu()
    made.submit(*[asks("long", 0.3)] * 5)
    assert names(made) == ["long"] * 3


def test_a_large_one_is_not_passed_by_what_would_delay_it() -> None:
    made = gpu()
    made.submit(asks("long", 0.5))
    made.submit(asks("long", 1.0, priority=9))
    made.now_us += 10_000
    made.submit(asks("long", 0.5))
    assert names(made) == ["long"]
    end(made)
    assert [asked(made, work) for work in made.works] == [1.0]


def test_a_large_one_is_passed_by_what_is_over_before_it_can_start() -> None:
    made = gpu()
    made.submit(asks("long", 0.5))
    made.submit(asks("long", 1.0, priority=9))
    made.submit(asks("short", 0.5))
    assert names(made) == ["long", "short"]


def test_after_the_time_it_was_promised_nothing_passes_a_large_one_any_more() -> None:
    made = gpu()
    made.submit(asks("long", 0.5))
    made.submit(asks("long", 1.0, priority=9))
    made.now_us += 995_000
    made.submit(asks("short", 0.5))
    assert names(made) == ["long"]
    made.now_us += 1_000_000
    made.submit(asks("short", 0.5))
    assert names(made) == ["long"]


def test_a_large_one_is_passed_by_what_it_leaves() -> None:
    made = gpu()
    made.submit(asks("long", 0.5), asks("long", 0.3))
    made.submit(asks("long", 0.6, priority=9))
    # When the first two are over 0.4 is left beside it; now there is 0.2.
    made.submit(asks("long", 0.2), asks("long", 0.2))
    assert [asked(made, work) for work in made.works] == [0.5, 0.3, 0.2]


def test_one_that_asks_for_more_than_there_is_is_paused_says_so_and_holds_nobody_up() -> None:
    made = gpu()
    number, _, other = made.submit(*(task("long", "one", resources={"gpu": amount}) for amount in (2.0, 0.5, 0.5)))
    assert len(made.works) == 2
    body = made.core.book.tasks[number].body if number in made.core.book.tasks else made.ledger.tables.live[number].body
    assert body.reason == (
        "asks for 2 gpu of limit 'lane:gpu', which has 1: raise the limit and resume it, or cancel it"
    )
    assert made.ledger.tables.live[number].state == State.PAUSED
    made.step(SetLimits("more", [Limit("lane:gpu", {"gpu": 3.0})]))
    made.step(Act("r", "resume", Scope("task", number)))
    assert len(made.works) == 3
    assert made.ledger.tables.live[other].state == State.RUNNING


def test_a_large_cost_is_not_passed_by_small_ones() -> None:
    made = rig(Limit("handler:echo", rates={"tokens": Rate(100, 60.0)}))
    made.submit(task(costs={"tokens": 60}))
    (large,) = made.submit(task(costs={"tokens": 80}, priority=50))
    made.submit(*[task(costs={"tokens": 5})] * 4)
    assert len(made.works) == 1
    wake_us = made.core.wake_us()
    assert wake_us is not None
    made.now_us = wake_us
    made.step()
    assert [work.attempts[0].task for work in made.works][1] == large


def test_one_that_waits_for_its_slot_is_left_its_place_after_a_second() -> None:
    specs = (
        LaneSpec("default", 100),
        LaneSpec("narrow", 1),
        HandlerSpec("echo", "default"),
        HandlerSpec("slow", "narrow"),
    )
    made = rig(Limit("tenant:acme", {"tasks": 1}), specs=specs)
    made.submit(task(tenant="acme"))
    (best,) = made.submit(task("slow", "acme", priority=90))
    made.submit(task("slow", "someone"))
    made.submit(*[task(tenant="acme")] * 4)
    assert [work.handler for work in made.works] == ["echo", "slow"]
    end(made)
    # Its lane is full: another one of the tenant uses the place.
    assert sorted(work.handler for work in made.works) == ["echo", "slow"]
    made.now_us += 1_100_000
    end(made, place=[work.handler for work in made.works].index("echo"))
    assert [work.handler for work in made.works] == ["slow"]
    end(made)
    assert [work.attempts[0].task for work in made.works] == [best]


def test_who_waits_behind_one_that_is_cancelled_or_paused_goes_on() -> None:
    made = gpu()
    made.submit(asks("long", 0.5))
    (large,) = made.submit(asks("long", 1.0, priority=9))
    made.now_us += 10_000
    made.submit(asks("long", 0.5))
    assert len(made.works) == 1
    made.step(Act("c", "cancel", Scope("task", large)))
    assert len(made.works) == 2


def test_another_first_task_is_looked_at_at_once_when_the_one_that_lacks_something_leaves_or_is_passed() -> None:
    made = rig(Limit("tenant:a", rates={"tokens": Rate(100, 3600.0)}))
    first, _ = made.submit(task(tenant="a", costs={"tokens": 60}), task(tenant="a", costs={"tokens": 80}))
    (large,) = made.submit(task(tenant="a", costs={"tokens": 70}))
    made.submit(task(tenant="a", costs={"tokens": 10}, priority=20))
    assert len(made.works) == 2
    made.submit(task(tenant="a", costs={"tokens": 5}))
    assert len(made.works) == 2
    for number in [number for number in made.ledger.tables.live if number not in {first, large}]:
        if made.ledger.tables.live[number].state == State.READY and number < large:
            made.step(Act("c", "cancel", Scope("task", number)))
    made.step(Act("c", "cancel", Scope("task", large)))
    assert len(made.works) == 3


def test_all_that_fit_are_woken_where_needs_differ() -> None:
    made = rig(Limit("tenant:a", {"gpu": 1.0, "tasks": 2}))
    made.submit(*[task("rows", "a"), task("far", "a")])
    (large,) = made.submit(task("echo", "a", resources={"gpu": 1.0}))
    made.submit(task("far", "a", priority=60))
    made.submit(task("echo", "a", priority=-60))
    assert len(made.works) == 2
    ends = [Ended(each.task, each.fence, Verdict.SUCCEEDED, b"1") for work in made.works for each in work.attempts]
    made.works.clear()
    made.step(Reported(None, list(ends)))
    assert [work.handler for work in made.works] == ["far", "echo"]
    assert large in {work.attempts[0].task for work in made.works}


def test_why_names_the_limit_and_what_it_lacks() -> None:
    made = rig(
        Limit("tenant:acme", {"tasks": 1}),
        Limit("handler:far", rates={"tokens": Rate(100, 60.0)}),
        Limit("key:*", {"gpu": 1}),
    )
    _, waits = made.submit(task(tenant="acme"), task(tenant="acme"))
    assert why(made, waits) == "limit 'tenant:acme' lets 1 run at a time, and 1 do"
    _, waits = made.submit(task("far", costs={"tokens": 70}), task("far", costs={"tokens": 70}))
    assert why(made, waits).startswith(
        "limit 'handler:far' lets 100 tokens start in 60 s, and 70 did; enough is free in 6"
    )


def test_a_suspect_waits_for_a_rate_and_others_meanwhile_run() -> None:
    made = rig(Limit("handler:echo", rates={"requests": Rate(3, 3600.0)}))
    (suspect,) = made.submit(task())
    for _ in range(3):
        made.restart()
    assert not made.works
    made.submit(task("rows"))
    assert [work.handler for work in made.works] == ["rows"]
    end(made)
    made.now_us += 3_800_000_000
    made.step()
    assert [work.attempts[0].task for work in made.works] == [suspect]
    assert made.core.book.tasks[suspect].state == State.RUNNING
