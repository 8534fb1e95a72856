"""``wsaios simulate``: what people and programs are told."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wsaios.cli import app

ROWS = "arrival,service,class,priority\n0,4,slow,0\n1,3,slow,0\n2,1,fast,20\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments])


@pytest.fixture
def trace(tmp_path: Path) -> str:
    (tmp_path / "trace.csv").write_text(ROWS, encoding="utf-8")
    return str(tmp_path / "trace.csv")


def test_policies_stand_beside_each_other(trace: str) -> None:
    done = run(trace, "--policy", "fcfs,priority", "--slots", "1", "--slo-ms", "3000")
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    fast = {row[0]: row for row in rows if row[1:3] == ["fast", "1"]}
    assert (fast["fcfs"][3], fast["priority"][3]) == ("5.000", "2.000")
    assert (fast["fcfs"][-1], fast["priority"][-1]) == ("0.0%", "100.0%")


def test_the_same_seed_gives_the_same_bytes(trace: str, tmp_path: Path) -> None:
    reports = [tmp_path / "one.html", tmp_path / "two.html"]
    options = ("--policy", "fcfs,mlfq,deadline", "--slots", "1", "--json", "--seed", "7", "--fair-share")
    told = [run(trace, *options, "--out", str(report)) for report in reports]
    assert told[0].exit_code == 0
    assert told[0].stdout == told[1].stdout
    assert reports[0].read_bytes() == reports[1].read_bytes()
    found = json.loads(told[0].stdout)
    assert [each["policy"] for each in found["policies"]] == ["fcfs", "mlfq", "deadline"]


def test_the_report_needs_nothing_else(trace: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run(trace, "--out", str(out)).exit_code == 0
    text = out.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert not re.search(r"https?:|<script|src=|href=| style=", text)
    assert "default-src 'none'; style-src 'sha256-" in text


@pytest.mark.parametrize(
    "arguments, what",
    [
        ((), "TRACE: name a file, or a ledger"),
        (("TRACE", "--from-ledger", "x.db"), "not both"),
        (("--from-ledger", "nowhere.db"), "there is no such ledger"),
        (("TRACE", "--policy", "fcfz"), "did you mean 'fcfs'"),
        (("TRACE", "--policy", ","), "--policy: name at least one"),
        (("TRACE", "--model-ms", "1,2"), "must be three numbers"),
        (("TRACE", "--model-ms", "1,2,x"), "not 'x'"),
        (("TRACE", "--class-by", "size"), "must be context or service"),
        (("TRACE", "--priority", "fast"), "must be CLASS=NUMBER"),
        (("TRACE", "--priority", "fast=900"), "from -100 to 100"),
        (("TRACE", "--priority", "fast=1", "--priority", "fast=2"), "names 'fast' twice"),
        (("TRACE", "--deadline", "swift=1"), "class 'swift': there is none, only fast, slow"),
        (("TRACE", "--out", "nowhere/at/all.html"), "name another file"),
    ],
)
def test_what_cannot_be_done_is_told(trace: str, arguments: tuple[str, ...], what: str) -> None:
    done = run(*(trace if each == "TRACE" else each for each in arguments))
    assert done.exit_code == 2
    assert what in done.stderr
