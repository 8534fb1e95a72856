"""A commit that fails between two parts of a verb: a run is what was said of it all the same."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.embedded.conftest import Gate
from tests.integration.embedded.test_faults import Faults
from wsaios import Limit, Scheduler, Workflow, errors
from wsaios.kernel.ledger import Commit
from wsaios.kernel.policy import Fcfs


def after_the_run() -> Callable[[Commit], bool]:
    """The first commit after the one that writes a run."""
    seen: list[int] = []

    def fits(batch: Commit) -> bool:
        if batch.runs:
            seen.append(1)
            return False
        return bool(seen)

    return fits


async def test_a_run_that_is_resumed_goes_on_although_the_next_commit_failed(url: str) -> None:
    scheduler, gate = Scheduler(url, lanes={"default": 1}), Gate()
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("two", lambda: 2, lane="thread")
    flow = Workflow("w")
    flow.step("x", handler="gate")
    flow.step("y", handler="gate")
    async with scheduler:
        await scheduler.submit("gate", {"name": "holds the slot"})
        await gate.seen(1)
        run = await scheduler.run_workflow(flow)
        await scheduler.pause(run.id)
        await scheduler.flush()
        faults = Faults(scheduler)
        faults.break_next(after_the_run(), applied=False)
        assert await scheduler.resume(run.id) == "running"
        await asyncio.gather(scheduler.flush(), return_exceptions=True)
        gate.open()
        await run.result(timeout_s=20)
    assert faults.hit == 1


async def test_a_cancel_ends_what_runs_although_that_commit_failed(url: str) -> None:
    scheduler = Scheduler(url)
    began, told = asyncio.Event(), asyncio.Event()

    @scheduler.handler("long")
    async def long() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.set()
            raise

    flow = Workflow("w")
    flow.step("x", handler="long")
    flow.step("e", wait_for={"event": "go"})
    async with scheduler:
        run = await scheduler.run_workflow(flow)
        await began.wait()
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.ended), applied=False)
        await asyncio.gather(scheduler.cancel(run.id), return_exceptions=True)
        async with asyncio.timeout(10):
            await told.wait()
            while (await run.status()).state != "cancelled":  # noqa: ASYNC110  # a cancelled run has no result
                await asyncio.sleep(0.01)
    assert faults.hit == 1


async def test_an_event_that_comes_during_a_rebuild_finds_who_waits(url: str) -> None:
    scheduler = Scheduler(url)
    scheduler.add_handler("two", lambda: 2)
    flow = Workflow("w")
    flow.step("e", wait_for={"event": "go"})
    async with scheduler:
        run = await scheduler.run_workflow(flow)
        await scheduler.flush()
        faults = Faults(scheduler)
        faults.fails.clear()
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        lost = asyncio.ensure_future(scheduler.submit("two"))
        await faults.reached.wait()
        faults.fails.set()
        while scheduler._parts.loop.core is not None:  # noqa: ASYNC110, SLF001  # nobody is told of that
            await asyncio.sleep(0)
        assert await scheduler.signal("go", {"v": 1}) == 1
        with pytest.raises(errors.Unacknowledged):
            await lost
        assert await run.result(timeout_s=10) == {"e": {"v": 1}}


async def test_what_was_set_at_run_time_outlives_a_rebuild(url: str) -> None:
    scheduler = Scheduler(url, limits=[Limit("handler:two", {"tasks": 1})], policy="priority")
    scheduler.add_handler("two", lambda: 2)
    async with scheduler:
        await scheduler.limit(Limit("handler:two", {"tasks": 5}))
        await scheduler.order_by("fcfs")
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.submit("two")
        assert await (await scheduler.submit("two")).result(timeout_s=10) == 2
        assert [view.limit.running for view in await scheduler.limit()] == [{"tasks": 5}]
        assert (await scheduler.order_by(None)).policy == Fcfs()


async def test_an_event_of_which_nobody_knows_was_told_whole_or_not_at_all(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what its run calls is imported, although nobody was told that it began."""
    (tmp_path / "rebuilt_work.py").write_text("def shout(text):\n    return text.upper()\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scheduler = Scheduler(url)
    waits = Workflow("waits", output="${steps.e.result}")
    waits.step("e", wait_for={"event": "go"})
    begins = Workflow("begins", input={"text": {"type": "string"}}, output="${steps.s.result}")
    begins.step("s", handler="rebuilt_work:shout", args={"text": "${input.text}"})
    async with scheduler:
        await scheduler.publish(begins)
        await scheduler.triggers.on_event("go", workflow="begins", name="t")
        run = await scheduler.run_workflow(waits)
        faults = Faults(scheduler)
        for applied in (False, True):
            faults.break_next(lambda batch: bool(batch.runs), applied=applied)
            with pytest.raises(errors.Unacknowledged):
                await scheduler.emit("go", {"text": "a"})
            view = await scheduler.triggers.get("t")
            assert (view.fired, (await run.status()).ended) == (int(applied), applied)
        assert await run.result(timeout_s=10) == {"text": "a"}
        assert await scheduler.run_result(view.last_started or "", timeout_s=10) == "A"
