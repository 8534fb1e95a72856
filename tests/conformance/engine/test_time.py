"""Time limits, and calls that outlive them."""

from __future__ import annotations

from tests.conformance.engine.rig import Rig
from wsaios.kernel.engine import Ended, Freed, Verdict

SHORT_S = 0.02


async def test_a_call_that_ends_in_time_is_not_touched(exact: Rig, lane: str) -> None:
    wanted = await exact.submit(*[exact.work("echo", lane, number, timeout_s=60.0) for number in range(20)])
    ends = await exact.ends(wanted)
    assert {end.verdict for end in ends} == {Verdict.SUCCEEDED}


async def test_a_coroutine_out_of_time_ends_as_timed_out(exact: Rig) -> None:
    (end,) = await exact.ends(await exact.submit(exact.work("hold", "default", timeout_s=SHORT_S)))
    assert end.verdict == Verdict.TIMED_OUT
    assert end.freed
    assert end.failure is not None
    assert "0.02 s" in end.failure.message


async def test_a_coroutine_that_goes_on_keeps_its_slot_until_it_ends(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("stubborn", "default", "held", timeout_s=SHORT_S))
    (end,) = await exact.ends(wanted)
    assert (end.verdict, end.freed) == (Verdict.TIMED_OUT, False)
    assert exact.engine.capacity()["default"] == 3
    assert exact.of(Freed, wanted[0]) == []
    assert await exact.engine.probe(wanted) == {wanted[0]: "running"}
    exact.release()
    await exact.until(lambda: bool(exact.of(Freed, wanted[0])))
    assert exact.engine.capacity()["default"] == 4


async def test_a_thread_out_of_time_is_told_at_once_and_freed_once(exact: Rig) -> None:
    wanted = await exact.submit(exact.work("hold", "thread", "held", timeout_s=SHORT_S))
    (end,) = await exact.ends(wanted)
    assert (end.verdict, end.freed) == (Verdict.TIMED_OUT, False)
    exact.release()
    await exact.until(lambda: bool(exact.of(Freed, wanted[0])))
    assert await exact.engine.drain(60)
    assert len(exact.of(Freed, wanted[0])) == 1
    assert len(exact.of(Ended, wanted[0])) == 1


async def test_the_time_of_a_micro_batch_is_that_of_the_whole_call(exact: Rig, lane: str) -> None:
    wanted = await exact.submit(exact.work("rows_hold", lane, "a", "b", timeout_s=SHORT_S))
    ends = await exact.ends(wanted)
    assert [end.verdict for end in ends] == [Verdict.TIMED_OUT] * 2
    exact.release()
    await exact.until(lambda: all(end.freed or exact.of(Freed, ref) for end, ref in zip(ends, wanted, strict=True)))


async def test_many_limits_come_due_each_for_its_own(exact: Rig) -> None:
    works = [exact.work("hold", "default", number, timeout_s=0.01 + number / 10_000) for number in range(100)]
    kept = exact.work("hold", "default", "kept", timeout_s=60.0)
    ends = await exact.ends((await exact.submit(*works, kept))[:-1])
    assert {end.verdict for end in ends} == {Verdict.TIMED_OUT}
    exact.release()
