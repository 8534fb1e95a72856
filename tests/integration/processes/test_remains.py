"""What handlers say that no frame can carry, and what they leave behind in their worker."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.processes import forking
from tests.integration.processes.test_workers import left, lost
from tests.unit.engines.local.running import Running, running
from wsaios.kernel.engine import Verdict
from wsaios.kernel.task import Failure, LaneSpec


@asynccontextmanager
async def workers() -> AsyncIterator[Running]:
    async with running(lanes={"pool": LaneSpec("pool", 1, "process")}) as served:
        for name in ("fail", "no_time", "alarm", "log", "close", "speak"):
            served.handlers.add(name, getattr(forking, name), lane="pool")
        yield served


async def failure(served: Running, name: str, **arguments: str) -> Failure:
    end = await served.end(name, **arguments)
    assert (end.failure is not None, lost(served)) == (True, [])
    assert end.failure is not None
    return end.failure


async def test_words_that_are_no_text_arrive_as_escapes() -> None:
    async with workers() as served:
        raised = await failure(served, "fail", how="raise")
        assert (raised.kind, raised.message) == ("ValueError", "no file caf\\udce9")
        assert raised.traceback.endswith("ValueError: no file caf\\udce9\n")
        assert await failure(served, "fail", how="give up") == Failure("GiveUp", "caf\\udce9")
        assert (await failure(served, "fail", how="return")).message == "caf\\udce9"


async def test_an_answer_that_cannot_be_sent_is_a_failure() -> None:
    async with workers() as served:
        end = await served.end("no_time")
        assert (end.verdict, lost(served)) == (Verdict.FAILED, [])
        assert end.failure is not None
        assert end.failure.kind == "AnswerNotSent"
        assert "OverflowError" in end.failure.message


async def test_a_worker_ends_that_something_left_behind_breaks_although_a_thread_lives() -> None:
    async with workers() as served:
        await served.value("alarm")
        await left(served, 0)
        assert await served.value("speak", text="well") > 0


async def test_what_cannot_be_logged_as_it_is_is_logged_as_its_repr(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = io.StringIO()
    async with workers() as served:
        monkeypatch.setattr("sys.stdout", out)
        assert await served.value("log") == "logged"
    monkeypatch.undo()
    said = out.getvalue()
    for words in (f"many={2**70}", f"{2**70}", "[[...]]", "(its __repr__ raised ValueError)", "odd=caf\\udce9"):
        assert words in said
    assert "caf\\udce9=\"{'caf" in said
    assert [(record.name, record.message) for record in caplog.records] == [("caf\\udce9", "named")]


@pytest.mark.parametrize("what", ["streams", "buffer", "descriptors"])
async def test_what_a_handler_closes_is_there_for_the_next_one(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    async with workers() as served:
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        worker = await served.value("close", what=what)
        assert await served.value("speak", text="after it") == worker
    monkeypatch.undo()
    assert (out.getvalue(), err.getvalue()) == ("after it\n", "after it\n")
