"""A run that was recorded in a ledger is replayed: the same core comes to the same order of dispatch."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from wsaios import LaneSpec, Scheduler, Settings
from wsaios.cli import app
from wsaios.kernel.policy import PROFILES, Ordering, Priority
from wsaios.kernel.states import State
from wsaios.sdk.upkeep import reading_of
from wsaios.simulation.replay import Replay, Setting
from wsaios.simulation.trace import Reading, Trace, adjusted
from wsaios.simulation.trace_ledger import ledger_trace

SLOTS = 3


async def work(ms: float) -> None:
    await asyncio.sleep(ms / 1000)


async def record(url: str, policy: str) -> None:
    scheduler = Scheduler(url, settings=Settings(lanes=(LaneSpec("default", SLOTS),), policy=policy))
    scheduler.add_handler("work", work)
    await scheduler.start()
    rng, tasks = Random(4), []
    # Two seconds apart: run times, which are measured anew in a replay, must not decide which comes first.
    begun, seconds = datetime.now(UTC), rng.sample(range(1, 400, 2), 120)
    try:
        for place in range(120):
            due = begun + timedelta(seconds=seconds[place])
            priority = rng.choice((-60, 0, 0, 3, 60))
            tasks.append(await scheduler.submit("work", {"ms": rng.random() * 8}, priority=priority, deadline=due))
            if place % 10 == 9:
                await asyncio.sleep(0.01)
        for task in tasks:
            await task.result(timeout_s=30)
    finally:
        await scheduler.stop()


def dispatched(url: str) -> list[int]:
    """Places of the tasks by id, in the order in which they were dispatched."""
    found = []
    with reading_of(url) as reads:
        for place, view in enumerate(reads.task_list((), 0, 1000)):
            assert view.outcome is not None
            began = [entry[1] for entry in view.outcome.body.history if entry[0] == State.RUNNING]
            found.append((began[-1], view.outcome.key, place))
    return [place for _, _, place in sorted(found)]


def recorded(url: str) -> Trace:
    with reading_of(url) as reads:
        return adjusted(ledger_trace(reads, url), Reading())


def flipped(_: Priority) -> Callable[[int, int], int]:
    return lambda priority, enqueued_us: enqueued_us + priority * 600_000_000


@pytest.mark.parametrize("policy", ["fcfs", "priority", "deadline"])
async def test_a_recorded_run_replays_to_the_identical_order(tmp_path: Path, policy: str) -> None:
    url = f"sqlite:///{tmp_path / 'run.db'}"
    await record(url, policy)
    order = dispatched(url)
    trace = recorded(url)
    assert {job.grade for job in trace.jobs} == {"bulk", "default", "interactive"}
    assert list(Replay(trace, Ordering(PROFILES[policy]), Setting(SLOTS)).run().order) == order
    arguments = ["simulate", "--from-ledger", url, "--policy", policy, "--slots", str(SLOTS), "--json"]
    told = CliRunner().invoke(app, arguments)
    assert json.loads(told.stdout)["policies"][0]["classes"][0]["count"] == len(order)


async def test_a_flipped_comparison_changes_the_live_order_and_that_of_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, other = (f"sqlite:///{tmp_path / name}" for name in ("right.db", "flipped.db"))
    await record(url, "priority")
    trace = recorded(url)
    monkeypatch.setattr(Priority, "plain", flipped)
    assert list(Replay(trace, Ordering(Priority()), Setting(SLOTS)).run().order) != dispatched(url)
    await record(other, "priority")
    order = dispatched(other)
    assert list(Replay(recorded(other), Ordering(Priority()), Setting(SLOTS)).run().order) == order
    monkeypatch.undo()
    assert list(Replay(recorded(other), Ordering(Priority()), Setting(SLOTS)).run().order) != order
