"""What a handler answers is what is reported."""

from __future__ import annotations

import msgspec
import pytest

from tests.conformance.engine.rig import MAX_RESULT_BYTES, Rig
from wsaios.kernel.engine import Ended, Verdict


async def one(rig: Rig, name: str, lane: str, value: object = None) -> Ended:
    (end,) = await rig.ends(await rig.submit(rig.work(name, lane, value)))
    return end


@pytest.mark.parametrize("value", [None, True, "ü", [1, 2.5, {"a": None}], {"null": "null"}])
async def test_a_result_is_reported_as_json(exact: Rig, lane: str, value: object) -> None:
    end = await one(exact, "echo", lane, value)
    assert end.verdict == Verdict.SUCCEEDED
    assert msgspec.json.decode(end.result) == value
    assert end.failure is None
    assert end.freed


@pytest.mark.parametrize("name, kind, message", [("raise", "ValueError", "boom"), ("exit", "SystemExit", "3")])
async def test_an_exception_is_a_failure_with_its_name_and_message(
    exact: Rig, lane: str, name: str, kind: str, message: str
) -> None:
    end = await one(exact, name, lane)
    assert end.verdict == Verdict.FAILED
    assert end.failure is not None
    assert (end.failure.kind, end.failure.message) == (kind, message)
    assert end.result == b""


@pytest.mark.parametrize("name", ["exit", "raise"])
async def test_work_goes_on_after_a_handler_that_raised(exact: Rig, lane: str, name: str) -> None:
    bad = [exact.work(name, lane) for _ in range(10)]
    good = [exact.work("echo", lane, number) for number in range(10)]
    ends = await exact.ends(await exact.submit(*bad, *good))
    assert [end.verdict for end in ends] == [Verdict.FAILED] * 10 + [Verdict.SUCCEEDED] * 10


@pytest.mark.parametrize("name", ["retry", "retry_returned"])
async def test_a_handler_may_ask_for_another_time(exact: Rig, lane: str, name: str) -> None:
    end = await one(exact, name, lane)
    assert end.verdict == Verdict.RETRY_AFTER
    assert end.retry_after_s == 2.5
    assert end.failure is not None
    assert end.failure.message == "busy"


@pytest.mark.parametrize("name", ["give_up", "give_up_returned"])
async def test_a_handler_may_give_up(exact: Rig, lane: str, name: str) -> None:
    end = await one(exact, name, lane)
    assert end.verdict == Verdict.GIVEN_UP
    assert end.failure is not None
    assert (end.failure.kind, end.failure.message) == ("GiveUp", "no use")


@pytest.mark.parametrize("name, place", [("nan", "result['scores'][2]"), ("object", "result['thing'][0]")])
async def test_a_result_that_is_not_json_is_a_failure_that_names_the_place(
    exact: Rig, lane: str, name: str, place: str
) -> None:
    end = await one(exact, name, lane)
    assert end.verdict == Verdict.FAILED
    assert end.failure is not None
    assert end.failure.kind == "ResultNotJson"
    assert place in end.failure.message


async def test_a_result_at_the_limit_is_kept(exact: Rig, lane: str) -> None:
    end = await one(exact, "large", lane, MAX_RESULT_BYTES - 2)
    assert end.verdict == Verdict.SUCCEEDED
    assert len(end.result) == MAX_RESULT_BYTES


async def test_a_result_above_the_limit_is_a_failure_that_names_both_sizes(exact: Rig, lane: str) -> None:
    end = await one(exact, "large", lane, MAX_RESULT_BYTES - 1)
    assert end.verdict == Verdict.FAILED
    assert end.failure is not None
    assert end.failure.kind == "ResultTooLarge"
    assert str(MAX_RESULT_BYTES + 1) in end.failure.message
    assert str(MAX_RESULT_BYTES) in end.failure.message


async def test_a_payload_of_one_mebibyte_arrives_whole(exact: Rig, lane: str) -> None:
    text = "ä" * ((1 << 19) - 100)
    end = await one(exact, "echo", lane, text)
    assert msgspec.json.decode(end.result) == text


async def test_what_a_handler_notes_is_reported_before_its_end(exact: Rig, lane: str) -> None:
    (ref,) = await exact.submit(exact.work("echo", lane, 1))
    await exact.ends([ref])
    told = [type(report).__name__ for report in exact.about(ref)]
    assert told[-2:] == ["Noted", "Ended"]
    assert (told[0] == "Started") == exact.engine.capabilities.reports_started


async def test_results_are_right_whatever_the_pipe_does(rig: Rig, lane: str) -> None:
    works = [rig.work("echo" if number % 3 else "raise", lane, number) for number in range(60)]
    wanted = await rig.submit(*works)
    numbers: dict[tuple[int, int], int] = {ref: number for number, ref in enumerate(wanted)}
    ends = await rig.ends(wanted)
    assert ends
    for end in ends:
        number = numbers[end.task, end.fence]
        if number % 3:
            assert (end.verdict, end.result) == (Verdict.SUCCEEDED, str(number).encode())
        else:
            assert end.verdict == Verdict.FAILED
