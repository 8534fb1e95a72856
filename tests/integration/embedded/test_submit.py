"""Single tasks: results, options, refusals."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Context, GiveUp, LaneSpec, Limits, RetryAfter, Scheduler, errors


async def test_a_plain_function_and_a_coroutine_give_their_results(scheduler: Scheduler) -> None:
    @scheduler.handler("shout", max_attempts=3, timeout_s=5)
    def shout(text: str) -> str:
        return text.upper()

    @scheduler.handler()
    async def double(number: int) -> int:
        return number * 2

    async with scheduler:
        loud = await scheduler.submit("shout", {"text": "hi"}, priority=5)
        twice = await scheduler.submit("double", {"number": 21})
        assert await loud.result(timeout_s=10) == "HI"
        assert await scheduler.result(twice.id, timeout_s=10) == 42
        status = await scheduler.status(loud.id)
        assert (status.state, status.attempt, status.lane, status.priority) == ("succeeded", 1, "thread", 5)


async def test_history_is_a_chain_from_new_to_the_end(scheduler: Scheduler) -> None:
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        task = await scheduler.submit("one")
        await task.result(timeout_s=10)
        lines = await task.history()
    assert [(line.from_state, line.to_state) for line in lines] == [
        ("new", "ready"),
        ("ready", "running"),
        ("running", "succeeded"),
    ]
    assert [line.fence for line in lines] == [1, 2, 2]
    assert all(line.at.tzinfo is UTC for line in lines)
    assert lines == sorted(lines, key=lambda line: line.at)


async def test_a_failing_task_is_tried_again_and_then_fails_with_its_error(scheduler: Scheduler) -> None:
    calls: list[int] = []

    @scheduler.handler("broken", max_attempts=3, backoff_initial_s=0.001)
    def broken() -> None:
        calls.append(1)
        msg = "no luck"
        raise ValueError(msg)

    async with scheduler:
        task = await scheduler.submit("broken")
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=10)
    assert (caught.value.kind, caught.value.message, caught.value.state) == ("ValueError", "no luck", "failed")
    assert "in broken" in caught.value.traceback
    assert len(calls) == 3


async def test_retry_after_does_not_use_up_an_attempt_and_give_up_ends_at_once(scheduler: Scheduler) -> None:
    asked: list[int] = []

    @scheduler.handler("later", max_attempts=1)
    async def later() -> str:
        asked.append(1)
        if len(asked) < 4:
            raise RetryAfter(0.001, "busy")
        return "done"

    @scheduler.handler("hopeless", max_attempts=9)
    async def hopeless() -> None:
        reason = "no such account"
        raise GiveUp(reason)

    async with scheduler:
        assert await (await scheduler.submit("later")).result(timeout_s=10) == "done"
        task = await scheduler.submit("hopeless")
        with pytest.raises(errors.TaskFailed, match="no such account"):
            await task.result(timeout_s=10)
        assert (await task.status()).attempt == 1


@pytest.mark.parametrize(
    "value", [float("nan"), {"deep": [1.0, float("inf")]}, object(), {1: {2, 3}, "x": object()}, {"a": {1: 2}}]
)
async def test_a_result_that_is_not_json_is_a_clear_failure(scheduler: Scheduler, value: Any) -> None:
    scheduler.add_handler("odd", lambda: value, max_attempts=1)
    async with scheduler:
        task = await scheduler.submit("odd")
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=10)
    assert caught.value.kind == "ResultNotJson"
    assert "result" in caught.value.message


async def test_a_checkpoint_is_found_by_the_next_attempt(scheduler: Scheduler) -> None:
    found: list[object] = []

    @scheduler.handler("steps", max_attempts=2, backoff_initial_s=0.001)
    async def steps(context: Context) -> str:
        found.append(context.saved)
        if context.saved is None:
            context.save({"step": 7})
            msg = "interrupted"
            raise RuntimeError(msg)
        return f"from {context.saved['step']} in attempt {context.attempt}"

    async with scheduler:
        assert await (await scheduler.submit("steps")).result(timeout_s=10) == "from 7 in attempt 2"
    assert found == [None, {"step": 7}]


async def test_progress_is_seen_while_the_task_runs(scheduler: Scheduler) -> None:
    said, go = asyncio.Event(), asyncio.Event()

    @scheduler.handler("long")
    async def long(context: Context) -> None:
        context.progress(0.25, "a quarter")
        said.set()
        await go.wait()

    async with scheduler:
        task = await scheduler.submit("long")
        await said.wait()
        await scheduler.flush()
        await scheduler.flush()
        status = await task.status()
        go.set()
        await task.result(timeout_s=10)
    assert (status.progress, status.note, status.state) == (0.25, "a quarter", "running")


async def test_an_overlong_attempt_is_cancelled_and_counted(scheduler: Scheduler) -> None:
    @scheduler.handler("sleepy", timeout_s=0.05, max_attempts=1)
    async def sleepy() -> None:
        await asyncio.Event().wait()

    async with scheduler:
        task = await scheduler.submit("sleepy")
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=10)
    assert "0.05" in str(caught.value)


async def test_larger_priority_starts_first_and_equal_ones_in_order_of_age(scheduler: Scheduler, url: str) -> None:
    gate = Gate()
    scheduler = Scheduler(url, lanes={"default": 1}, grace_s=2)
    scheduler.add_handler("gate", gate)
    async with scheduler:
        await scheduler.submit("gate", {"name": "first"})
        await gate.seen(1)
        tasks = [
            await scheduler.submit("gate", {"name": name}, priority=priority)
            for name, priority in (
                ("low", -3),
                ("old", 0),
                ("young", 0),
                ("high", 2),
                ("clamped", 10_000),
                ("top", 100),
            )
        ]
        why = await tasks[2].why()
        gate.open()
        for task in tasks:
            await task.result(timeout_s=10)
    assert gate.came == ["first", "clamped", "top", "high", "old", "young", "low"]
    assert (why.waits_for, why.ahead) == ("order", 4)


async def test_a_delayed_task_starts_not_before_its_time(scheduler: Scheduler) -> None:
    scheduler.add_handler("now", lambda: 1)
    async with scheduler:
        at = datetime.now(UTC) + timedelta(seconds=0.2)
        by_time = await scheduler.submit("now", run_at=at)
        by_delay = await scheduler.submit("now", delay_s=0.2)
        why = await by_time.why()
        for task in (by_time, by_delay):
            await task.result(timeout_s=10)
            lines = await task.history()
            assert [line.to_state for line in lines] == ["pending", "ready", "running", "succeeded"]
            assert lines[1].at >= at - timedelta(milliseconds=1)
    assert why.waits_for == "time"


async def test_a_task_that_has_not_started_by_its_time_expires(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("late", lambda: 1, lane="thread")
    async with scheduler:
        await scheduler.pause("lane:thread")
        task = await scheduler.submit("late", expires_at=datetime.now(UTC) + timedelta(seconds=0.1))
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=10)
    assert caught.value.state == "expired"


async def test_the_same_idempotency_key_gives_the_same_task(scheduler: Scheduler) -> None:
    scheduler.add_handler("echo", lambda text: text)
    async with scheduler:
        one, two = await asyncio.gather(
            scheduler.submit("echo", {"text": "a"}, idempotency_key="k"),
            scheduler.submit("echo", {"text": "a"}, idempotency_key="k"),
        )
        assert one == two
        await one.result(timeout_s=10)
        assert await scheduler.submit("echo", {"text": "a"}, idempotency_key="k") == one
        assert await scheduler.submit("echo", {"text": "a"}, idempotency_key="k", tenant="other") != one
        with pytest.raises(errors.IdempotencyConflict, match=one.id):
            await scheduler.submit("echo", {"text": "b"}, idempotency_key="k")


async def test_dependents_start_after_their_parents_and_are_cancelled_when_one_fails(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("broken", lambda: 1 // 0, max_attempts=1)
    async with scheduler:
        parent = await scheduler.submit("gate", {"name": "parent"})
        child = await scheduler.submit("gate", {"name": "child"}, depends_on=[parent])
        why = await child.why()
        gate.open()
        await child.result(timeout_s=10)
        assert gate.came == ["parent", "child"]
        bad = await scheduler.submit("broken")
        orphan = await scheduler.submit("gate", {"name": "orphan"}, depends_on=[parent.id, bad.id])
        with pytest.raises(errors.TaskFailed, match=bad.id) as caught:
            await orphan.result(timeout_s=10)
        after = await scheduler.submit("gate", {"name": "after"}, depends_on=bad)
        with pytest.raises(errors.TaskFailed, match=bad.id):
            await after.result(timeout_s=10)
        with pytest.raises(errors.InvalidInput, match="depends_on"):
            await scheduler.submit("gate", depends_on=["task_0000000000000"])
    assert why.waits_for == "dependency"
    assert caught.value.state == "cancelled"


async def test_a_concurrency_key_lets_one_run_at_a_time(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        tasks = [await scheduler.submit("gate", {"name": n}, concurrency_key="account 7") for n in range(3)]
        other = await scheduler.submit("gate", {"name": "other"}, concurrency_key="account 8")
        await gate.seen(2)
        why = await tasks[1].why()
        assert sorted(map(str, gate.came)) == ["0", "other"]
        gate.open()
        for task in (*tasks, other):
            await task.result(timeout_s=10)
    assert why.waits_for == "limit"
    assert [name for name in gate.came if name != "other"] == [0, 1, 2]


async def test_under_one_key_the_smallest_limit_counts_and_is_not_overtaken(scheduler: Scheduler) -> None:
    gates = {name: Gate() for name in ("wide", "narrow", "other")}
    for name, gate in gates.items():
        scheduler.add_handler(name, gate, concurrency_key="account 7")
    async with scheduler:
        wide = [await scheduler.submit("wide", concurrency_limit=3) for _ in range(2)]
        await gates["wide"].seen(2)
        narrow = await scheduler.submit("narrow", concurrency_limit=1)
        other = await scheduler.submit("other", concurrency_limit=3)
        assert [(await task.why()).waits_for for task in (narrow, other)] == ["limit", "limit"]
        gates["wide"].open()
        for task in wide:
            await task.result(timeout_s=10)
        await gates["narrow"].seen(1)
        assert (await other.why()).waits_for == "limit"
        assert not gates["other"].came
        gates["narrow"].open()
        await gates["other"].seen(1)
        gates["other"].open()
        await other.result(timeout_s=10)


async def test_at_most_once_is_not_tried_again(scheduler: Scheduler) -> None:
    calls: list[int] = []

    def charge() -> None:
        calls.append(1)
        msg = "card refused"
        raise RuntimeError(msg)

    scheduler.add_handler("charge", charge, delivery="at_most_once", max_attempts=5)
    async with scheduler:
        with pytest.raises(errors.TaskFailed, match="card refused"):
            await (await scheduler.submit("charge")).result(timeout_s=10)
    assert calls == [1]


@pytest.mark.parametrize(
    "arguments,options,told",
    [
        ({"x": float("nan")}, {}, "arguments"),
        ({"x": object()}, {}, "arguments"),
        (["x"], {}, "arguments"),
        ({1: "x"}, {}, "arguments"),
        ({"a": {1: 2}}, {}, "arguments"),
        ({}, {"max_attempts": 0}, "max_attempts"),
        ({}, {"max_attempts": True}, "max_attempts"),
        ({}, {"timeout_s": -1}, "timeout_s"),
        ({}, {"delay_s": "soon"}, "delay_s"),
        ({}, {"delay_s": 1, "run_at": 1}, "delay_s"),
        ({}, {"run_at": datetime(2026, 1, 1)}, "run_at"),  # noqa: DTZ001  # a time without a zone is what is refused
        ({}, {"priority": "high"}, "priority"),
        ({}, {"lane": ""}, "lane"),
        ({}, {"delivery": "exactly_once"}, "delivery"),
        ({}, {"depends_on": "nonsense"}, "depends_on"),
        ({}, {"colour": "red"}, "colour"),
        ({"x": "y" * (1 << 20)}, {}, "arguments"),
    ],
)
async def test_bad_input_names_the_field_and_changes_nothing(
    scheduler: Scheduler, arguments: Any, options: dict[str, Any], told: str
) -> None:
    scheduler.add_handler("any", lambda **_: 1)
    async with scheduler:
        with pytest.raises(errors.InvalidInput) as caught:
            await scheduler.submit("any", arguments, **options)
        assert caught.value.field == told
        totals = await scheduler._parts.service.totals()  # noqa: SLF001  # what the ledger itself counts
    assert sum(totals.live.values()) + sum(totals.ended.values()) == 0


async def test_a_missing_or_odd_argument_and_an_unknown_lane_are_refused(scheduler: Scheduler) -> None:
    scheduler.add_handler("need", lambda text: text)
    async with scheduler:
        with pytest.raises(errors.InvalidInput, match="no argument 'txt'; it takes text"):
            await scheduler.submit("need", {"text": "x", "txt": "y"})
        with pytest.raises(errors.InvalidInput, match=r"row 2, arguments: .* no argument 'txt'"):
            await scheduler.submit_many("need", [{"text": "x"}, {"text": "x", "txt": "y"}])
        with pytest.raises(errors.InvalidInput, match="'text'"):
            await scheduler.submit("need", {})
        with pytest.raises(errors.UnknownLane, match="default, process, thread"):
            await scheduler.submit("need", {"text": "x"}, lane="gpu")


async def test_a_lane_that_cannot_run_the_handler_is_refused_at_submit(scheduler: Scheduler) -> None:
    async def coroutine() -> int:
        return 1

    scheduler.add_handler("plain", lambda: 1)
    scheduler.add_handler("coroutine", coroutine)
    async with scheduler:
        for name, lane in (("plain", "default"), ("coroutine", "thread")):
            for submit in (scheduler.submit(name, lane=lane), scheduler.submit_many(name, [{}], lane=lane)):
                with pytest.raises(errors.InvalidInput, match=f"lane {lane!r} runs .* it fits") as caught:
                    await submit
                assert caught.value.field == "lane"
        with pytest.raises(errors.UnknownLane, match="default, process, thread"):
            await scheduler.submit_many("plain", [{}], lane="gpu")
        early = await scheduler.submit("future", lane="thread")
        scheduler.add_handler("future", coroutine)
        with pytest.raises(errors.TaskFailed, match="use a lane of kind 'async'"):
            await early.result(timeout_s=10)
        assert (await early.status()).attempt == 1


@pytest.mark.parametrize(
    "lane,field",
    [
        (LaneSpec("default", 4, "thread"), "lanes['default'].kind"),
        (LaneSpec("thread", 4), "lanes['thread'].kind"),
        (LaneSpec("gpu", 4, "gpu"), "lanes['gpu'].kind"),  # type: ignore[arg-type]  # what is refused
        (LaneSpec("gpu", 0), "lanes['gpu'].slots"),
    ],
)
def test_a_lane_that_could_never_serve_is_refused_where_it_is_defined(url: str, lane: LaneSpec, field: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        Scheduler(url, lanes={lane.name: lane})
    assert caught.value.field == field


async def test_a_task_without_its_handler_waits_and_says_so_until_it_comes(scheduler: Scheduler) -> None:
    async with scheduler:
        task = await scheduler.submit("future", {"x": 1})
        assert (await task.why()).waits_for == "handler"
        scheduler.add_handler("future", lambda x: x + 1)
        assert await task.result(timeout_s=10) == 2


async def test_queue_full_says_when_to_try_again(url: str) -> None:
    scheduler = Scheduler(url, limits=Limits(pending_rows=3), grace_s=1)
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        done = await asyncio.gather(*(scheduler.submit("one") for _ in range(10)), return_exceptions=True)
        full = [each for each in done if isinstance(each, errors.QueueFull)]
        assert len(full) == 7
        assert full[0].retry_after_s > 0
        again = await scheduler.submit("one")
        assert await again.result(timeout_s=10) == 1


async def test_ids_that_are_not_there_or_not_ids_are_refused(scheduler: Scheduler) -> None:
    async with scheduler:
        with pytest.raises(errors.UnknownTask):
            await scheduler.status("task_0000000000001")
        with pytest.raises(errors.InvalidInput):
            await scheduler.status("nonsense")
        with pytest.raises(errors.UnknownTask):
            await scheduler.cancel("task_0000000000001")
        with pytest.raises(errors.UnknownBatch):
            await scheduler.cancel("batch_0000000000001")
        with pytest.raises(errors.UnknownLane):
            await scheduler.pause("lane:nowhere")


async def test_a_handler_that_is_added_while_it_runs_is_known_to_the_very_next_call(scheduler: Scheduler) -> None:
    async with scheduler:
        scheduler.add_handler("added", lambda n: n, tenant="acme", concurrency_key="door")
        task = await scheduler.submit("added", {"n": 1})
        with pytest.raises(errors.InvalidInput, match="m"):
            await scheduler.submit("added", {"m": 1})
        assert await task.result(timeout_s=10) == 1
        assert (await task.status()).tenant == "acme"


async def test_short_functions_are_at_hand_beyond_the_slots_of_threads_and_each_runs_once(url: str) -> None:
    async with Scheduler(url, lanes={"thread": 1}) as scheduler:
        ran: list[int] = []

        def note(i: int) -> int:
            ran.append(i)
            return -i

        scheduler.add_handler("note", note)
        await (await scheduler.submit("note", {"i": 0})).result(timeout_s=20)
        batch = await scheduler.submit_many("note", ({"i": i} for i in range(1, 2_001)))
        assert (await batch.wait(timeout_s=30)).ended == {"succeeded": 2_000}
        assert ran == list(range(2_001))
        assert len([entry for entry in await batch[1_999].history() if entry.to_state == "running"]) == 1
