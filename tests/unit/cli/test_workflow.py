"""``wsaios workflow``: what people and programs are told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wsaios.cli import app
from wsaios.planning.workflow.schema import SCHEMA

RIGHT = "name: n\ninput: {x: {default: 1}}\nsteps:\n- {id: a, handler: fetch}\n- {id: b, model: m, depends_on: [a]}\n"
WRONG = "name: n\nsteps:\n- {id: a, handler: fetch, when: 1 +}\n- {id: b, handler: fetch, depends_on: [c]}\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["workflow", *arguments])


@pytest.fixture
def right(tmp_path: Path) -> str:
    (tmp_path / "right.yaml").write_text(RIGHT, encoding="utf-8")
    return str(tmp_path / "right.yaml")


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    (tmp_path / "wrong.yml").write_text(WRONG, encoding="utf-8")
    return str(tmp_path / "wrong.yml")


def test_a_right_definition_is_told_in_numbers(right: str) -> None:
    done = run("check", right)
    assert done.exit_code == 0
    assert ["steps", "2"] in [line.split() for line in done.stdout.splitlines()]
    found = json.loads(run("check", right, "--json").stdout)
    assert (found["valid"], found["workflow"], found["steps"], found["dependencies"]) == (True, "n", 2, 1)
    assert len(found["version"]) == 64


def test_flaws_go_to_standard_error_with_status_2(wrong: str) -> None:
    done = run("check", wrong)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{wrong}: 2 flaws in this definition" in done.stderr
    assert f"{wrong}:3:36: expression '1 +': it ends too early" in done.stderr
    assert f"{wrong}:4:40: step 'b' depends on 'c'" in done.stderr


def test_flaws_are_json_for_programs(wrong: str) -> None:
    done = run("check", wrong, "--json")
    assert done.exit_code == 2
    found = json.loads(done.stdout)
    assert not found["valid"]
    assert [(each["line"], each["column"], each["kind"]) for each in found["flaws"]] == [
        (3, 36, "expression"),
        (4, 40, "unknown-dependency"),
    ]


def test_handlers_that_are_named_are_the_only_ones(right: str) -> None:
    assert run("check", right, "--handler", "fetch").exit_code == 0
    done = run("check", right, "--handler", "fetsh")
    assert done.exit_code == 2
    assert "did you mean 'fetsh'?" in done.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run("check", str(tmp_path / "none.json"))
    assert done.exit_code == 2
    assert "No such file" in done.stderr


def test_the_schema_is_that_of_the_package() -> None:
    assert json.loads(run("schema").stdout) == SCHEMA


def test_a_drawing_says_what_it_leaves_out(right: str) -> None:
    assert run("graph", right).stdout.splitlines()[:2] == ["flowchart TD", '  s0["a<br/>fetch"]']
    done = run("graph", right, "--limit", "1")
    assert '… and 1 more step"]' in done.stdout
    assert "1 of 2 steps are left out" in done.stderr
    found = json.loads(run("graph", right, "--limit", "1", "--json").stdout)
    assert (found["left_out"], found["mermaid"].splitlines()[0]) == (1, "flowchart TD")


def test_a_package_that_is_missing_is_told_with_what_to_install(right: str) -> None:
    Path(right).write_text(RIGHT.replace("fetch}", "fetch, when: 1 > 0}"), encoding="utf-8")
    for module in ("yaml", "jsonschema_rs", "cel"):
        code = f"import sys; sys.modules[{module!r}] = None; from wsaios.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "workflow", "check", right],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert "is not installed; run: pip install '/path/to/the/clone[workflows]'" in done.stderr
