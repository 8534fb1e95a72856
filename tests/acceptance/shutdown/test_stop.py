"""SIGTERM and SIGINT end a program in good order, a second SIGINT at once; whatever happens, no task is lost."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.acceptance.shutdown.running import executions, left_in_order, program, release, started, tasks
from wsaios import Scheduler
from wsaios.kernel.errors import NotRunning
from wsaios.kernel.states import State

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
LONG_S = 600.0


def drain(folder: Path, *calls: str) -> None:
    """Serve once more, until these calls have ended."""
    release(folder)
    with started(program(folder, LONG_S, "coroutine", "thread"), folder) as again:
        again.serving()
        again.tell(signal.SIGTERM)
        again.end()
    assert {call: tasks(folder)[call][0] for call in calls} == dict.fromkeys(calls, State.SUCCEEDED)


@BOTH
def test_what_runs_may_end(tmp_path: Path, number: signal.Signals) -> None:
    names = ("coroutine:at_least_once", "thread:at_least_once", "coroutine:at_most_once", "thread:at_most_once")
    with started(program(tmp_path, LONG_S, *names), tmp_path) as serving:
        serving.serving()
        serving.tell(number)
        release(tmp_path)
        assert serving.end() == "stopped\n"

    found, began = tasks(tmp_path), executions(tmp_path)
    assert {found[call][0] for call in names[:2]} == {State.SUCCEEDED}
    assert {call for call in names if found[call][0] == State.SUCCEEDED} == set(began)
    assert {call for call in names if found[call][0] == State.READY} == {*names} - {*began}
    assert left_in_order(tmp_path)
    drain(tmp_path, *names)
    assert all(executions(tmp_path)[call] == 1 for call in names)


async def test_nothing_is_started_any_more(tmp_path: Path) -> None:
    scheduler = Scheduler(f"sqlite:///{tmp_path}/work.db", lanes={"default": 1}, grace_s=LONG_S)
    begun, free = asyncio.Event(), asyncio.Event()

    @scheduler.handler("wait")
    async def wait(call: str) -> str:
        begun.set()
        await free.wait()
        return call

    await scheduler.start()
    for call in ("running", "waiting"):
        await scheduler.submit("wait", {"call": call})
    await begun.wait()
    stopping = asyncio.create_task(scheduler.stop())
    for _ in range(20):
        await scheduler.flush()
    free.set()
    await stopping

    assert {call: state for call, (state, _) in tasks(tmp_path).items()} == {
        "running": State.SUCCEEDED,
        "waiting": State.READY,
    }


@BOTH
def test_what_does_not_end_in_time_goes_back_into_the_queue(tmp_path: Path, number: signal.Signals) -> None:
    names = ("coroutine:at_least_once", "thread:at_least_once")
    with started(program(tmp_path, 0.2, *names), tmp_path) as serving:
        serving.serving()
        serving.tell(number)
        assert serving.end() == "stopped\n"

    assert tasks(tmp_path) == dict.fromkeys(names, (State.READY, "the scheduler stopped while it ran"))
    assert left_in_order(tmp_path)
    drain(tmp_path, *names)


def test_what_may_run_once_and_does_not_end_in_time_is_said_to_be_lost(tmp_path: Path) -> None:
    names = ("coroutine:at_most_once", "thread:at_most_once")
    with started(program(tmp_path, 0.2, *names), tmp_path) as serving:
        serving.serving()
        serving.tell(signal.SIGTERM)
        serving.end()

    assert [state for state, _ in tasks(tmp_path).values()] == [State.LOST, State.LOST]
    release(tmp_path)
    with started(program(tmp_path, LONG_S, "coroutine", "thread"), tmp_path) as again:
        again.serving()
        again.tell(signal.SIGTERM)
        again.end()
    assert all(executions(tmp_path)[name] == 1 for name in names)


@BOTH
def test_a_sigint_during_the_stop_leaves_at_once(tmp_path: Path, number: signal.Signals) -> None:
    names = ("coroutine:at_least_once", "thread:at_least_once")
    with started(program(tmp_path, LONG_S, *names), tmp_path) as serving:
        serving.serving()
        serving.tell(number)
        assert serving.tell_until_it_ends(signal.SIGINT) == 130

    drain(tmp_path, *names)


@BOTH
def test_a_coroutine_that_cannot_be_cancelled_does_not_keep_the_process(tmp_path: Path, number: signal.Signals) -> None:
    with started(program(tmp_path, 0.2, "stubborn"), tmp_path) as serving:
        serving.serving()
        serving.tell(number)
        assert serving.end() == "stopped\n"

    assert [state for state, _ in tasks(tmp_path).values()] == [State.READY]


def test_a_second_sigterm_does_not_cut_the_stop_short(tmp_path: Path) -> None:
    with started(program(tmp_path, LONG_S, "coroutine", "thread"), tmp_path) as serving:
        serving.serving()
        for _ in range(3):
            serving.tell(signal.SIGTERM)
        release(tmp_path)
        assert serving.end() == "stopped\n"

    assert [state for state, _ in tasks(tmp_path).values()] == [State.SUCCEEDED, State.SUCCEEDED]


@pytest.mark.parametrize("turns", range(12))
async def test_a_task_that_is_just_being_started_is_waited_for(tmp_path: Path, turns: int) -> None:
    """However many turns of the loop lie between the call of `submit` and that of `stop`."""
    scheduler = Scheduler(f"sqlite:///{tmp_path}/work.db", grace_s=LONG_S)

    @scheduler.handler("echo")
    async def echo(call: str) -> str:
        await asyncio.sleep(0)
        return call

    await scheduler.start()
    submitting = asyncio.create_task(scheduler.submit("echo", {"call": "a"}, delivery="at_most_once"))
    for _ in range(turns):
        await asyncio.sleep(0)
    await scheduler.stop()
    accepted = (await asyncio.gather(submitting, return_exceptions=True))[0]

    states = [state for state, _ in tasks(tmp_path).values()]
    assert states in ([State.SUCCEEDED], [State.READY], [])
    assert isinstance(accepted, NotRunning) == (states == [])
