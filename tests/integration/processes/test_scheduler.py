"""Functions in worker processes, end to end through a scheduler on SQLite."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import handlers
from wsaios import LaneSpec, Processes, Scheduler, errors

LIMIT_S = 60.0


def scheduler(folder: Path, *names: str, slots: int = 2, **options: Any) -> Scheduler:
    # A worker for each of many slots would take a busy machine longer to start than all else.
    lane = LaneSpec("process", slots, "process", Processes(count=min(slots, 2)))
    made = Scheduler(f"sqlite:///{folder}/work.db", lanes={"process": lane})
    for name in names:
        made.add_handler(name, getattr(handlers, name), lane="process", backoff_initial_s=0.01, **options)
    return made


async def test_a_batch_runs_in_processes_and_every_result_is_durable(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "double", slots=64) as served:
        batch = await served.submit_many("double", ({"i": i} for i in range(1_000)))
        view = await batch.wait(timeout_s=LIMIT_S)
        assert view.ended == {"succeeded": 1_000}
        assert await batch[999].result(timeout_s=LIMIT_S) == 1_998


async def test_short_calls_are_at_hand_beyond_the_slots_and_each_runs_once(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "double", "hold", slots=1) as served:
        await (await served.submit("double", {"i": 0})).result(timeout_s=LIMIT_S)
        batch = await served.submit_many("double", ({"i": i} for i in range(2_000)))
        assert (await batch.wait(timeout_s=LIMIT_S)).ended == {"succeeded": 2_000}
        assert {
            len([entry for entry in await batch[i].history() if entry.to_state == "running"]) for i in (0, 1_999)
        } == {1}


async def test_short_calls_behind_one_that_takes_long_are_not_said_to_run(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "double", "hold", slots=1, max_attempts=1) as served:
        await (await served.submit("double", {"i": 0})).result(timeout_s=LIMIT_S)
        held = await served.submit("hold", {"mark": str(tmp_path / "held")})
        behind = [await served.submit("double", {"i": i}) for i in range(20)]
        async with asyncio.timeout(LIMIT_S):
            while {(await task.status()).state for task in behind} != {"ready"}:  # noqa: ASYNC110  # no one tells
                await asyncio.sleep(0.01)
        assert (await behind[0].why()).detail.startswith("1 of 1 slots of lane 'process' are taken")
        await held.cancel()
        assert [await task.result(timeout_s=LIMIT_S) for task in behind] == [2 * i for i in range(20)]


async def test_a_batched_handler_gets_its_rows_together(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "rows", batch_size=16) as served:
        batch = await served.submit_many("rows", ({"i": i} for i in range(100)))
        assert (await batch.wait(timeout_s=LIMIT_S)).ended == {"succeeded": 100}
        assert await batch[7].result(timeout_s=LIMIT_S) == 70


async def test_a_row_that_kills_its_worker_is_found_by_halves_and_the_others_succeed(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "rows_die", batch_size=8) as served:
        batch = await served.submit_many("rows_die", ({"i": i} for i in range(16)))
        assert (await batch.wait(timeout_s=LIMIT_S)).ended == {"succeeded": 15, "failed": 1}
        with pytest.raises(errors.TaskFailed, match="poison"):
            await batch[13].result(timeout_s=LIMIT_S)


@pytest.mark.parametrize("how, slots", [("segfault", 50), ("exit", 2), ("kill", 2)])
async def test_what_kills_three_workers_is_poison_and_no_neighbour_suffers(
    tmp_path: Path, how: str, slots: int
) -> None:
    mark = tmp_path / "mark"
    async with scheduler(tmp_path, "die", "double", slots=slots) as served:
        await (await served.submit("double", {"i": 0})).result(timeout_s=LIMIT_S)
        bad = await served.submit("die", {"how": how, "mark": str(mark)})
        batch = await served.submit_many("double", ({"i": i} for i in range(300)))
        with pytest.raises(errors.TaskFailed, match="poison: 3 workers died"):
            await bad.result(timeout_s=LIMIT_S)
        assert (await batch.wait(timeout_s=LIMIT_S)).ended == {"succeeded": 300}
        assert len(mark.read_text("ascii").splitlines()) == 3


async def test_at_most_once_ends_as_lost_and_does_not_run_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with scheduler(tmp_path, "die", delivery="at_most_once") as served:
        task = await served.submit("die", {"how": "kill", "mark": str(mark)})
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=LIMIT_S)
        assert caught.value.state == "lost"
        assert len(mark.read_text("ascii").splitlines()) == 1


async def test_a_crash_is_tried_again_with_its_checkpoint(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "remember") as served:
        task = await served.submit("remember", tenant="t")
        found = await task.result(timeout_s=LIMIT_S)
        assert found == {"saved": {"attempt": 1}, "attempt": 1, "tenant": "t", "batch": None}


async def test_a_timeout_kills_and_the_next_attempt_runs_elsewhere(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "sleep", "pid", slots=1) as served:
        task = await served.submit("sleep", {"seconds": 3600}, timeout_s=0.2, max_attempts=2)
        with pytest.raises(errors.TaskFailed, match="did not end within"):
            await task.result(timeout_s=LIMIT_S)
        assert await (await served.submit("pid")).result(timeout_s=LIMIT_S) != os.getpid()


async def test_what_waits_behind_a_call_out_of_time_has_its_own_time(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "sleep", slots=1, max_attempts=1, timeout_s=0.3) as served:
        for _ in range(10):
            await (await served.submit("sleep", {"seconds": 0})).result(timeout_s=LIMIT_S)
        seconds = [3600.0, *[0.0] * 20, 3600.0, *[0.0] * 20]
        batch = await served.submit_many("sleep", ({"seconds": each} for each in seconds))
        assert (await batch.wait(timeout_s=LIMIT_S)).ended == {"succeeded": 40, "failed": 2}


async def test_what_waits_beyond_the_slots_is_cancelled_paused_and_resumed(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "double", "hold", slots=1) as served:
        for _ in range(10):
            await (await served.submit("double", {"i": 0})).result(timeout_s=LIMIT_S)
        held = await served.submit("hold", {"mark": str(tmp_path / "held")})
        behind = [await served.submit("double", {"i": i}) for i in range(30)]
        assert {await task.cancel() for task in behind[::3]} == {"cancelled"}
        assert {await served.pause(task.id) for task in behind[1::3]} == {"paused"}
        await held.cancel()
        assert [await task.result(timeout_s=LIMIT_S) for task in behind[2::3]] == [2 * i for i in range(2, 30, 3)]
        assert {(await task.status()).state for task in behind[1::3]} == {"paused"}
        for task in behind[1::3]:
            await served.resume(task.id)
        assert [await task.result(timeout_s=LIMIT_S) for task in behind[1::3]] == [2 * i for i in range(1, 30, 3)]
        assert {(await task.status()).state for task in behind[::3]} == {"cancelled"}


async def test_cancelling_frees_the_slot_of_a_call_that_heeds_nothing(tmp_path: Path) -> None:
    async with scheduler(tmp_path, "sleep", "pid", slots=1) as served:
        task = await served.submit("sleep", {"seconds": 3600})
        while (await task.status()).state != "running":
            pass
        assert await task.cancel() == "cancelled"
        assert await (await served.submit("pid")).result(timeout_s=LIMIT_S) != os.getpid()


@pytest.mark.parametrize(
    "function, told",
    [
        (lambda: 1, "a lambda has no name"),
        (partial(handlers.double, 1), "a partial has no name"),
        (handlers.NAMELESS[0], "a lambda has no name"),
    ],
)
def test_what_a_worker_cannot_import_is_refused(tmp_path: Path, function: Any, told: str) -> None:
    made = scheduler(tmp_path)
    with pytest.raises(errors.InvalidInput, match=told):
        made.add_handler("work", function, lane="process")
    made.add_handler("work", handlers.double, lane="process")


def test_a_function_inside_another_one_is_refused(tmp_path: Path) -> None:
    def inner() -> None:
        """Stands here."""

    with pytest.raises(errors.InvalidInput, match="stands inside another function, so a worker"):
        scheduler(tmp_path).add_handler("inner", inner, lane="process")


def test_a_name_that_means_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = handlers.double
    monkeypatch.setattr(handlers, "double", handlers.pid)
    with pytest.raises(errors.InvalidInput, match="would find something else under"):
        scheduler(tmp_path).add_handler("double", function, lane="process")


def test_a_coroutine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="runs plain functions"):
        scheduler(tmp_path).add_handler("coroutine", handlers.coroutine, lane="process")


async def test_a_static_method_and_a_lane_of_ones_own_work(tmp_path: Path) -> None:
    lanes = {"heavy": LaneSpec("heavy", 1, "process", Processes(nice=1))}
    served = Scheduler(f"sqlite:///{tmp_path}/work.db", lanes=lanes)
    served.add_handler("inside", handlers.Group.inside, lane="heavy")
    served.add_handler("thread", handlers.double)
    async with served:
        assert await (await served.submit("inside")).result(timeout_s=LIMIT_S) == "inside"
        with pytest.raises(errors.InvalidInput, match="it fits thread"):
            await served.submit("thread", {"i": 1}, lane="heavy")


@pytest.mark.parametrize(
    "processes, field",
    [
        (Processes(count=3), "count"),
        (Processes(nice=20), "nice"),
        (Processes(nice=-1), "nice"),
        (Processes(cpus=(4_096,)), "cpus"),
        (Processes(max_tasks=-1), "max_tasks"),
        (Processes(max_mib=-1), "max_mib"),
        (Processes(import_s=0), "import_s"),
        (Processes(import_s=float("inf")), "import_s"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, processes: Processes, field: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        Scheduler(f"sqlite:///{tmp_path}/work.db", lanes={"heavy": LaneSpec("heavy", 2, "process", processes)})
    assert caught.value.field == f"lanes['heavy'].processes.{field}"


def test_only_a_lane_of_processes_has_settings_of_them(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="use kind 'process'"):
        Scheduler(f"sqlite:///{tmp_path}/work.db", lanes={"thread": LaneSpec("thread", 2, "thread", Processes(nice=1))})
