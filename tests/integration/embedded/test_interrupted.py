"""Who must make room for work of a higher class, and who need not."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.embedded.conftest import Gate, Long, narrow, quick, until
from wsaios import Context, LaneSpec, Scheduler, Task
from wsaios.kernel.errors import InvalidInput

GAVE_WAY = "gave its slot to work of a higher class"
PROCESSES = LaneSpec("process", 2, "process")


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


def stays(path: str, stop: str, context: Context) -> int:
    """Leaves a mark, and goes on until it is told to stop or its end is asked for."""
    with Path(path).open("a", encoding="utf-8") as marks:
        marks.write("began\n")
    while not (Path(stop).exists() or context.cancelled):
        time.sleep(0.01)
    return 1


def stay(rows: list[dict[str, str]], context: Context) -> list[int]:
    return [stays(**rows[0], context=context)] * len(rows)


def began(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


async def gave_way(task: Task) -> int:
    return sum(line.reason == GAVE_WAY for line in await task.history())


async def test_a_process_is_interrupted_three_times_at_most(url: str, tmp_path: Path) -> None:
    marks, stop = tmp_path / "marks", tmp_path / "stop"
    scheduler = narrow(url, LaneSpec("process", 1, "process"))
    scheduler.add_handler("stays", stays, lane="process", preemptible=True)
    scheduler.add_handler("answers", answers, lane="process")
    async with scheduler:
        bulk = await scheduler.submit("stays", {"path": str(marks), "stop": str(stop)}, priority=-60)
        for times in range(1, 4):
            await until(lambda times=times: began(marks) == times)  # type: ignore[misc]  # mypy cannot infer it
            assert await (await scheduler.submit("answers", priority=60)).result(timeout_s=20) == "here"
        await until(lambda: began(marks) == 4)
        last = await scheduler.submit("answers", priority=60)
        stop.touch()
        assert await bulk.result(timeout_s=20) == 1
        assert await last.result(timeout_s=20) == "here"
        assert await gave_way(bulk) == 3
        assert (await bulk.status()).attempt == 1


@pytest.mark.parametrize("kind", ["at most once", "rows"])
async def test_a_process_that_is_never_interrupted_keeps_no_other_one_from_it(
    url: str, tmp_path: Path, kind: str
) -> None:
    marks, kept, stop = tmp_path / "marks", tmp_path / "kept", tmp_path / "stop"
    scheduler = narrow(url, PROCESSES)
    scheduler.add_handler("stays", stays, lane="process", preemptible=True)
    scheduler.add_handler("stay", stay, lane="process", preemptible=True, batch_size=2)
    scheduler.add_handler("answers", answers, lane="process")
    arguments = {"path": str(kept), "stop": str(stop)}
    options: dict[str, Any] = {"priority": -60}
    async with scheduler:
        bulk = await scheduler.submit("stays", arguments | {"path": str(marks)}, **options)
        await until(marks.exists)
        # It begins last, and would be the first to be asked.
        if kind == "rows":
            batch = await scheduler.submit_many("stay", [arguments] * 2, **options)
            safe = [batch[0], batch[1]]
        else:
            safe = [await scheduler.submit("stays", arguments, delivery="at_most_once", **options)]
        await until(kept.exists)
        urgent = await scheduler.submit("answers", priority=60)
        assert await urgent.result(timeout_s=10) == "here"
        stop.touch()
        for task in (bulk, *safe):
            assert await task.result(timeout_s=20) == 1
        assert [await gave_way(task) for task in (bulk, *safe)] == [1, *[0] * len(safe)]
    assert (began(marks), began(kept)) == (2, 1)


async def test_a_coroutine_that_reaches_no_checkpoint_keeps_no_other_one_from_being_asked(url: str) -> None:
    scheduler = Scheduler(url, lanes={"default": 2}, grace_s=2)
    long, deaf = Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("deaf", deaf, preemptible=True)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        first = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        # It began last, and is asked first.
        second = await scheduler.submit("deaf", {"name": 1}, priority=-60)
        await deaf.seen(1)
        urgent = await scheduler.submit("quick", {"number": 1}, priority=60)
        assert await urgent.result(timeout_s=10) == 1
        assert [(await task.status()).state for task in (first, second)] == ["running"] * 2
        long.over = True
        deaf.open()
        await first.result(timeout_s=10)
        await second.result(timeout_s=10)


async def test_who_must_make_room_is_decided_by_the_policy_there_is_now(url: str) -> None:
    scheduler, long = narrow(url, policy="deadline"), Long()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        # Places by deadline are smaller numbers than those by time, whatever the class.
        await scheduler.order_by("priority")
        urgent = await scheduler.submit("quick", {"number": 1}, priority=60)
        assert await urgent.result(timeout_s=10) == 1
        # And first come is first served, whatever its class.
        await scheduler.order_by("fcfs")
        waits = await scheduler.submit("quick", {"number": 2}, priority=60)
        pieces = long.pieces
        await until(lambda: long.pieces > pieces + 50)
        assert (await waits.status()).state == "ready"
        long.over = True
        await bulk.result(timeout_s=10)
        await waits.result(timeout_s=10)
