"""Runs that a scheduler cannot go on with as they were left: what runs of them is waited for, and others go on."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.embedded.test_faults import Faults
from tests.integration.workflows.conftest import Site, until
from wsaios import Workflow
from wsaios.expressions import cel
from wsaios.kernel.errors import MissingExtra, NotPossible, Unacknowledged
from wsaios.kernel.task import Failure
from wsaios.planning.workflow.definition import OnFailure

SOON = 20.0


@pytest.mark.parametrize("on_failure", ["fail", "continue"])
async def test_items_that_run_are_waited_for_when_the_next_ones_cannot_begin(
    site: Site, on_failure: OnFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> Any:
        raise MissingExtra("CEL, the language of expressions,", "workflows")

    first = await site.open()
    site.gate.clear()
    flow = Workflow("half", input={"xs": {"type": "array", "default": [1, 2, 3, 4]}})
    args = {"value": "${item + 1}"}
    flow.step("each", handler="held", foreach="input.xs", args=args, max_parallel=2, on_failure=on_failure)
    run = await first.run_workflow(flow)
    await until(run, lambda _: len(site.calls) == 2)
    await first.stop()

    with monkeypatch.context() as patch:
        patch.setattr(cel, "_library", gone)
        second = await site.open()
        (left,) = await second.runs()
        while not (step := (await second.run_steps(left.id))[0]).failed:
            assert step.state != "failed"
        assert step.items == 4
        site.gate.set()
        ended = await second.run_end(left.id, timeout_s=SOON)
        (step,) = await second.run_steps(left.id)
        assert step.state == "failed"
        assert "CEL, the language of expressions, is not installed; run: pip install" in str(step.failure)
        if on_failure == "fail":
            assert ended.state == "failed"
            assert ended.failure is not None
            assert "step 'each' failed: step 'each', CEL" in ended.failure.message
        else:
            assert await second.run_result(left.id) == {"each": [2, 3, None, None]}
        totals = await second._parts.service.totals()  # noqa: SLF001  # what the ledger itself counts
        assert sum(totals.live.values()) == 0
        await second.stop()

    third = await site.open()
    assert await third.retry(left.id) == "running"
    assert await third.run_result(left.id, timeout_s=SOON) == {"each": [2, 3, 4, 5]}


@pytest.mark.parametrize("step", [{}, {"foreach": "['fine', 'bad']"}])
@pytest.mark.parametrize("restarts", [False, True])
async def test_why_a_run_failed_is_told_in_the_same_words_after_the_core_was_built_anew(
    site: Site, restarts: bool, step: dict[str, Any]
) -> None:
    first = await site.open()
    site.gate.clear()
    site.fail.add("bad")
    flow = Workflow("fails")
    flow.step("long", handler="held")
    args = {"value": "${item}" if step else "bad"}
    flow.step("a", handler="echo", args=args, max_attempts=1, **step)
    run = await first.run_workflow(flow)
    await until(run, lambda steps: steps["a"].failed or steps["a"].state == "failed")
    told = (await run.status()).failure
    if restarts:
        await first.stop()
        first = await site.open()
    else:
        faults = Faults(first)
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        with pytest.raises(Unacknowledged):
            await first.submit("echo")
    site.gate.set()
    ended = await first.run_end(run.id, timeout_s=SOON)
    why = f"step 'a' failed: {'item 1: ' if step else ''}ValueError: no bad"
    assert (ended.state, ended.failure) == ("failed", Failure("StepFailed", why))
    assert told == ended.failure
    site.fail.clear()
    assert await first.retry(run.id) == "running"
    again = await first.run_end(run.id, timeout_s=SOON)
    assert (again.state, again.failure) == ("succeeded", None)


@pytest.mark.parametrize(
    "spoil, told",
    [
        ("UPDATE step SET data = '{\"items\": 1' WHERE run = :run AND state = 2", "its steps cannot be read"),
        ("UPDATE definition SET content = x'7b' WHERE name = 'bad'", "its definition cannot be read"),
        ("DELETE FROM definition WHERE name = 'bad'", "its definition is not in the ledger"),
    ],
)
async def test_a_run_that_cannot_be_read_does_not_keep_others_from_going_on(
    tmp_path: Path, spoil: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(f"sqlite:///{tmp_path}/work.db")
    try:
        first = await site.open()
        site.gate.clear()
        runs = []
        for name in ("good", "bad", "fine"):
            flow = Workflow(name)
            flow.step("each", handler="held", foreach=f"['{name}', 'x']", args={"value": "${item}"}, max_parallel=1)
            runs.append(await first.run_workflow(flow))
        await until(runs[-1], lambda _: len(site.calls) == 3)
        await first.stop()
        bad = runs[1].id
        with closing(sqlite3.connect(tmp_path / "work.db")) as base, base:
            (number,) = base.execute("SELECT id FROM run WHERE name = 'bad'").fetchone()
            assert base.execute(spoil, {"run": number} if ":run" in spoil else {}).rowcount == 1
        site.gate.set()
        second = await site.open()
        for run in (runs[0], runs[2]):
            assert (await second.run_end(run.id, timeout_s=SOON)).state == "succeeded"
        with pytest.raises(NotPossible, match=told):
            await second.cancel(bad)
        assert (await second.run_status(bad)).state == "running"
        assert f"a run cannot go on, and stays where it is run='{bad}' reason='{told}" in capsys.readouterr().err
    finally:
        await site.close()


async def test_a_run_that_cannot_be_read_is_not_tried_again_and_says_why(tmp_path: Path) -> None:
    site, path = Site(f"sqlite:///{tmp_path}/work.db"), tmp_path / "work.db"

    def spoil(data: str) -> str:
        with closing(sqlite3.connect(path)) as base, base:
            (was,) = base.execute("SELECT data FROM step WHERE state = 2").fetchone()
            base.execute("UPDATE step SET data = ? WHERE state = 2", (data,))
        return str(was)

    try:
        first = await site.open()
        site.fail.add("bad")
        flow = Workflow("fails")
        flow.step("each", handler="echo", foreach="['fine', 'bad']", args={"value": "${item}"}, max_attempts=1)
        run = await first.run_workflow(flow)
        assert (await first.run_end(run.id, timeout_s=SOON)).state == "failed"
        await first.stop()
        good = spoil('{"items": 1')
        second = await site.open()
        core = second._parts.loop.core  # noqa: SLF001  # nothing else says that it was built anew
        told = await asyncio.gather(*(second.retry(run.id) for _ in range(2)), return_exceptions=True)
        assert [type(each) for each in told] == [NotPossible] * 2
        assert "its steps cannot be read: DecodeError" in str(told[0])
        assert second._parts.loop.core is core  # noqa: SLF001  # as above
        assert (await second.run_status(run.id)).state == "failed"
        await second.stop()
        site.fail.clear()
        spoil(good)
        third = await site.open()
        assert await third.retry(run.id) == "running"
        assert await third.run_result(run.id, timeout_s=SOON) == {"each": ["fine", "bad"]}
        assert (await third.run_status(run.id)).tries == 1
    finally:
        await site.close()
