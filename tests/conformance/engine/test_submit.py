"""Submitting: receipts, and each attempt once."""

from __future__ import annotations

from tests.conformance.engine.rig import NOW_US, Rig, refs
from wsaios.kernel.engine import AtHand, Receipt, Verdict, Work

ACCEPTED, REJECTED = Receipt.ACCEPTED, Receipt.REJECTED


async def test_what_runs_is_accepted_again_and_not_run_twice(rig: Rig, lane: str) -> None:
    work = rig.work("hold", lane, "once")
    assert await rig.engine.submit([work]) == [ACCEPTED]
    assert await rig.engine.submit([work, work]) == [ACCEPTED, ACCEPTED]
    rig.release()
    rig.calm()
    await rig.engine.drain(60)
    assert await rig.engine.submit([work]) == [ACCEPTED]
    await rig.ends(refs(work))
    assert await rig.engine.drain(60)
    assert rig.executed["once"] <= 1


async def test_what_ended_is_accepted_again_and_not_run_twice(exact: Rig, lane: str) -> None:
    work = exact.work("echo", lane, "once")
    wanted = await exact.submit(work)
    await exact.ends(wanted)
    assert await exact.engine.submit([work]) == [ACCEPTED]
    assert await exact.engine.drain(60)
    assert exact.executed["once"] == 1


async def test_the_same_attempt_twice_in_one_submission_runs_once(exact: Rig, lane: str) -> None:
    work = exact.work("echo", lane, "once")
    assert await exact.engine.submit([work, work]) == [ACCEPTED, ACCEPTED]
    await exact.ends(refs(work))
    assert await exact.engine.drain(60)
    assert exact.executed["once"] == 1


async def test_only_the_rows_that_are_new_are_run(exact: Rig, lane: str) -> None:
    first = exact.work("rows", lane, "a", "b")
    await exact.ends(await exact.submit(first))
    second = exact.work("rows", lane, "c")
    second.attempts = [*first.attempts, *second.attempts]
    await exact.ends(await exact.submit(second))
    assert await exact.engine.drain(60)
    assert exact.executed == {"a": 1, "b": 1, "c": 1}


async def test_a_new_fence_is_a_new_attempt(exact: Rig, lane: str) -> None:
    work = exact.work("echo", lane, "again")
    await exact.ends(await exact.submit(work))
    work.attempts[0].fence = 2
    (end,) = await exact.ends(await exact.submit(work))
    assert end.fence == 2
    assert exact.executed["again"] == 2


async def test_what_cannot_run_is_rejected_and_the_rest_of_the_submission_runs(exact: Rig, lane: str) -> None:
    good = exact.work("echo", lane, 1)
    unknown = exact.work("nothing", lane, 1)
    nowhere = exact.work("echo", lane, 1)
    nowhere.lane = "nowhere"
    empty = Work(f"echo@{lane}", lane, [])
    assert await exact.engine.submit([unknown, nowhere, good, empty]) == [REJECTED, REJECTED, ACCEPTED, REJECTED]
    (end,) = await exact.ends(refs(good))
    assert end.verdict == Verdict.SUCCEEDED
    assert await exact.engine.drain(60)
    said = [report for report in exact.reports if not isinstance(report, AtHand)]
    assert said == exact.about(refs(good)[0])


async def test_what_was_rejected_may_be_submitted_again(exact: Rig, lane: str) -> None:
    work = exact.work("nothing", lane, "later")
    assert await exact.engine.submit([work]) == [REJECTED]
    work.handler = f"echo@{lane}"
    (end,) = await exact.ends(await exact.submit(work))
    assert end.verdict == Verdict.SUCCEEDED


async def test_a_work_is_not_begun_after_its_time(exact: Rig, lane: str) -> None:
    late = exact.work("echo", lane, "late", not_after_us=NOW_US - 1)
    in_time = exact.work("echo", lane, "in time", not_after_us=NOW_US + 1_000_000)
    assert await exact.engine.submit([late, in_time]) == [REJECTED, ACCEPTED]
    await exact.ends(refs(in_time))
    assert await exact.engine.drain(60)
    assert exact.executed == {"in time": 1}


async def test_nothing_submitted_is_nothing_done(rig: Rig) -> None:
    assert await rig.engine.submit([]) == []


async def test_a_burst_of_ten_thousand_ends_once_each(rig: Rig, lane: str) -> None:
    wanted = await rig.submit(*[rig.work("echo", lane, number) for number in range(10_000)])
    rig.calm()
    assert await rig.engine.drain(60)
    assert sum(rig.final(ref) is not None for ref in wanted) == len(wanted)
    assert max(rig.executed.values()) == 1
