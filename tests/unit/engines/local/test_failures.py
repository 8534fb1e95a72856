"""Exceptions as values."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from tests.unit.engines.local.running import running
from wsaios.engines.local import GiveUp, RetryAfter
from wsaios.engines.local.arguments import arguments_of
from wsaios.engines.local.failures import MAX_FRAMES, MAX_MESSAGE_CHARS, MAX_TRACEBACK_CHARS, failure_of
from wsaios.kernel.engine import Attempt
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import Failure


def told(function: Callable[[], object]) -> Failure:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 # whatever it raises is the subject
        return failure_of(error)
    raise AssertionError("it did not raise")


def deep(level: int) -> None:
    if level:
        deep(level - 1)
    raise KeyError("deep")


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit


def test_kind_message_and_traceback_are_kept() -> None:
    failure = told(lambda: int("x"))
    assert failure.kind == "ValueError"
    assert failure.message == "invalid literal for int() with base 10: 'x'"
    assert "test_failures.py" in failure.traceback
    assert failure.traceback.endswith("'x'\n")


async def test_the_traceback_begins_with_the_code_of_the_user() -> None:
    async def fails() -> None:
        deep(1)

    async with running() as served:
        served.handlers.add("fails", fails)
        failure = (await served.end("fails")).failure
    assert failure is not None
    lines = [line for line in failure.traceback.splitlines() if line.startswith("  File")]
    assert all("test_failures.py" in line for line in lines)
    assert [line.rpartition(" ")[2] for line in lines] == ["fails", "deep", "deep"]


async def test_a_call_with_wrong_arguments_says_which() -> None:
    def shout(text: str) -> str:
        return text

    async with running() as served:
        served.handlers.add("shout", shout)
        failure = (await served.end("shout", txt="hi")).failure
    assert failure is not None
    assert failure.kind == "TypeError"
    assert "txt" in failure.message
    assert failure.traceback == ""


def test_a_long_traceback_keeps_its_last_frames() -> None:
    failure = told(lambda: deep(400))
    assert failure.traceback.count("in deep") <= MAX_FRAMES
    assert len(failure.traceback) <= MAX_TRACEBACK_CHARS
    assert failure.traceback.endswith("KeyError: 'deep'\n")


def test_a_long_message_is_cut() -> None:
    def fails() -> None:
        raise ValueError("x" * 100_000)

    failure = told(fails)
    assert len(failure.message) == MAX_MESSAGE_CHARS
    assert failure.message.endswith("…")
    assert len(failure.traceback) <= MAX_TRACEBACK_CHARS


def test_an_exception_that_cannot_be_told_is_a_failure_all_the_same() -> None:
    def fails() -> None:
        raise Mute

    failure = told(fails)
    assert failure.kind == "Mute"
    assert "SystemExit" in failure.message


def test_the_cause_is_part_of_the_traceback() -> None:
    def fails() -> None:
        try:
            int("x")
        except ValueError as error:
            raise RuntimeError("no number") from error

    assert "invalid literal" in told(fails).traceback


def test_what_is_no_text_is_told_as_escapes() -> None:
    def fails() -> None:
        raise ValueError("caf\udce9")

    failure = told(fails)
    assert failure.message == "caf\\udce9"
    assert failure.traceback.endswith("ValueError: caf\\udce9\n")


async def test_the_reason_of_an_answer_is_told_whatever_it_is() -> None:
    def gives_up(reason: object) -> None:
        raise GiveUp(reason or "caf\udce9")  # type: ignore[arg-type]  # what a user may do

    async with running() as served:
        served.handlers.add("gives_up", gives_up)
        for reason, expected in ((7, "7"), (None, "caf\\udce9")):
            assert (await served.end("gives_up", reason=reason)).failure == Failure("GiveUp", expected)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e300])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidInput, match="seconds"):
        RetryAfter(seconds)


def test_answers_survive_pickling_and_copying() -> None:
    retry = RetryAfter(2, "busy")
    for again in (pickle.loads(pickle.dumps(retry)), copy.copy(retry)):
        assert (again.seconds, again.reason, str(again)) == (2.0, "busy", "busy")
    assert str(RetryAfter(1.5)) == "in 1.5 s"
    assert pickle.loads(pickle.dumps(GiveUp("no use"))).reason == "no use"


@pytest.mark.parametrize(
    "codec, payload, told_",
    [
        (0, b"", "truncated"),
        (0, b"[1]", "Expected `object`, got `array`"),
        (0, b'{"a":NaN}', "malformed"),
        (1, b"\x91\x01", "Expected `object`, got `array`"),
        (2, b"raw", "codec 2"),
    ],
)
def test_a_payload_that_names_no_arguments_is_refused(codec: int, payload: bytes, told_: str) -> None:
    with pytest.raises(InvalidInput, match="arguments") as caught:
        arguments_of(Attempt(1, 1, 1, codec, payload, "default"))
    assert told_ in str(caught.value)


def test_arguments_come_from_json_and_msgpack() -> None:
    assert arguments_of(Attempt(1, 1, 1, 0, b'{"a":1}', "default")) == {"a": 1}
    assert arguments_of(Attempt(1, 1, 1, 1, b"\x81\xa1a\x01", "default")) == {"a": 1}
