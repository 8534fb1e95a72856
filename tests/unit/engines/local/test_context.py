"""What a handler may ask and say."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import structlog

from tests.unit.engines.local.running import running
from wsaios.engines.local import Context
from wsaios.kernel.engine import Ended, Noted, Verdict
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.ids import encode


async def test_it_tells_what_the_attempt_is() -> None:
    async def ask(context: Context) -> dict[str, Any]:
        return {
            "task_id": context.task_id,
            "task_ids": context.task_ids,
            "batch_id": context.batch_id,
            "attempt": context.attempt,
            "tenant": context.tenant,
            "traceparent": context.traceparent,
            "cancelled": context.cancelled,
        }

    async with running() as served:
        served.handlers.add("ask", ask)
        assert (await served.value("ask"))["batch_id"] is None
        work = served.work("ask")
        (attempt,) = work.attempts
        attempt.number, attempt.batch, attempt.tenant, attempt.traceparent = 3, 77, "acme", "00-ab-cd-01"
        (end,) = await served.ends(work)
    told = end.result.decode()
    for part in (
        encode(attempt.task),
        encode(77, "batch"),
        '"attempt":3',
        '"acme"',
        "00-ab-cd-01",
        '"cancelled":false',
    ):
        assert part in told


async def test_of_many_progress_reports_in_one_turn_only_the_latest_is_passed_on() -> None:
    async def count(context: Context) -> None:
        for number in range(1_000):
            context.progress(number / 1_000, f"{number} done")

    async with running() as served:
        served.handlers.add("count", count)
        await served.end("count")
        (note,) = served.notes()
    assert (note.fraction, note.note, note.saved) == (0.999, "999 done", None)


async def test_progress_is_reported_while_the_handler_goes_on() -> None:
    go_on = asyncio.Event()

    async def wait(context: Context) -> None:
        context.progress(0.25)
        await go_on.wait()
        context.progress(0.75, "nearly")

    async with running() as served:
        served.handlers.add("wait", wait)
        (ref,) = await served.submit(served.work("wait"))
        await served.until(lambda: bool(served.of(Noted, ref)))
        assert not served.of(Ended, ref)
        go_on.set()
        await served.until(lambda: bool(served.of(Ended, ref)))
        assert [note.fraction for note in served.of(Noted, ref)] == [0.25, 0.75]


async def test_progress_comes_from_threads_too() -> None:
    go_on = threading.Event()

    def wait(context: Context) -> None:
        context.progress(0.5, "half")
        go_on.wait(60)
        context.progress(note="over")

    async with running() as served:
        served.handlers.add("wait", wait)
        (ref,) = await served.submit(served.work("wait"))
        await served.until(lambda: bool(served.of(Noted, ref)))
        go_on.set()
        await served.until(lambda: bool(served.of(Ended, ref)))
        assert [(note.fraction, note.note) for note in served.of(Noted, ref)] == [(0.5, "half"), (None, "over")]


async def test_a_coroutine_may_hand_its_context_to_a_thread() -> None:
    async def work(context: Context) -> None:
        await asyncio.to_thread(context.progress, 0.5)
        await asyncio.to_thread(context.save, {"row": 7})

    async with running() as served:
        served.handlers.add("work", work)
        await served.end("work")
        assert any(note.fraction == 0.5 for note in served.notes())
        assert served.notes()[-1].saved == b'{"row":7}'


@pytest.mark.parametrize("given, told", [(-1, 0.0), (2, 1.0), (1, 1.0), (0.5, 0.5)])
async def test_progress_is_cut_to_its_range(given: float, told: float) -> None:
    async def work(context: Context) -> None:
        context.progress(given, "x" * 1_000)

    async with running() as served:
        served.handlers.add("work", work)
        await served.end("work")
        (note,) = served.notes()
    assert note.fraction == told
    assert len(note.note) == 500


@pytest.mark.parametrize("given, field", [((float("nan"),), "fraction"), (("half",), "fraction"), ((0.5, 5), "note")])
async def test_progress_that_is_none_is_refused(given: Any, field: str) -> None:
    async def work(context: Context) -> None:
        context.progress(*given)

    async with running() as served:
        served.handlers.add("work", work)
        failure = (await served.end("work")).failure
    assert failure is not None
    assert (failure.kind, failure.message.partition(":")[0]) == ("InvalidInput", field)


async def test_a_checkpoint_is_reported_before_the_end_and_read_back_at_once() -> None:
    async def work(context: Context) -> list[Any]:
        before = context.saved
        context.save({"row": 1})
        context.save({"row": 2})
        return [before, context.saved]

    async with running() as served:
        served.handlers.add("work", work)
        assert await served.value("work") == [None, {"row": 2}]
        kinds = [type(report) for report in served.reports]
        assert kinds == [Noted, Ended]
        assert served.notes()[0].saved == b'{"row":2}'


async def test_the_next_attempt_finds_the_checkpoint_and_does_not_report_it_again() -> None:
    def work(context: Context) -> Any:
        context.progress(0.1)
        return context.saved

    async with running() as served:
        served.handlers.add("work", work)
        again = served.work("work")
        again.attempts[0].saved = b'{"row":41}'
        (end,) = await served.ends(again)
        assert end.result == b'{"row":41}'
        assert [note.saved for note in served.notes()] == [None]


@pytest.mark.parametrize("data, told", [({"a": float("nan")}, "data['a'] is nan"), ("x" * 200, "202 bytes")])
async def test_a_checkpoint_that_cannot_be_kept_is_refused(data: object, told: str) -> None:
    async def work(context: Context) -> None:
        context.save(data)

    async with running(max_result_bytes=100) as served:
        served.handlers.add("work", work)
        failure = (await served.end("work")).failure
    assert failure is not None
    assert failure.kind == "InvalidInput"
    assert told in failure.message


async def test_progress_that_is_no_number_is_refused() -> None:
    async def work(context: Context) -> None:
        with pytest.raises(InvalidInput, match="fraction"):
            context.progress(float("nan"))

    async with running() as served:
        served.handlers.add("work", work)
        await served.value("work")
        assert served.notes() == []


async def test_the_context_of_a_batched_call_is_that_of_its_rows() -> None:
    async def work(rows: list[dict[str, Any]], context: Context) -> list[list[str]]:
        context.progress(0.5)
        if len(rows) == 3:
            raise ValueError("too many")
        return [context.task_ids] * len(rows)

    async with running() as served:
        served.handlers.add("work", work, batched=True)
        works = served.work("work", {}, {}, {})
        ends = await served.ends(works)
        ids = [encode(attempt.task) for attempt in works.attempts]
        assert [end.result.decode().count("task_") for end in ends] == [1, 2, 2]
        assert all(identifier in end.result.decode() for identifier, end in zip(ids, ends, strict=True))
        assert {note.task for note in served.notes()} == {attempt.task for attempt in works.attempts}


async def test_a_call_with_several_rows_has_no_checkpoint() -> None:
    async def work(rows: list[dict[str, Any]], context: Context) -> list[Any]:
        context.save(1)
        return rows

    async with running() as served:
        served.handlers.add("work", work, batched=True)
        ends = await served.ends(served.work("work", {}, {}, at_most_once=True))
        assert all(end.failure is not None and "checkpoint" in end.failure.message for end in ends)
        assert (await served.end("work")).verdict == Verdict.SUCCEEDED


async def test_a_thread_learns_that_it_is_cancelled() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def work(context: Context) -> bool:
        begun.set()
        cancelled.wait(60)
        return context.cancelled

    async with running() as served:
        served.handlers.add("work", work)
        (ref,) = await served.submit(served.work("work"))
        await asyncio.to_thread(begun.wait, 60)
        served.engine.cancel([ref])
        cancelled.set()
        await served.until(lambda: bool(served.of(Ended, ref)))
        assert served.of(Ended, ref)[0].result == b"true"


async def test_what_is_said_after_the_end_was_told_is_dropped() -> None:
    go_on, over = threading.Event(), threading.Event()

    def work(context: Context) -> None:
        go_on.wait(60)
        context.progress(0.9)
        over.set()

    async with running() as served:
        served.handlers.add("work", work)
        served.handlers.add("after", lambda: None)
        await served.ends(served.work("work", timeout_s=0.02))
        go_on.set()
        await asyncio.to_thread(over.wait, 60)
        await served.ends(served.work("after"))
        assert served.notes() == []


async def test_the_logger_is_bound_with_task_attempt_and_handler() -> None:
    async def work(context: Context) -> None:
        context.logger.info("hello", row=1)

    with structlog.testing.capture_logs() as lines:
        async with running() as served:
            served.handlers.add("work", work)
            works = served.work("work")
            await served.ends(works)
    assert lines == [
        {
            "event": "hello",
            "row": 1,
            "log_level": "info",
            "task": encode(works.attempts[0].task),
            "attempt": 1,
            "handler": "work",
        }
    ]


async def test_an_argument_in_the_place_of_the_context_is_refused() -> None:
    async def work(text: str, context: Context) -> str:
        return text

    async with running() as served:
        served.handlers.add("work", work)
        failure = (await served.end("work", text="a", context=1)).failure
    assert failure is not None
    assert failure.kind == "InvalidInput"
    assert "'context'" in failure.message
