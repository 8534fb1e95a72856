"""One run of a system: what it tells is read, and nothing of it is left, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from benchmarks import beside, contest, keeper
from benchmarks.processes import Failed
from benchmarks.servers import Servers
from benchmarks.systems import ACROSS, System
from benchmarks.usage import tree_s
from tests.architecture.modules import ROOT

WORKER = """
import os, signal, sys, time
def stubborn(where):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(where, "w").write(str(os.getpid()))
    time.sleep(60)
if not os.fork():
    stubborn("grandchild.pid")
open("worker.pid", "w").write(str(os.getpid()))
time.sleep(60)
"""
CLIENT = """
import json, os, time
told = json.loads(os.environ["BENCH_TOLD"])
open("client.pid", "w").write(str(os.getpid()))
while not (os.path.exists("worker.pid") and os.path.exists("grandchild.pid")):
    time.sleep(0.01)
print("a library says hello", flush=True)
def say(**facts): print(json.dumps(facts), flush=True)
say(event="ready", system="fake 1", durability="none", survives=False)
if told["end"] == "well":
    time.sleep(0.05)
    say(event="done", right=told["n"], submit_s=0.5, total_s=2.0)
elif told["end"] == "wrong":
    say(event="done", right=told["n"] - 1, submit_s=0.5, total_s=2.0)
elif told["end"] == "badly":
    raise SystemExit("no such table")
time.sleep(60)
"""

BUSY = """
import os
if not os.fork():
    sum(range(3_000_000))
    os._exit(0)
os.wait()
print(flush=True)
input()
"""
DYING = """
import os, time
while not os.path.exists("client.pid"):
    time.sleep(0.01)
raise SystemExit(7)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def pids(folder: Path) -> list[int]:
    return [int((folder / f"{name}.pid").read_text()) for name in ("worker", "grandchild", "client")]


def fake(name: str, end: str) -> System:
    return System(name, ACROSS, "a fake", 100, module="fake", worker=("python", "-c", WORKER), told={"end": end})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder; the systems' environment is this one, with a client of its own, and patience is short."""
    programs = tmp_path / "environment" / "bin"
    programs.mkdir(parents=True)
    client = tmp_path / "client.py"
    client.write_text(CLIENT, encoding="utf-8")
    # It is asked for the client as `python -m …`, for the worker as `python -c …`.
    program = programs / "python"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] && exec {sys.executable} {client}\nexec {sys.executable} "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setattr(contest, "PEERS", programs.parent)
    monkeypatch.setenv("BENCH_GRACE_S", "0.2")
    monkeypatch.setattr(keeper, "GRACE_S", 0.2)
    work = tmp_path / "work"
    work.mkdir()
    return work


def test_a_run_that_ends_well_is_timed_by_its_client_and_nothing_is_left(folder: Path) -> None:
    with Servers() as servers:
        outcome = contest.run(fake("fake", "well"), folder, servers, timeout_s=20)
    assert outcome.sample.values["per_s"] == [50.0]
    assert outcome.sample.values["submit_per_s"] == [200.0]
    assert (outcome.system, outcome.durability, outcome.survives) == ("fake 1", "none", False)
    assert outcome.sample.disk is not None
    assert not any(alive(pid) for pid in pids(folder))


@pytest.mark.parametrize("end,says", [("wrong", "99 of 100 results of fake were right"), ("badly", "no such table")])
def test_a_run_that_ends_otherwise_says_how_and_nothing_is_left(folder: Path, end: str, says: str) -> None:
    with Servers() as servers, pytest.raises(Failed, match=says):
        contest.run(fake("fake", end), folder, servers, timeout_s=20)
    assert not any(alive(pid) for pid in pids(folder))


def test_a_run_that_never_ends_is_ended(folder: Path) -> None:
    with Servers() as servers, pytest.raises(Failed, match=r"fake took more than 0\.7 s"):
        contest.run(fake("fake", "never"), folder, servers, timeout_s=0.7)
    assert not any(alive(pid) for pid in pids(folder))


def test_a_worker_that_dies_ends_its_run_at_once(folder: Path) -> None:
    system = System("fake", ACROSS, "a fake", 100, module="fake", worker=("python", "-c", DYING))
    with Servers() as servers, pytest.raises(Failed, match="the worker of fake ended with 7"):
        contest.run(msgspec.structs.replace(system, told={"end": "never"}), folder, servers, timeout_s=60)
    assert not alive(int((folder / "client.pid").read_text()))


def test_what_cannot_even_be_prepared_says_so(folder: Path) -> None:
    system = msgspec.structs.replace(fake("fake", "well"), before=("absent", "schema"))
    with Servers() as servers, pytest.raises(Failed, match=r"absent schema could not be run: .*No such file"):
        contest.run(system, folder, servers, timeout_s=20)


def test_one_that_fails_is_told_and_the_others_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(beside, "_prepare", lambda _: {"absent": "it could not be installed"})
    rows = [fake("broken", "badly"), fake("absent", "well"), fake("whole", "well")]
    assert beside.measure(rows, 2, folder, tmp_path) == 1
    report = msgspec.json.decode(next(tmp_path.glob("*-peers.json")).read_bytes(), type=beside.Report)
    assert {row.name: len(row.runs) for row in report.rows} == {"broken": 0, "absent": 0, "whole": 2}
    assert "no such table" in report.failed["broken"]
    text = next(tmp_path.glob("*-peers.md")).read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "absent could not be measured: it could not be installed" in text
    assert next(tmp_path.glob("*-peers.svg")).read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_harness_that_is_killed_alone_or_with_its_group(folder: Path, how: signal.Signals) -> None:
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from benchmarks import contest
        from benchmarks.servers import Servers
        from tests.integration.benchmarks.test_contest import fake
        contest.PEERS = Path({str(contest.PEERS)!r})
        with Servers() as servers:
            contest.run(fake("fake", "never"), Path({str(folder)!r}), servers, timeout_s=60)
    """)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    harness = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=ROOT, start_new_session=True)
    until = time.monotonic() + 30
    while not (folder / "client.pid").exists() or not (folder / "grandchild.pid").exists():
        assert time.monotonic() < until, "it did not start"
        assert harness.poll() is None
        time.sleep(0.02)
    if how == signal.SIGKILL:
        harness.kill()
    else:
        os.killpg(harness.pid, how)
    harness.wait()
    those = pids(folder)
    while any(alive(pid) for pid in those):
        assert time.monotonic() < until, f"{[pid for pid in those if alive(pid)]} outlived it"
        time.sleep(0.02)


def test_what_somebody_stopped_is_ended_all_the_same(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w") as log:
        kept = keeper.Kept([sys.executable, "-c", WORKER], env=environment, folder=folder, out=log, err=log)
    until = time.monotonic() + 30
    while not ((folder / "worker.pid").exists() and (folder / "grandchild.pid").exists()):
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.02)
    those = [kept.pid, *(int((folder / f"{name}.pid").read_text()) for name in ("worker", "grandchild"))]
    for pid in those:
        os.kill(pid, signal.SIGSTOP)
    kept.stop()
    while any(alive(pid) for pid in those):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_processor_time_counts_everything_below_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert tree_s(process.pid) > 0.02
        assert tree_s(os.getpid()) >= tree_s(process.pid)
        process.kill()
