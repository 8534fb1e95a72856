"""What a killed owner leaves behind; only for ledgers that outlive their process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.ledger.desk import NOW_US, Desk
from tests.conformance.ledger.victim import age, before, fatal, ledger_at, prune
from tests.servers.postgres import PostgresServer
from wsaios.kernel.failpoints import CLOSING, FAILPOINTS, OPENING, PRUNING
from wsaios.kernel.ledger import Commit, DependentsOf, IdempotencyOf

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


Expected = Callable[..., tuple[dict[str, Any], Any]]
KINDS = ["sqlite", "postgres"]
# There is no log to be moved into a file.
CLOSINGS = [(kind, place) for kind in KINDS for place in CLOSING if (kind, place) != ("postgres", "close.emptied")]
_KNOWN: dict[tuple[object, ...], tuple[dict[str, Any], Any]] = {}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture
def new(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Where a ledger is that does not exist yet."""
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("durable_postgres")
        return server.fresh
    numbers = count()
    return lambda: str(tmp_path / f"work{next(numbers)}.db")


@pytest.fixture
def work(new: Callable[[], str]) -> str:
    """Where the ledger is that this is about."""
    return new()


@pytest.fixture
def expected(kind: str, new: Callable[[], str]) -> Expected:
    """What is found after these steps when nobody dies; it is the same every time."""

    def found(*steps: Callable[[Desk], None]) -> tuple[dict[str, Any], Any]:
        known = kind, *steps
        if known not in _KNOWN:
            place = new()
            ledger = ledger_at(place)
            desk = Desk(ledger)
            for step in steps:
                step(desk)
            ledger.close()
            _KNOWN[known] = _after(place)
        return _KNOWN[known]

    return found


def _victim(ledger: str, *act: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.ledger.victim", ledger, *act],
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


def _after(place: str) -> tuple[dict[str, Any], Any]:
    ledger = ledger_at(place)
    desk = Desk(ledger)
    opening = desk.opening
    found = _picture(desk), (opening.shards, opening.batches, opening.running, opening.releases, opening.facts)
    problems = ledger.check()
    ledger.close()
    assert problems == [], "the ledger contradicts itself"
    return found


@pytest.mark.parametrize("place", PLACES)
def test_a_commit_is_there_as_a_whole_or_not_at_all(work: str, expected: Expected, place: str) -> None:
    hit = EARLIER.get(place.removeprefix("ledger."), 0) + 1
    with _victim(work, WSAIOS_FAILPOINT=f"{place}@{hit}") as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    written = place == "ledger.after_commit"
    assert _after(work) == expected(before, *([fatal] if written else []))


@pytest.mark.parametrize("place", PRUNING)
def test_a_step_of_pruning_is_there_as_a_whole_or_not_at_all(work: str, expected: Expected, place: str) -> None:
    with _victim(work, "prune", WSAIOS_FAILPOINT=place) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    last, other = (prune, age) if place == "prune.after_commit" else (age, prune)
    assert _after(work) == expected(before, fatal, last)
    assert _after(work) != expected(before, fatal, other)


@pytest.mark.parametrize("kind, place", CLOSINGS)
def test_a_death_while_closing_loses_nothing(work: str, expected: Expected, place: str) -> None:
    with _victim(work, "close", WSAIOS_FAILPOINT=place) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    assert _after(work) == expected(before, fatal)


@pytest.mark.parametrize("place", OPENING)
def test_a_death_while_opening_leaves_what_was_there(work: str, expected: Expected, place: str) -> None:
    steps: list[Any] = [] if place == "open.migrating" else [before, fatal]
    if steps:
        with _victim(work, "close") as process:
            process.communicate(timeout=60)
    with _victim(work, "open", WSAIOS_FAILPOINT=place) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("armed\n", -signal.SIGKILL)
    assert _after(work) == expected(*steps)


def test_every_place_between_two_writes_is_reached(tmp_path: Path, work: str) -> None:
    trace = tmp_path / "trace"
    with _victim(work, WSAIOS_FAILPOINT_TRACE=str(trace)) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(trace.read_text().split()) == sorted([*OPENING, *PLACES])


def test_a_killed_owner_makes_room_at_once_and_its_work_is_there(work: str, expected: Expected) -> None:
    with _victim(work) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "armed\n"
        process.kill()
    assert _after(work) in (expected(before), expected(before, fatal))
