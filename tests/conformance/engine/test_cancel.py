"""Cancelling: before the beginning, in the middle, and what is not there."""

from __future__ import annotations

from tests.conformance.engine.rig import LANES, Rig, refs
from wsaios.kernel.engine import AttemptRef, Verdict


async def test_what_has_not_begun_never_begins(exact: Rig, lane: str) -> None:
    full = [exact.work("hold", lane, f"full {number}") for number in range(LANES[lane].slots)]
    await exact.submit(*full)
    wanted = await exact.submit(exact.work("echo", lane, "never"))
    exact.engine.cancel(wanted)
    (end,) = await exact.ends(wanted)
    assert end.verdict == Verdict.CANCELLED
    assert end.freed
    exact.release()
    assert await exact.engine.drain(60)
    assert exact.executed["never"] == 0


async def test_a_coroutine_that_runs_ends_as_cancelled(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("hold", "default", "held"))
    await exact.began("held")
    exact.engine.cancel(wanted)
    (end,) = await exact.ends(wanted)
    assert end.verdict == Verdict.CANCELLED
    assert end.failure is not None


async def test_a_coroutine_that_heeds_no_cancel_ends_with_its_own_answer(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("stubborn", "default", "held"))
    await exact.began("held")
    exact.engine.cancel(wanted)
    exact.engine.cancel(wanted)
    assert await exact.engine.probe(wanted) == {wanted[0]: "running"}
    exact.release()
    (end,) = await exact.ends(wanted)
    assert (end.verdict, end.result) == (Verdict.SUCCEEDED, b'"held"')


async def test_a_thread_that_runs_ends_with_its_own_answer(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("hold", "thread", "held"))
    await exact.began("held")
    exact.engine.cancel(wanted)
    assert await exact.engine.probe(wanted) == {wanted[0]: "running"}
    exact.release()
    (end,) = await exact.ends(wanted)
    assert (end.verdict, end.result) == (Verdict.SUCCEEDED, b'"held"')


async def test_a_micro_batch_goes_on_while_one_of_its_rows_is_wanted(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("rows_hold", "default", "a", "b", "c"))
    await exact.began("a", "b", "c")
    exact.engine.cancel(wanted[:2])
    assert await exact.engine.probe(wanted[2:]) == {wanted[2]: "running"}
    exact.release()
    ends = await exact.ends(wanted)
    assert [end.result for end in ends][2] == b'"c"'
    assert ends[2].verdict == Verdict.SUCCEEDED


async def test_a_micro_batch_ends_once_all_of_its_rows_were_named(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("rows_hold", "default", "a", "b", "c"))
    await exact.began("a", "b", "c")
    exact.engine.cancel(wanted[1:])
    exact.engine.cancel(wanted[1:])
    exact.engine.cancel(wanted[:1])
    ends = await exact.ends(wanted)
    assert [end.verdict for end in ends] == [Verdict.CANCELLED] * 3


async def test_what_is_unknown_or_over_is_ignored(rig: Rig, lane: str) -> None:
    work = rig.work("echo", lane, 1)
    await rig.submit(work)
    await rig.ends(refs(work))
    assert await rig.engine.drain(60)
    before = list(rig.reports)
    rig.engine.cancel([AttemptRef(0, 0), *refs(work), AttemptRef(refs(work)[0].task, 99)])
    assert await rig.engine.drain(60)
    assert rig.reports == before


async def test_a_burst_of_cancels_leaves_nothing_behind(rig: Rig, lane: str) -> None:
    wanted = await rig.submit(*[rig.work("echo", lane, number) for number in range(200)])
    rig.engine.cancel(wanted[::2])
    await rig.ends(wanted)
    assert await rig.engine.drain(60)
    assert set((await rig.engine.probe(wanted)).values()) == {"unknown"}
