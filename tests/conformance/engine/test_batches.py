"""Micro-batches of batched handlers."""

from __future__ import annotations

import pytest

from tests.conformance.engine.rig import Rig
from wsaios.kernel.engine import Verdict

GOOD, BAD = Verdict.SUCCEEDED, Verdict.FAILED


async def test_every_row_gets_its_own_result(exact: Rig, lane: str) -> None:
    ends = await exact.ends(await exact.submit(exact.work("rows", lane, *range(50))))
    assert [end.result for end in ends] == [str(number).encode() for number in range(50)]


async def test_a_batched_handler_takes_a_single_row_too(exact: Rig, lane: str) -> None:
    (end,) = await exact.ends(await exact.submit(exact.work("rows", lane, "alone")))
    assert end.result == b'"alone"'


@pytest.mark.parametrize("rows", ["bad", "good good bad good good", "bad good bad", "bad bad bad bad"])
async def test_only_the_rows_that_fail_are_failed(exact: Rig, lane: str, rows: str) -> None:
    values = rows.split()
    ends = await exact.ends(await exact.submit(exact.work("rows_raise", lane, *values)))
    assert [end.verdict for end in ends] == [BAD if value == "bad" else GOOD for value in values]
    assert {end.failure.message for end in ends if end.failure} == {"a bad row"}


async def test_at_most_once_no_row_is_run_again_to_find_the_one_that_fails(exact: Rig, lane: str) -> None:
    work = exact.work("rows_raise", lane, "good", "bad", "fine", at_most_once=True)
    ends = await exact.ends(await exact.submit(work))
    assert [end.verdict for end in ends] == [BAD] * 3
    assert len({end.failure.message for end in ends if end.failure}) == 1
    await exact.began("good", "bad", "fine")
    assert exact.executed == {"good": 1, "bad": 1, "fine": 1}


@pytest.mark.parametrize("name, gave", [("rows_short", "2 results"), ("rows_no_list", "dict instead of a list")])
async def test_an_answer_of_the_wrong_shape_fails_every_row_and_says_so(
    exact: Rig, lane: str, name: str, gave: str
) -> None:
    ends = await exact.ends(await exact.submit(exact.work(name, lane, "a", "b", "c")))
    assert [end.verdict for end in ends] == [BAD] * 3
    for end in ends:
        assert end.failure is not None
        assert "3 rows" in end.failure.message
        assert gave in end.failure.message


async def test_asking_for_another_time_holds_for_all_rows(exact: Rig, lane: str) -> None:
    ends = await exact.ends(await exact.submit(exact.work("rows_retry", lane, "a", "b")))
    assert [(end.verdict, end.retry_after_s) for end in ends] == [(Verdict.RETRY_AFTER, 1.0)] * 2


async def test_an_exception_in_the_place_of_a_result_is_the_end_of_that_row(exact: Rig, lane: str) -> None:
    ends = await exact.ends(await exact.submit(exact.work("rows_mixed", lane, "a", "bad", "c")))
    assert [end.verdict for end in ends] == [GOOD, BAD, GOOD]


async def test_a_micro_batch_takes_one_slot(exact: Rig, lane: str) -> None:
    before = exact.engine.capacity()[lane]
    await exact.submit(exact.work("rows_hold", lane, "a", "b", "c"))
    assert exact.engine.capacity()[lane] == before - 1
    exact.release()
