"""Coroutines on the loop."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from tests.unit.engines.local.running import running
from wsaios.engines.local.aside import standing_aside
from wsaios.kernel.engine import Aside, Verdict

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def test_every_attempt_has_a_fresh_copy_of_the_context_of_start() -> None:
    async def change() -> str:
        before = VARIABLE.get()
        VARIABLE.set("changed")
        return before

    VARIABLE.set("start")
    async with running() as served:
        VARIABLE.set("submit")
        served.handlers.add("change", change)
        assert [await served.value("change") for _ in range(2)] == ["start", "start"]


async def test_all_that_ends_in_one_turn_of_the_loop_is_reported_together() -> None:
    async def nothing() -> None: ...

    async with running() as served:
        served.handlers.add("nothing", nothing)
        await served.ends(*[served.work("nothing") for _ in range(1_000)])
        assert [len(round_) for round_ in served.rounds] == [1_000]


async def test_a_cancellation_of_the_handler_s_own_is_a_failure() -> None:
    async def give_in() -> None:
        raise asyncio.CancelledError

    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async with running() as served:
        served.handlers.add("give_in", give_in)
        served.handlers.add("cancel_itself", cancel_itself)
        for name in ("give_in", "cancel_itself"):
            end = await served.end(name)
            assert end.verdict == Verdict.FAILED
            assert end.failure is not None
            assert end.failure.kind == "CancelledError"


async def test_a_coroutine_may_clean_up_when_it_is_out_of_time() -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    async with running() as served:
        served.handlers.add("work", work)
        (end,) = await served.ends(served.work("work", timeout_s=0.01))
        assert (end.verdict, end.freed) == (Verdict.TIMED_OUT, True)
        assert cleaned.is_set()


@pytest.mark.parametrize("kind", [GeneratorExit, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
async def test_whatever_a_handler_raises_ends_its_attempt(kind: type[BaseException]) -> None:
    async def single() -> None:
        raise kind

    async def batched(rows: list[dict[str, Any]]) -> None:
        raise kind

    async with running() as served:
        served.handlers.add("single", single)
        served.handlers.add("batched", batched, batched=True)
        for end in await served.ends(served.work("single"), served.work("batched", {}, {})):
            assert end.failure is not None
            assert end.failure.kind == kind.__name__


async def test_a_result_that_comes_after_the_time_limit_does_not_count() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late"
        return "never"

    async with running() as served:
        served.handlers.add("work", work)
        (end,) = await served.ends(served.work("work", timeout_s=0.01))
        assert (end.verdict, end.result) == (Verdict.TIMED_OUT, b"")


async def test_rows_that_were_done_when_the_time_ran_out_keep_their_results() -> None:
    async def work(rows: list[dict[str, Any]]) -> list[Any]:
        if len(rows) > 1:
            raise ValueError("one at a time")
        if rows[0]["value"] == "slow":
            await asyncio.Event().wait()
        return [rows[0]["value"]]

    async with running() as served:
        served.handlers.add("work", work, batched=True)
        rows = [{"value": "fast"}, {"value": "slow"}, {"value": "after"}]
        ends = await served.ends(served.work("work", *rows, timeout_s=0.05))
        assert [end.verdict for end in ends] == [Verdict.SUCCEEDED, Verdict.TIMED_OUT, Verdict.TIMED_OUT]


async def test_a_cancelled_micro_batch_is_not_halved() -> None:
    calls: list[int] = []
    begun = asyncio.Event()

    async def work(rows: list[dict[str, Any]]) -> list[Any]:
        calls.append(len(rows))
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("while cleaning up") from None
        return rows

    async with running() as served:
        served.handlers.add("work", work, batched=True)
        works = served.work("work", {}, {})
        wanted = await served.submit(works)
        await begun.wait()
        served.engine.cancel(wanted)
        assert await served.engine.drain(60)
        assert calls == [2]


async def test_halving_calls_the_rows_in_order_with_fresh_arguments() -> None:
    calls: list[list[Any]] = []

    async def work(rows: list[dict[str, Any]]) -> list[Any]:
        calls.append([row.pop("value") for row in rows])
        if 2 in calls[-1]:
            raise ValueError("two")
        return calls[-1]

    async with running() as served:
        served.handlers.add("work", work, batched=True)
        await served.ends(served.work("work", *[{"value": value} for value in (1, 2, 3, 4, 5)]))
    assert calls == [[1, 2, 3, 4, 5], [1, 2], [1], [2], [3, 4, 5]]


async def test_a_row_that_cannot_be_read_fails_alone() -> None:
    async def work(rows: list[dict[str, Any]]) -> list[Any]:
        return [row["value"] for row in rows]

    async with running() as served:
        served.handlers.add("work", work, batched=True)
        works = served.work("work", {"value": 1}, {"value": 2}, {"value": 3})
        works.attempts[1].payload = b"[]"
        ends = await served.ends(works)
        assert [end.verdict for end in ends] == [Verdict.SUCCEEDED, Verdict.FAILED, Verdict.SUCCEEDED]
        assert ends[2].result == b"3"


async def test_a_call_that_awaits_other_tasks_gives_its_slot_away_until_the_last_of_these_awaits() -> None:
    first, second, last = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def await_one(event: asyncio.Event) -> None:
        with standing_aside():
            await event.wait()

    async def parent() -> None:
        await asyncio.gather(await_one(first), await_one(second))
        await last.wait()

    async with running() as served:
        served.handlers.add("parent", parent)
        (ref,) = await served.submit(served.work("parent"))
        await served.until(lambda: len(served.of(Aside, ref)) == 1)
        assert served.engine.capacity()["default"] == 4
        first.set()
        await asyncio.sleep(0)
        assert served.engine.capacity()["default"] == 4
        second.set()
        await served.until(lambda: len(served.of(Aside, ref)) == 2)
        assert served.engine.capacity()["default"] == 3
        last.set()
        await served.until(lambda: served.engine.capacity()["default"] == 4)
    assert [report.back for report in served.of(Aside, ref)] == [False, True]


async def test_an_await_that_outlives_its_call_changes_nothing() -> None:
    over = asyncio.Event()

    async def linger() -> None:
        with standing_aside():
            await over.wait()

    left: list[asyncio.Task[None]] = []

    async def parent() -> None:
        left.append(asyncio.ensure_future(linger()))
        await asyncio.sleep(0)

    async with running() as served:
        served.handlers.add("parent", parent)
        await served.end("parent")
        assert served.engine.capacity()["default"] == 4
        over.set()
        await left[0]
        assert served.engine.capacity()["default"] == 4


async def test_what_needs_no_waiting_is_not_reported() -> None:
    async def parent() -> None:
        for _ in range(100):
            with standing_aside():
                pass

    async with running() as served:
        served.handlers.add("parent", parent)
        await served.end("parent")
        assert [type(report).__name__ for report in served.reports] == ["Ended"]
