"""Pruning a ledger that nobody owns, and copying one on a server, by what the command line calls."""

import shlex
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.conformance.ledger.desk import NOW_US, Desk, batch, outcome, shard, task
from tests.servers.postgres import PostgresServer, programs
from wsaios.bootstrap import Settings, ledger_of
from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, NotPossible
from wsaios.kernel.ledger import ById, EndedAfter
from wsaios.kernel.states import ENDED
from wsaios.sdk import upkeep
from wsaios.sdk.upkeep import backup, prune

RECENT_US = time.time_ns() // 1000
EVERYTHING = EndedAfter(0, 1 << 62, tuple(ENDED), 10_000)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger of each kind will be."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.fresh()
    return f"sqlite:///{tmp_path}/work.db"


def _desk(url: str) -> Desk:
    return Desk(ledger_of(url, Settings()))  # type: ignore[arg-type]  # both can also be opened by a client


def _ended(desk: Desk, numbers: range, ended_us: int, of: int = 1) -> None:
    tasks = desk.add(*(task(number, shard=of) for number in numbers))
    rows = [outcome(each) for each in tasks]
    for row in rows:
        row.ended_us = ended_us
    desk.end(*rows)


def _filled(url: str) -> None:
    """2,500 tasks that ended long ago, 3 of a kept batch, 4 that ended now, and one that waits."""
    desk = _desk(url)
    desk.write(shards=[shard(1), shard(2, batch=9_000)], batches=[batch(9_000, keep=True, rows=3, ended={6: 3})])
    _ended(desk, range(1, 2501), NOW_US)
    _ended(desk, range(3001, 3004), NOW_US, of=2)
    _ended(desk, range(4001, 4005), RECENT_US)
    desk.add(task(5001))
    desk.ledger.close()


def _left(url: str) -> list[int]:
    desk = _desk(url)
    try:
        assert [row.id for row in desk.ask(ById((5001,))).tasks] == [5001]
        return sorted(row.id for row in desk.ask(EVERYTHING).outcomes)
    finally:
        desk.ledger.close()


def test_what_ended_long_ago_goes_and_the_rest_stays(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Let go of the ledger after every step, as with one that takes longer than it is held.
    monkeypatch.setattr(upkeep, "_HOLD_S", 1e-9)
    _filled(url)
    assert prune(url, 7) == 2500
    assert prune(url, 7) == 0
    assert _left(url) == [3001, 3002, 3003, 4001, 4002, 4003, 4004]
    assert prune(url, 0) == 4
    assert _left(url) == [3001, 3002, 3003]


def test_a_live_owner_is_named_and_prunes_by_itself(url: str) -> None:
    desk = _desk(url)
    desk.write(shards=[shard(1)])
    _ended(desk, range(1, 4), NOW_US)
    with pytest.raises(NotPossible, match=r"owned by 'the suite' \(pid .* removes what is over by itself"):
        prune(url, 7)
    desk.write(shards=[shard(2)])
    assert len(desk.ask(EVERYTHING).outcomes) == 3
    desk.ledger.close()


def test_nothing_is_made_where_no_ledger_is(url: str) -> None:
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="no such ledger"):
            prune(url, 7)


def test_a_ledger_in_memory_cannot_be_reached() -> None:
    with pytest.raises(InvalidInput, match="in memory"):
        prune("sqlite:///:memory:", 7)
    with pytest.raises(InvalidInput, match="in memory"):
        backup("sqlite:///:memory:", "copy.db", lambda done, total: None)


@pytest.mark.parametrize("days", [-1, float("nan"), float("inf"), 1e9])
def test_days_that_are_no_time_are_refused(days: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--older-than-days: must be a number of days from 0 to 36500"):
        prune(f"sqlite:///{tmp_path}/work.db", days)


def test_an_owner_that_starts_meanwhile_gets_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_HOLD_S", 1e-9)
    monkeypatch.setattr(upkeep, "_PAUSE_S", 0.2)
    url, said = f"sqlite:///{tmp_path}/work.db", []
    _filled(url)

    def pruning() -> None:
        try:
            prune(url, 7)
        except NotPossible as error:
            said.append(str(error))

    thread = threading.Thread(target=pruning)
    thread.start()
    while (tmp_path / "work.db.lock").stat().st_size == 0 and thread.is_alive():
        time.sleep(0.001)
    owner = _desk(url)
    thread.join(30)
    rows = len(owner.ask(EVERYTHING).outcomes)
    owner.ledger.close()
    (text,) = said
    assert f"{2507 - rows} rows were removed before it came" in text
    assert rows < 2507


def test_the_command_for_a_ledger_on_a_server_makes_a_copy(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.fresh()
    _filled(url)
    with pytest.raises(NotPossible, match="on a server; run: pg_dump ") as caught:
        backup(url, str(tmp_path / "copy.dump"), lambda done, total: None)
    program, *words = shlex.split(str(caught.value).partition("run: ")[2])
    folder = programs()
    assert folder is not None
    subprocess.run([folder / program, *words], check=True, timeout=60)
    listed = subprocess.run(
        [folder / "pg_restore", "--list", tmp_path / "copy.dump"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert [table for table in ("outcome", "live", "owner") if f" {table} " not in listed] == []
