"""Calls that make room at a checkpoint, and go on when they are told to."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.engine.rig import LANES, PATIENCE_S, Rig
from wsaios.kernel.engine import AttemptRef, Ended, Resumed, Unbegun, Verdict, Yielded

SLOTS = LANES["default"].slots


async def yielded(rig: Rig, ref: AttemptRef, times: int = 1) -> Yielded:
    """The latest of so many times that it stopped."""
    await rig.until(lambda: len(rig.of(Yielded, ref)) >= times)
    assert len(rig.of(Yielded, ref)) == times
    return rig.of(Yielded, ref)[-1]


async def test_a_call_that_is_asked_stops_gives_its_slot_away_and_goes_on_when_resumed(exact: Rig) -> None:
    (ref,) = await exact.submit(exact.work("steps", "default", "steps"))
    await exact.began("steps")
    for turn in range(1, 4):
        exact.engine.preempt([ref])
        assert await yielded(exact, ref, turn) == Yielded(*ref)
        assert exact.engine.capacity()["default"] == SLOTS
        assert await exact.engine.probe([ref]) == {ref: "running"}
        exact.engine.resume([Resumed(ref, None)])
        async with asyncio.timeout(PATIENCE_S):
            while exact.engine.capacity()["default"] != SLOTS - 1:  # noqa: ASYNC110  # nothing is reported
                await asyncio.sleep(0)
    exact.release()
    (end,) = await exact.ends([ref])
    assert (end.verdict, end.result, end.freed) == (Verdict.SUCCEEDED, b'"steps"', True)
    assert exact.executed["steps"] == 1
    assert exact.engine.capacity()["default"] == SLOTS


async def test_what_stopped_stays_so_until_it_is_resumed_while_others_run(exact: Rig) -> None:
    (ref,) = await exact.submit(exact.work("steps", "default", "rests"))
    await exact.began("rests")
    exact.engine.preempt([ref])
    await yielded(exact, ref)
    exact.release()
    ends = await exact.ends(await exact.submit(exact.work("echo", "default", "other")))
    assert [end.verdict for end in ends] == [Verdict.SUCCEEDED]
    await asyncio.sleep(0.02)
    assert exact.of(Ended, ref) == []
    exact.engine.resume([Resumed(ref, None)])
    (end,) = await exact.ends([ref])
    assert end.verdict == Verdict.SUCCEEDED


async def test_a_call_that_used_up_its_time_stops_by_itself_and_gets_more(exact: Rig) -> None:
    (ref,) = await exact.submit(exact.work("steps", "default", "long", quantum_us=1))
    assert await yielded(exact, ref) == Yielded(*ref, used_up=True)
    exact.engine.resume([Resumed(ref, 1)])
    assert await yielded(exact, ref, 2) == Yielded(*ref, used_up=True)
    exact.engine.resume([Resumed(ref, None)])
    exact.release()
    (end,) = await exact.ends([ref])
    assert end.verdict == Verdict.SUCCEEDED
    assert len(exact.of(Yielded, ref)) == 2


async def test_what_stopped_and_is_cancelled_ends_as_cancelled(exact: Rig) -> None:
    (ref,) = await exact.submit(exact.work("steps", "default", "ends"))
    await exact.began("ends")
    exact.engine.preempt([ref])
    await yielded(exact, ref)
    exact.engine.cancel([ref])
    (end,) = await exact.ends([ref])
    assert (end.verdict, end.freed) == (Verdict.CANCELLED, True)
    assert exact.engine.capacity()["default"] == SLOTS


async def test_nothing_is_asked_of_threads_of_what_is_unknown_and_of_what_runs_on(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("steps", "thread", "thread"), exact.work("steps", "default", "runs"))
    await exact.began("thread", "runs")
    exact.engine.preempt([AttemptRef(999_999, 1), wanted[0]])
    exact.engine.resume([Resumed(AttemptRef(999_999, 1), None), Resumed(wanted[0], None), Resumed(wanted[1], None)])
    await asyncio.sleep(0.02)
    assert [exact.of(Yielded, ref) for ref in wanted] == [[], []]
    assert exact.engine.capacity()["default"] == SLOTS - 1
    exact.release()
    assert {end.verdict for end in await exact.ends(wanted)} == {Verdict.SUCCEEDED}


@pytest.mark.parametrize("lane", ["thread", "process"])
async def test_what_waits_beyond_the_slots_comes_back_when_it_is_asked_for(exact: Rig, lane: str) -> None:
    names = [f"full {number}" for number in range(LANES[lane].slots)]
    full = await exact.submit(*[exact.work("hold", lane, name) for name in names])
    await exact.began(*names)
    behind = await exact.submit(*[exact.work("echo", lane, "behind") for _ in range(3)])
    exact.engine.recall()
    await exact.until(lambda: all(exact.of(Unbegun, ref) for ref in behind))
    exact.release()
    assert {end.verdict for end in await exact.ends(full)} == {Verdict.SUCCEEDED}
    assert exact.executed["behind"] == 0
    assert exact.engine.capacity()[lane] == LANES[lane].slots
