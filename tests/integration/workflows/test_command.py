"""``wsaios workflow``: runs from the command line, with and without a scheduler that lives on the ledger."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wsaios import AsyncClient, Scheduler
from wsaios.kernel.errors import NoOwner, RunFailed

TOOLS = """
import pathlib

def square(n):
    return n * n

def add(numbers):
    if pathlib.Path("broken").exists():
        raise ValueError("broken")
    return sum(numbers)
"""
FLOW = """
name: squares
input: {numbers: {type: array, default: [1, 2, 3]}, word: {type: string, default: x}}
steps:
- {id: each, handler: "workshop:square", foreach: input.numbers, args: {n: "${item}"}}
- {id: add, handler: "workshop:add", args: {numbers: "${steps.each.result}"}, depends_on: [each], max_attempts: 1}
output: {sum: "${steps.add.result}", word: "${input.word}"}
"""


class Shell:
    """A folder with a definition, its handlers and a ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/work.db"
        (folder / "workshop.py").write_text(TOOLS, encoding="utf-8")
        (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")

    def __call__(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wsaios", "workflow", *arguments],
            check=False,
            cwd=self.folder,
            env={**os.environ, "WSAIOS_LEDGER": self.url},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout if not status else done.stdout + done.stderr

    def json(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", status=status).splitlines()[0])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_run_shows_its_steps_and_what_it_gives_back(shell: Shell) -> None:
    told = shell("run", "flow.yaml", "--input", "numbers=[3,4]", "--input", "word=12")
    assert json.loads(told.splitlines()[-1]) == {"sum": 25, "word": "12"}
    lines = told.splitlines()
    assert any(line.startswith("each ") and "succeeded" in line and "2 of 2" in line for line in lines)
    assert lines[-2].startswith("critical path: each (")
    (view,) = shell.json("list")
    shown = shell.json("show", view["id"])
    assert [step["state"] for step in shown["steps"]] == ["succeeded", "succeeded"]
    assert shell("graph", view["id"]).startswith("flowchart TD")
    assert "'nothing' is not declared" in shell("run", "flow.yaml", "--input", "nothing=1", status=2)
    assert "NAME=VALUE" in shell("run", "flow.yaml", "--input", "nothing", status=2)


def test_what_failed_is_run_again_by_the_command_itself(shell: Shell) -> None:
    (shell.folder / "broken").touch()
    failed = shell.json("run", "flow.yaml", status=1)
    run_id = failed["run"]["id"]
    assert failed["run"]["failure"]["message"] == "step 'add' failed: ValueError: broken"
    (shell.folder / "broken").unlink()
    done = shell.json("retry", run_id)
    assert done["result"] == {"sum": 14, "word": "x"}
    assert "name a step to begin from" in shell("retry", run_id, status=2)
    assert shell.json("retry", run_id, "--from", "each")["run"]["tries"] == 2


def test_a_run_that_was_left_goes_on_by_its_id(shell: Shell) -> None:
    run_id = shell.json("run", "flow.yaml", "--detach")["run"]["id"]
    shown = shell.json("show", run_id)
    assert (shown["run"]["state"], shown["steps"][0]["state"]) == ("running", "pending")
    assert "only a scheduler carries runs on" in shell("cancel", run_id, status=75)
    assert shell.json("run", run_id)["result"]["sum"] == 14


async def test_a_client_begins_a_run_of_a_scheduler_in_another_process(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shell.folder)
    (shell.folder / "ask.yaml").write_text(
        FLOW.replace("output:", "- {id: ok, wait_for: {event: ok}, depends_on: [add]}\noutput:"), encoding="utf-8"
    )
    async with Scheduler(shell.url), AsyncClient(shell.url) as client:
        run = await client.run_workflow(shell.folder / "ask.yaml", input={"word": "far"}, tenant="acme")
        while (await run.steps())[-1].state != "waiting":
            pass
        assert (await client.runs(["running"]))[0].tenant == "acme"
        assert await client.signal("ok", run=run) == 1
        assert await run.result(20) == {"sum": 14, "word": "far"}
        assert await run.retry(from_step="ok") == "running"
        assert await run.pause() == "paused"
        assert await run.resume() == "running"
        assert await run.cancel() == "cancelled"
        with pytest.raises(RunFailed, match="cancelled"):
            await run.result(20)
    async with AsyncClient(shell.url) as client:
        assert (await client.run_status(run.id)).state == "cancelled"
        with pytest.raises(NoOwner):
            await client.signal("ok", run=run)


def test_versions_are_published_compared_and_taken_back(shell: Shell) -> None:
    assert shell.json("publish", "flow.yaml", "--note", "the first")["number"] == 1
    (shell.folder / "flow.yaml").write_text(FLOW.replace('"${input.word}"', "new"), encoding="utf-8")
    assert shell.json("publish", "flow.yaml")["number"] == 2
    assert shell.json("run", "squares")["result"] == {"sum": 14, "word": "new"}
    told = shell("diff", "squares@1", "squares")
    assert '-    "word": "${input.word}"' in told.splitlines()
    assert '+    "word": "new"' in told.splitlines()
    assert shell("diff", "squares@2", "flow.yaml") == "they are the same\n"
    rows = shell.json("rollback", "squares", "v1")["versions"]
    assert [(row["number"], row["share"], row["note"]) for row in rows] == [(2, 0, ""), (1, 100, "the first")]
    shared = shell("route", "squares", "v1=90", "v2=10")
    assert [line.split()[2] for line in shared.splitlines()[1:]] == ["10%", "90%"]
    assert "is not of the form" in shell("route", "squares", "v1", status=2)
    assert "no workflow of this name" in shell("versions", "nobody", status=2)
