"""Triggers that start workflows: declared in code, by clients and on the command line, on both databases."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.integration.workflows.conftest import Site
from wsaios import AsyncClient, Scheduler, Workflow
from wsaios.cli import app
from wsaios.kernel.errors import InvalidInput, RunFailed, UnknownWorkflow
from wsaios.kernel.ids import decode
from wsaios.sdk.handles import Run

SOON = 20.0


def greeting(text: str = "hello", handler: str = "echo") -> Workflow:
    flow = Workflow("greeting", input={"who": {"type": "string"}}, output="${steps.greet.result}")
    flow.step("greet", handler=handler, args={"value": text + " ${input.who}"})
    return flow


async def last(scheduler: Scheduler, name: str) -> Run:
    """The run that a trigger began last."""
    return Run(scheduler, decode((await scheduler.triggers.get(name)).last_started or "", "run"))


async def test_events_and_times_begin_runs_of_the_version_that_new_runs_get(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.publish(greeting())
    view = await scheduler.triggers.on_event("came", workflow="greeting", input={"who": "${ event.data }"})
    assert (view.name, view.state) == ("greeting", "active")
    await scheduler.triggers.cron("0 3 * * *", workflow="greeting", input={"who": "night"}, name="nightly", priority=3)
    await scheduler.emit("came", "Ann")
    first = await last(scheduler, "greeting")
    assert await first.result(SOON) == "hello Ann"
    await scheduler.publish(greeting("good morning"))
    await scheduler.triggers.fire("nightly")
    run = await last(scheduler, "nightly")
    assert await run.result(SOON) == "good morning night"
    view_of = await run.status()
    assert (view_of.workflow, view_of.priority) == ("greeting", 3)
    assert view_of.version != (await first.status()).version


async def test_what_code_declares_goes_on_over_a_restart_and_waits_for_its_workflow(site: Site) -> None:
    first = Scheduler(site.url, grace_s=0.1)
    first.on_event("came", workflow="greeting", input={"who": "${ event.data }"}, overlap="queue")
    async with first:
        first.add_handler("held", site._held)  # noqa: SLF001  # a handler of the site that waits
        await first.flush()
        view = await first.triggers.get("greeting")
        assert (view.state, view.fault) == ("broken", "workflow 'greeting': no workflow of this name was published")
        await first.publish(greeting(handler="held"))
        assert (await first.triggers.get("greeting")).state == "active"
        site.gate.clear()
        for name in ("Ann", "Bob"):
            await first.emit("came", name)
        assert (await first.triggers.get("greeting")).waiting == 1
    second = await site.open()
    site.gate.set()
    while (await second.triggers.get("greeting")).fired < 2:  # noqa: ASYNC110  # nobody is told of a firing
        await asyncio.sleep(0.01)
    assert await (await last(second, "greeting")).result(SOON) == "hello Bob"
    assert [run.state for run in await second.runs()] == ["succeeded"] * 2


async def test_what_could_begin_no_run_is_refused_and_declares_nothing(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.publish(greeting())
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"workflow": "nobody"}, UnknownWorkflow, "'nobody': no workflow of this name was published"),
        ({"workflow": "greeting", "input": {"who": 5}}, InvalidInput, "'who': 5 is not of type"),
        ({"workflow": "greeting", "input": {}}, InvalidInput, "'who' is missing"),
        ({"workflow": "greeting"}, InvalidInput, "'who' is missing"),
        ({"workflow": "greeting", "input": {"who": "x", "y": "${ 1 }"}}, InvalidInput, "'y' is not declared"),
        ({"workflow": "greeting", "input": ["x"]}, InvalidInput, "input: must be a mapping"),
        ({"workflow": "greeting", "input": {"who": "${ event.data }"}}, InvalidInput, "there is no 'event' here"),
        ({"workflow": "greeting", "rows": []}, InvalidInput, "rows: a workflow has none"),
        ({"workflow": "greeting", "lane": "default"}, InvalidInput, "lane: no such option of a run"),
        ({"workflow": "greeting", "idempotency_key": "k"}, InvalidInput, "idempotency_key: no such option"),
        ({"workflow": 5}, InvalidInput, "workflow: must be 1 to 200"),
        ({}, InvalidInput, "handler: name a handler, or a published workflow"),
    ]
    for options, kind, told in refused:
        with pytest.raises(kind, match=told):
            await scheduler.triggers.cron("0 3 * * *", **options)
    with pytest.raises(InvalidInput, match="either a handler or a workflow"):
        await scheduler.triggers.cron("0 3 * * *", "echo", workflow="greeting")
    assert await scheduler.triggers.list() == []


async def test_data_that_does_not_fit_is_a_failed_run(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.publish(greeting())
    await scheduler.triggers.on_event("came", workflow="greeting", name="t")
    await scheduler.emit("came", {"who": 5})
    run = await last(scheduler, "t")
    with pytest.raises(RunFailed, match="'who': 5 is not of type"):
        await run.result(SOON)
    assert [step.state for step in await run.steps()] == ["pending"]
    view = await scheduler.triggers.get("t")
    assert (view.fired, view.running) == (1, False)
    assert "'who'" in view.fault
    await scheduler.emit("came", {"who": "Ann"})
    assert await (await last(scheduler, "t")).result(SOON) == "hello Ann"
    assert (await scheduler.triggers.get("t")).fault == ""


async def test_what_a_workflow_calls_is_imported_when_a_trigger_begins_its_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "triggered_work.py").write_text("def greet(value):\n    return value.upper()\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scheduler = await site.open()
    async with AsyncClient(site.url) as client:
        await client.publish(greeting(handler="triggered_work:greet"))
        await client.triggers.on_event("came", workflow="greeting", input={"who": "${ event.data }"}, name="t")
        with pytest.raises(UnknownWorkflow):
            await client.triggers.on_event("came", workflow="nobody")
        await client.emit("came", "Ann")
    assert await (await last(scheduler, "t")).result(SOON) == "HELLO ANN"


async def test_what_could_not_be_imported_is_tried_again_with_the_next_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    work = f"late_work_of_{site.url.partition(':')[0]}"
    scheduler = await site.open()
    await scheduler.publish(greeting(handler=f"{work}:greet"))
    await scheduler.triggers.on_event("came", workflow="greeting", input={"who": "${ event.data }"}, name="t")
    await scheduler.emit("came", "Ann")
    first = await last(scheduler, "t")
    while "not all that an unfinished run calls is here" not in capsys.readouterr().err:  # noqa: ASYNC110  # it is logged
        await asyncio.sleep(0.01)
    (tmp_path / f"{work}.py").write_text("def greet(value):\n    return value.upper()\n", encoding="utf-8")
    await scheduler.emit("came", "Bob")
    assert await (await last(scheduler, "t")).result(SOON) == "HELLO BOB"
    assert await first.result(SOON) == "HELLO ANN"


async def test_a_client_declares_and_emits_while_nobody_runs(site: Site) -> None:
    await (await site.open()).stop()
    async with AsyncClient(site.url) as client:
        await client.publish(greeting())
        with pytest.raises(InvalidInput, match="'who' is missing"):
            await client.triggers.cron("0 3 * * *", workflow="greeting")
        await client.triggers.on_event("came", workflow="greeting", input={"who": "${ event.data }"}, name="t")
        await client.emit("came", "Ann")
    scheduler = await site.open()
    await scheduler.flush()
    while not (await scheduler.triggers.get("t")).fired:  # noqa: ASYNC110  # nobody is told of a firing
        await asyncio.sleep(0.01)
    assert await (await last(scheduler, "t")).result(SOON) == "hello Ann"


def test_the_command_line_declares_shows_and_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSAIOS_LEDGER", f"sqlite:///{tmp_path}/work.db")
    monkeypatch.chdir(tmp_path)

    def told(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == code, done.output
        return done.output

    (tmp_path / "greeting.json").write_text(greeting().to_json(), encoding="utf-8")
    add = ("trigger", "add", "--cron", "0 3 * * *", "--workflow", "greeting")
    assert "no workflow of this name was published" in told(*add, code=2)
    told("workflow", "publish", "greeting.json")
    assert "'who' is missing" in told(*add, code=2)
    assert "--input: must be NAME=VALUE" in told(*add, "--input", "who", code=2)
    assert 'a run of greeting {"who":"you"}' in told(*add, "--input", "who=you", "--set", "priority=3")
    assert "workflow greeting" in told("trigger", "list")
    (found,) = json.loads(told("trigger", "list", "--json"))
    assert found["spec"]["start"] == {
        "start": "workflow",
        "workflow": "greeting",
        "input": {"who": "you"},
        "options": {"priority": 3},
    }
