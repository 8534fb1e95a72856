"""`wsaios policy`: values that are wrong are named, and change nothing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wsaios import Client
from wsaios.cli import app


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    made = tmp_path / "work.db"
    with Client(f"sqlite:///{made}") as client:
        client.submit("any")
    return made


def policy(ledger: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["policy", *words, "--ledger", str(ledger)])


def shown(ledger: Path) -> object:
    return json.loads(policy(ledger, "--json").stdout)["policy"]


def test_a_value_that_takes_several_numbers_gets_them(ledger: Path) -> None:
    assert policy(ledger, "mlfq", "--set", "quanta_ms=4,8,16", "--set", "boost_s=2").exit_code == 0
    assert shown(ledger) == {"policy": "mlfq", "quanta_ms": [4.0, 8.0, 16.0], "boost_s": 2.0}


@pytest.mark.parametrize(
    "words, told",
    [
        (["priority", "--set", "point_s=1,2,3"], "set point_s: must be one number, such as point_s=60, not '1,2,3'"),
        (["priority", "--set", "point_s=1,"], "set point_s: must be one number, such as point_s=60, not '1,'"),
        (["priority", "--set", "point_s=two"], "set point_s: must be one number, such as point_s=60, not 'two'"),
        (["priority", "--set", "point_s=1", "--set", "point_s=2"], "set point_s: is set twice"),
        (["mlfq", "--set", "quanta_ms=8,,32"], "must be numbers with commas between, such as quanta_ms=8,32,128"),
        (["mlfq", "--set", "boost_s=1,2"], "set boost_s: must be one number"),
    ],
)
def test_a_value_of_another_form_is_refused_and_changes_nothing(ledger: Path, words: list[str], told: str) -> None:
    assert policy(ledger, "priority", "--set", "point_s=30").exit_code == 0
    before = shown(ledger)
    done = policy(ledger, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert shown(ledger) == before
