"""Calls that give their slots away while they run: at the end of their time, or to work of a higher class."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Context, LaneSpec, Scheduler, Settings, policies
from wsaios.kernel.errors import InvalidInput, TaskFailed

QUICK = policies.Mlfq(quanta_ms=(2.0, 4.0, 8.0), boost_s=60.0)


def narrow(url: str, *lanes: LaneSpec, **settings: Any) -> Scheduler:
    chosen = (LaneSpec("default", 1), *lanes)
    return Scheduler(url, settings=Settings(lanes=chosen, grace_s=5, **settings))


class Long:
    """A coroutine that computes in pieces until it is told to end."""

    def __init__(self) -> None:
        self.over = False
        self.pieces = 0
        self.began = asyncio.Event()

    async def __call__(self, context: Context) -> int:
        self.began.set()
        while not self.over:
            until = time.perf_counter() + 0.0005
            while time.perf_counter() < until:
                pass
            self.pieces += 1
            await context.checkpoint()
        return self.pieces


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # a call in a lane tells nobody how far it is
            await asyncio.sleep(0.005)


async def quick(number: int) -> int:
    return number


async def test_short_calls_pass_a_long_one_that_used_up_its_time(url: str) -> None:
    scheduler, long = narrow(url, policy=QUICK), Long()
    scheduler.add_handler("long", long)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("long")
        await long.began.wait()
        for number in range(20):
            short = await scheduler.submit("quick", {"number": number})
            assert await short.result(timeout_s=10) == number
        assert (await task.status()).state == "running"
        before = long.pieces
        await asyncio.sleep(0.05)
        assert long.pieces > before
        long.over = True
        assert await task.result(timeout_s=10) == long.pieces
        assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]


async def test_a_call_that_awaits_keeps_its_level(url: str) -> None:
    scheduler = narrow(url, policy=QUICK)
    turns: list[str] = []

    @scheduler.handler("waits")
    async def waits(context: Context) -> None:
        for _ in range(6):
            await asyncio.sleep(0.01)
            turns.append("waits")
            await context.checkpoint()

    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("waits")
        later = await scheduler.submit("quick", {"number": 1})
        await asyncio.gather(task.result(timeout_s=10), later.result(timeout_s=10))
        ends = [(await each.history())[-1].at for each in (task, later)]
    # 60 ms on the clock, and next to nothing of the 2 ms of the top level: it never gave its slot away.
    assert ends[0] <= ends[1]
    assert len(turns) == 6


async def test_several_long_calls_share_one_slot(url: str) -> None:
    scheduler, calls = narrow(url, policy=policies.Mlfq(quanta_ms=(2.0, 2.0, 2.0, 2.0, 2.0), boost_s=60.0)), []
    for place in range(3):
        calls.append(Long())
        scheduler.add_handler(f"long-{place}", calls[-1])
    async with scheduler:
        tasks = [await scheduler.submit(f"long-{place}") for place in range(3)]
        await asyncio.gather(*(call.began.wait() for call in calls))
        for call in calls:
            call.over = True
        assert await asyncio.gather(*(task.result(timeout_s=10) for task in tasks)) == [call.pieces for call in calls]


async def test_work_of_a_higher_class_takes_the_slot_of_a_call_that_may_be_interrupted(url: str) -> None:
    scheduler, long, gate = narrow(url), Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("quick", quick)
    scheduler.add_handler("gate", gate)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        pieces = long.pieces
        waits = await scheduler.submit("quick", {"number": 1}, priority=-60)
        await asyncio.sleep(0.05)
        assert long.pieces <= pieces + 1
        gate.open()
        await urgent.result(timeout_s=10)
        # It goes on where it was, before what came later.
        await until(lambda: long.pieces > pieces + 1)
        assert (await waits.status()).state == "ready"
        long.over = True
        await asyncio.gather(bulk.result(timeout_s=10), waits.result(timeout_s=10))
        status = await bulk.status()
        assert (status.attempt, [line.to_state for line in await bulk.history()]) == (
            1,
            ["ready", "running", "succeeded"],
        )


async def test_nothing_interrupts_a_call_that_did_not_say_it_may_be(url: str) -> None:
    scheduler, long = narrow(url), Long()
    scheduler.add_handler("long", long)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("quick", {"number": 1}, priority=60)
        pieces = long.pieces
        await asyncio.sleep(0.05)
        assert long.pieces > pieces
        assert (await urgent.status()).state == "ready"
        long.over = True
        await asyncio.gather(bulk.result(timeout_s=10), urgent.result(timeout_s=10))


async def test_the_time_limit_stands_still_while_a_call_waits_to_go_on(url: str) -> None:
    scheduler, long, gate = narrow(url), Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True, timeout_s=0.5, max_attempts=1)
    scheduler.add_handler("gate", gate)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        await asyncio.sleep(0.7)
        long.over = True
        gate.open()
        await urgent.result(timeout_s=10)
        assert await bulk.result(timeout_s=10) == long.pieces


@pytest.mark.parametrize("verb", ["cancel", "pause"])
async def test_a_call_that_waits_to_go_on_can_be_ended(url: str, verb: str) -> None:
    scheduler, long, gate = narrow(url), Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        await getattr(scheduler, verb)(bulk.id)
        gate.open()
        await urgent.result(timeout_s=10)
        later = await scheduler.submit("quick", {"number": 7})
        assert await later.result(timeout_s=10) == 7
        assert (await bulk.status()).state == {"cancel": "cancelled", "pause": "paused"}[verb]
        if verb == "cancel":
            with pytest.raises(TaskFailed, match="cancelled"):
                await bulk.result(timeout_s=10)


async def test_a_stop_lets_what_waits_to_go_on_end(url: str) -> None:
    scheduler, long, gate = narrow(url, policy=QUICK), Long(), Gate()
    scheduler.add_handler("long", long)
    scheduler.add_handler("gate", gate)
    await scheduler.start()
    bulk = await scheduler.submit("long")
    await long.began.wait()
    urgent = await scheduler.submit("gate", {"name": 1})
    await gate.seen(1)
    stopping = asyncio.ensure_future(scheduler.stop())
    long.over = True
    gate.open()
    await stopping
    async with Scheduler(url) as second:
        assert (await second.status(bulk.id)).state == "succeeded"
        assert (await second.status(urgent.id)).state == "succeeded"


def sleeps(path: str, seconds: float) -> str:
    """Leaves a mark, and goes on for a while."""
    with Path(path).open("a", encoding="utf-8") as marks:
        marks.write("began\n")
    time.sleep(seconds)
    return "done"


def answers() -> str:
    return "here"


async def test_a_process_is_ended_for_work_of_a_higher_class_and_its_task_runs_again(url: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    scheduler = narrow(url, LaneSpec("process", 1, "process"))
    scheduler.add_handler("sleeps", sleeps, lane="process", preemptible=True, max_attempts=1)
    scheduler.add_handler("answers", answers, lane="process")
    async with scheduler:
        bulk = await scheduler.submit("sleeps", {"path": str(marks), "seconds": 4.0}, priority=-60)
        await until(marks.exists)
        urgent = await scheduler.submit("answers", priority=60)
        assert await urgent.result(timeout_s=20) == "here"
        assert (await bulk.status()).state in {"ready", "running"}
        assert await bulk.result(timeout_s=30) == "done"
        status, history = await bulk.status(), await bulk.history()
    assert status.attempt == 1
    assert [line.to_state for line in history] == ["ready", "running", "ready", "running", "succeeded"]
    assert history[2].reason == "gave its slot to work of a higher class"
    assert [line.fence for line in history] == [1, 2, 3, 4, 4]
    assert marks.read_text("utf-8") == "began\n" * 2


def test_a_thread_cannot_be_interrupted(url: str) -> None:
    scheduler = Scheduler(url)
    with pytest.raises(InvalidInput, match="preemptible"):
        scheduler.add_handler("answers", answers, preemptible=True)
    with pytest.raises(InvalidInput, match="preemptible"):
        scheduler.add_handler("quick", quick, preemptible="yes")
