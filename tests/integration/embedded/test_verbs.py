"""Cancel, pause, resume, replay; ownership; stopping and starting again."""

import asyncio
import os
import threading

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Context, Scheduler, errors


async def test_cancelling_a_running_coroutine_ends_it(scheduler: Scheduler) -> None:
    gate, cancelled = Gate(), asyncio.Event()

    async def work() -> None:
        try:
            await gate("in")
        except asyncio.CancelledError:
            cancelled.set()
            raise

    scheduler.add_handler("work", work)
    async with scheduler:
        task = await scheduler.submit("work")
        await gate.seen(1)
        await task.cancel("enough")
        await asyncio.wait_for(cancelled.wait(), 10)
        with pytest.raises(errors.TaskFailed, match="enough"):
            await task.result(timeout_s=10)
        with pytest.raises(errors.NotPossible, match="cancelled"):
            await task.cancel()


async def test_a_cancelled_thread_is_told_and_its_result_is_refused(scheduler: Scheduler) -> None:
    started, go = threading.Event(), threading.Event()
    told: list[bool] = []

    def work(context: Context) -> str:
        started.set()
        go.wait(10)
        told.append(context.cancelled)
        return "too late"

    scheduler.add_handler("work", work)
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        task = await scheduler.submit("work")
        await asyncio.to_thread(started.wait, 10)
        await task.cancel()
        go.set()
        await (await scheduler.submit("one")).result(timeout_s=10)
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=10)
        assert (await task.status()).state == "cancelled"
    assert told == [True]
    assert caught.value.state == "cancelled"


async def test_pausing_a_task_holds_it_and_remembers_where_it_was(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        running = await scheduler.submit("gate", {"name": "running"})
        later = await scheduler.submit("gate", {"name": "later"}, delay_s=3600)
        await gate.seen(1)
        for task in (running, later):
            await scheduler.pause(task.id, reason="look at it")
            status = await task.status()
            assert (status.state, status.reason) == ("paused", "look at it")
            assert (await task.why()).waits_for == "pause"
        gate.open()
        await scheduler.resume(running.id)
        await scheduler.resume(later.id)
        assert (await later.status()).state == "pending"
        assert await running.result(timeout_s=10) == "running"
        with pytest.raises(errors.NotPossible):
            await scheduler.resume(later.id)


async def test_a_verb_answers_with_the_state_of_a_task_in_a_word_and_with_a_count_of_anything_else(
    scheduler: Scheduler,
) -> None:
    def fails() -> None:
        raise ConnectionError

    scheduler.add_handler("one", lambda: 1)
    scheduler.add_handler("fails", fails, max_attempts=1)
    async with scheduler:
        later = await scheduler.submit("one", delay_s=3600)
        assert await scheduler.pause(later.id) == "paused"
        assert await scheduler.resume(later.id) == "pending"
        assert await scheduler.cancel(later.id) == "cancelled"
        assert await (await scheduler.submit("one", delay_s=3600)).cancel() == "cancelled"
        failed = await scheduler.submit("fails")
        with pytest.raises(errors.TaskFailed):
            await failed.result(timeout_s=10)
        assert await scheduler.replay(failed.id) == "ready"
        batch = await scheduler.submit_many("one", [{}, {}], delay_s=3600)
        assert await scheduler.pause(batch.id) == 1
        assert await scheduler.resume("all") == 1
        assert await batch.cancel() == 2


async def test_a_paused_lane_starts_nothing_and_survives_a_restart(url: str) -> None:
    first = Scheduler(url, grace_s=1)
    first.add_handler("one", lambda: 1)
    async with first:
        await first.pause("lane:thread")
        task = await first.submit("one")
        assert (await task.why()).waits_for == "pause"
    second = Scheduler(url, grace_s=1)
    second.add_handler("one", lambda: 1)
    async with second:
        assert (await second.why(task.id)).waits_for == "pause"
        await second.resume("lane:thread")
        assert await second.result(task.id, timeout_s=10) == 1


async def test_everything_can_be_cancelled(scheduler: Scheduler) -> None:
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        await scheduler.pause("all")
        assert (await (await scheduler.submit("one")).why()).detail == "everything is paused"
        tasks = [await scheduler.submit("one") for _ in range(5)]
        assert await scheduler.cancel("all", reason="closing") == 6
        assert {(await task.status()).state for task in tasks} == {"cancelled"}


async def test_a_failed_task_is_replayed_with_its_past_in_the_history(scheduler: Scheduler) -> None:
    broken = {"now": True}

    def maybe() -> str:
        if broken["now"]:
            msg = "down"
            raise ConnectionError(msg)
        return "up"

    scheduler.add_handler("maybe", maybe, max_attempts=1)
    async with scheduler:
        task = await scheduler.submit("maybe")
        with pytest.raises(errors.TaskFailed, match="down"):
            await task.result(timeout_s=10)
        broken["now"] = False
        await scheduler.replay(task.id)
        assert await task.result(timeout_s=10) == "up"
        with pytest.raises(errors.NotPossible):
            await scheduler.replay(task.id)
        lines = await task.history()
    assert [line.to_state for line in lines] == ["ready", "running", "failed", "ready", "running", "succeeded"]
    assert "ConnectionError: down" in str(lines[3].reason)


async def test_a_second_owner_is_told_who_the_first_is_and_may_try_again(url: str) -> None:
    second = Scheduler(url)
    second.add_handler("one", lambda: 1)
    async with Scheduler(url):
        with pytest.raises(errors.LedgerOwned, match=str(os.getpid())):
            await second.start()
    async with second:
        assert await (await second.submit("one")).result(timeout_s=10) == 1


async def test_work_outlives_its_scheduler(url: str) -> None:
    gate = Gate()
    first = Scheduler(url, grace_s=0.05)
    first.add_handler("gate", gate)
    async with first:
        running = await first.submit("gate", {"name": "cut off"})
        waiting = await first.submit("gate", {"name": "waits"}, delay_s=0.01)
        await gate.seen(1)
    second = Scheduler(url)
    gate.open()
    second.add_handler("gate", gate)
    async with second:
        assert await second.result(running.id, timeout_s=10) == "cut off"
        assert await second.result(waiting.id, timeout_s=10) == "waits"
        lines = await second.history(running.id)
    assert any("stopped" in (line.reason or "") for line in lines)


async def test_nothing_is_taken_by_a_scheduler_that_does_not_run(scheduler: Scheduler) -> None:
    with pytest.raises(errors.NotRunning):
        await scheduler.submit("one")
    await scheduler.start()
    await scheduler.stop()
    await scheduler.stop()
    for call in (scheduler.submit("one"), scheduler.status("task_0000000000001"), scheduler.flush()):
        with pytest.raises(errors.NotRunning):
            await call
    with pytest.raises(errors.NotPossible, match="new Scheduler"):
        await scheduler.start()


async def test_waiting_for_a_result_ends_when_the_scheduler_stops(scheduler: Scheduler) -> None:
    async with scheduler:
        task = await scheduler.submit("unknown")
        waiting = asyncio.ensure_future(task.result())
        await scheduler.flush()
    with pytest.raises(errors.NotRunning):
        await waiting
