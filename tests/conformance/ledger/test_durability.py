"""What a killed owner leaves behind; only for ledgers with a file."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.ledger.desk import NOW_US, Desk
from tests.conformance.ledger.victim import age, before, fatal, prune
from wsaios.kernel.failpoints import CLOSING, FAILPOINTS, OPENING, PRUNING
from wsaios.kernel.ledger import Commit, DependentsOf, IdempotencyOf
from wsaios.ledger.sqlite import SqliteLedger

ROOT = Path(__file__).parents[3]
PLACES = [place for place in FAILPOINTS if place.startswith("ledger.")]
# Commits before the fatal one reach these places too: how often.
EARLIER = {
    "begin": 3,
    "owner": 3,
    "shards": 1,
    "batches": 1,
    "accepted": 1,
    "payloads": 1,
    "ended": 1,
    "links": 1,
    "releases": 1,
    "facts": 1,
    "before_commit": 3,
    "after_commit": 3,
}


def _victim(ledger: Path, *act: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.ledger.victim", str(ledger), *act],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _picture(desk: Desk) -> dict[str, Any]:
    """Everything that can be asked."""
    reads = desk.ledger.reads()
    told = desk.ledger.commit(
        Commit(
            desk.epoch,
            desk.now_us,
            questions=[DependentsOf(2, 99), IdempotencyOf((("t", "k"),), NOW_US)],
            fetch=list(range(20)),
        )
    )
    views = [reads.task_view(number) for number in range(20)]
    return {"views": views, "told": told, "batches": reads.batch_list(99), "totals": reads.totals().live}


def _expected(folder: Path, *steps: Any) -> tuple[dict[str, Any], Any]:
    folder.mkdir(exist_ok=True)
    path = folder / f"expected{len(steps)}.db"
    ledger = SqliteLedger(path)
    desk = Desk(ledger)
    for step in steps:
        step(desk)
    ledger.close()
    return _after(path)


def _after(path: Path) -> tuple[dict[str, Any], Any]:
    ledger = SqliteLedger(path)
    desk = Desk(ledger)
    opening = desk.opening
    found = _picture(desk), (opening.shards, opening.batches, opening.running, opening.releases, opening.facts)
    problems = ledger.check()
    ledger.close()
    assert problems == [], "the ledger contradicts itself"
    return found


@pytest.mark.parametrize("place", PLACES)
def test_a_commit_is_there_as_a_whole_or_not_at_all(tmp_path: Path, place: str) -> None:
    hit = EARLIER.get(place.removeprefix("ledger."), 0) + 1
    with _victim(tmp_path / "work.db", WSAIOS_FAILPOINT=f"{place}@{hit}") as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    written = place == "ledger.after_commit"
    assert _after(tmp_path / "work.db") == _expected(tmp_path, before, *([fatal] if written else []))


@pytest.mark.parametrize("place", PRUNING)
def test_a_step_of_pruning_is_there_as_a_whole_or_not_at_all(tmp_path: Path, place: str) -> None:
    with _victim(tmp_path / "work.db", "prune", WSAIOS_FAILPOINT=place) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    last, other = (prune, age) if place == "prune.after_commit" else (age, prune)
    assert _after(tmp_path / "work.db") == _expected(tmp_path, before, fatal, last)
    assert _after(tmp_path / "work.db") != _expected(tmp_path / "other", before, fatal, other)


@pytest.mark.parametrize("place", CLOSING)
def test_a_death_while_closing_loses_nothing(tmp_path: Path, place: str) -> None:
    with _victim(tmp_path / "work.db", "close", WSAIOS_FAILPOINT=place) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    assert _after(tmp_path / "work.db") == _expected(tmp_path, before, fatal)


@pytest.mark.parametrize("place", OPENING)
def test_a_death_while_opening_leaves_what_was_there(tmp_path: Path, place: str) -> None:
    steps: list[Any] = [] if place == "open.migrating" else [before, fatal]
    if steps:
        with _victim(tmp_path / "work.db", "close") as process:
            process.communicate(timeout=60)
    with _victim(tmp_path / "work.db", "open", WSAIOS_FAILPOINT=place) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    assert _after(tmp_path / "work.db") == _expected(tmp_path, *steps)


def test_every_place_between_two_writes_is_reached(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with _victim(tmp_path / "work.db", WSAIOS_FAILPOINT_TRACE=str(trace)) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(trace.read_text().split()) == sorted([*OPENING, *PLACES])


def test_a_killed_owner_makes_room_at_once_and_its_work_is_there(tmp_path: Path) -> None:
    with _victim(tmp_path / "work.db") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "armed\n"
        process.kill()
    assert _after(tmp_path / "work.db") in (_expected(tmp_path, before), _expected(tmp_path, before, fatal))
