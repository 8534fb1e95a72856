"""The file, its connections, and commits that fail."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.conformance.ledger.desk import NOW_US, Desk, batch, outcome, shard, stored, task
from wsaios.kernel.errors import Fenced, LedgerBroken, LedgerOwned, LedgerUnavailable
from wsaios.kernel.ledger import Commit, LiveAfter, Payload
from wsaios.kernel.states import State
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.ledger.sqlite.connection import CHECKPOINT_PAGES
from wsaios.ledger.statements import migrations

ALL = LiveAfter(0, 1 << 62, 99)


class Trouble:
    """A failpoint that raises once it is told where."""

    def __init__(self) -> None:
        self.place = ""
        self.error: BaseException = apsw.IOError("the disk is gone")

    def __call__(self, place: str) -> None:
        if place == self.place:
            self.place = ""
            raise self.error


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture(params=["file", "memory"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, trouble: Trouble) -> Iterator[Desk]:
    """An open ledger with shard 1, which fails where `trouble` says."""
    path = tmp_path / "work.db" if request.param == "file" else ":memory:"
    made = Desk(SqliteLedger(path, failpoint=trouble))
    made.write(shards=[shard(1)])
    yield made
    made.ledger.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work.db"


def _sql(path: Path, text: str) -> list[tuple[Any, ...]]:
    """Look into a ledger, or tamper with it, behind its back."""
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "place, written", [("ledger.accepted", False), ("ledger.before_commit", False), ("ledger.after_commit", True)]
)
def test_a_failed_commit_must_be_read_again(desk: Desk, trouble: Trouble, place: str, written: bool) -> None:
    trouble.place = place
    with pytest.raises(LedgerUnavailable, match="the disk is gone") as caught:
        desk.add(task(1))
    assert isinstance(caught.value.__cause__, apsw.IOError)
    for call in (lambda: desk.ask(ALL), lambda: desk.ledger.prune(0, 1)):
        with pytest.raises(LedgerUnavailable, match="reopen"):
            call()
    epoch = desk.epoch
    assert desk.reopen().epoch == epoch + 1
    assert [row.id for row in desk.ask(ALL).tasks] == ([1] if written else [])
    desk.write(releases=[1])


def test_a_refused_commit_leaves_the_ledger_usable(desk: Desk) -> None:
    with pytest.raises(LedgerBroken):
        desk.write(accepted=[task(1, shard=9)])
    desk.add(task(1))
    assert desk.ask(ALL).tasks == [stored(task(1))]


def test_an_error_that_is_not_of_the_database_undoes_the_commit_too(desk: Desk, trouble: Trouble) -> None:
    trouble.place, trouble.error = "ledger.before_commit", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        desk.add(task(1))
    desk.add(task(1))
    with pytest.raises(UnicodeEncodeError):
        desk.write(facts=[("state", "\ud800", 1)])
    desk.add(task(2))


def test_an_owner_whose_epoch_was_taken_stands_down(path: Path) -> None:
    desk = Desk(SqliteLedger(path))
    desk.write(shards=[shard(1)])
    _sql(path, "UPDATE owner SET epoch = epoch + 1")
    with pytest.raises(Fenced):
        desk.add(task(1))
    with pytest.raises(Fenced):
        desk.ledger.prune(0, 1)
    assert desk.ask(ALL).tasks == []
    desk.ledger.close()


def test_a_transaction_of_another_program_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsaios.ledger.sqlite.connection.BUSY_MS", 1)
    desk = Desk(SqliteLedger(path))
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="another program has locked"):
        desk.write(releases=[1])
    other.execute("ROLLBACK")
    other.close()
    desk.reopen()
    desk.write(releases=[1])
    desk.ledger.close()


def test_a_failed_reopen_can_be_tried_again(path: Path) -> None:
    desk = Desk(SqliteLedger(path))
    desk.write(shards=[shard(1)])
    _sql(path, "PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(Exception, match="schema 99"):
            desk.reopen()
        with pytest.raises(LedgerUnavailable, match="not open"):
            desk.ask(ALL)
    with pytest.raises(LedgerOwned):
        SqliteLedger(path, lock_wait_s=0).open(1, "another")
    _sql(path, f"PRAGMA user_version = {len(migrations('sqlite'))}")
    desk.reopen()
    desk.write(releases=[1])
    desk.ledger.close()


def test_a_failed_open_lets_go_of_the_lock(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    ledger = SqliteLedger(path)
    with pytest.raises(LedgerBroken):
        ledger.open(1, "first")
    path.unlink()
    second = SqliteLedger(path, lock_wait_s=0)
    second.open(1, "second")
    second.close()


def test_closing_says_that_the_owner_left_in_peace(path: Path) -> None:
    def clean() -> Any:
        return _sql(path, "SELECT clean FROM owner")[0][0]

    ledger = SqliteLedger(path)
    ledger.open(1, "me")
    assert clean() == 0
    ledger.close()
    assert clean() == 1
    _sql(path, "UPDATE owner SET clean = 0")
    client = SqliteLedger(path)
    client.open_as_client(1, "a client")
    client.close()
    assert clean() == 0


def test_closing_moves_the_log_into_the_file(path: Path) -> None:
    desk = Desk(SqliteLedger(path))
    desk.write(shards=[shard(1)])
    desk.add(*(task(number) for number in range(1, 500)))
    reads = desk.ledger.reads()
    assert reads.totals().size_bytes > path.stat().st_size
    desk.ledger.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["work.db", "work.db.lock"]


def test_the_log_is_written_over_and_does_not_grow_without_end(path: Path) -> None:
    desk = Desk(SqliteLedger(path, synchronous="OFF"))
    desk.write(shards=[shard(1)])
    log = path.with_name("work.db-wal")
    for round_ in range(40):
        first = 1 + round_ * 200
        tasks = desk.add(*(task(number) for number in range(first, first + 200)))
        desk.end(*(outcome(row) for row in tasks), results=[Payload(row.id, 2, bytes(4000)) for row in tasks])
    assert log.stat().st_size < 3 * CHECKPOINT_PAGES * 4096
    desk.ledger.close()


def test_everyone_waits_for_the_sync(path: Path) -> None:
    made: list[apsw.Connection] = []
    apsw.connection_hooks.append(made.append)
    try:
        ledger = SqliteLedger(path)
        ledger.open(1, "me")
    finally:
        apsw.connection_hooks.remove(made.append)
    (writer,) = made
    assert (writer.pragma("synchronous"), writer.pragma("journal_mode")) == (2, "wal")
    assert (writer.pragma("mmap_size"), writer.pragma("wal_autocheckpoint")) == (0, CHECKPOINT_PAGES)
    ledger.close()


def test_only_the_writer_can_write(path: Path) -> None:
    made: list[apsw.Connection] = []
    ledger = SqliteLedger(path)
    ledger.open(1, "me")
    apsw.connection_hooks.append(made.append)
    try:
        ledger.reads()
    finally:
        apsw.connection_hooks.remove(made.append)
    with pytest.raises(apsw.ReadOnlyError):
        made[0].execute("DELETE FROM live")
    ledger.close()


def test_reads_need_no_owner(path: Path) -> None:
    desk = Desk(SqliteLedger(path))
    desk.write(shards=[shard(1)])
    desk.add(task(1))
    beside = SqliteLedger(path).reads()
    desk.add(task(2))
    assert beside.totals().live == {2: 2}
    desk.ledger.close()
    alone = SqliteLedger(path)
    assert alone.reads().totals().live == {2: 2}
    assert alone.check() == []
    alone.close()


def test_reads_of_a_ledger_that_nobody_made_say_so(path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="no such ledger"):
        SqliteLedger(path).reads()
    with pytest.raises(LedgerUnavailable, match="no such ledger"):
        SqliteLedger(path).check()
    assert not path.exists()


def test_reads_and_commits_go_on_beside_each_other(desk: Desk) -> None:
    reads = desk.ledger.reads()
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(sum(reads.totals().live.values()))

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1, 101):
        desk.add(task(2 * number), task(2 * number + 1))
    done.set()
    reader.join()
    assert all(count % 2 == 0 for count in seen)
    assert seen == sorted(seen)


def test_an_outcome_cannot_be_changed_even_with_plain_sql(path: Path) -> None:
    desk = Desk(SqliteLedger(path))
    desk.write(shards=[shard(1)])
    desk.end(outcome(desk.add(task(1))[0], State.FAILED))
    with pytest.raises(apsw.ConstraintError, match="written once"):
        _sql(path, "UPDATE outcome SET state = 6")
    with pytest.raises(apsw.ConstraintError, match="UNIQUE"):
        _sql(path, "INSERT INTO outcome SELECT * FROM outcome")
    desk.ledger.close()


def test_opening_ten_times_more_shards_and_batches_is_complete(path: Path) -> None:
    desk = Desk(SqliteLedger(path))
    desk.write(shards=[shard(number) for number in range(1, 301)])
    desk.write(batches=[batch(number, rows=number % 2) for number in range(1, 301)])
    desk.add(*(task(number, shard=number, state=2 + number % 2) for number in range(1, 301)))
    desk.ledger.close()
    ledger = SqliteLedger(path)
    opening = ledger.open(NOW_US, "next")
    assert opening.ready_shards == list(range(2, 301, 2))
    assert [row.id for row in opening.running] == list(range(1, 301, 2))
    assert [row.id for row in opening.batches] == list(range(1, 301, 2))
    assert len(opening.shards) == 300
    ledger.close()


def test_two_ledgers_in_memory_are_two(trouble: Trouble) -> None:
    first, second = Desk(SqliteLedger(":memory:")), Desk(SqliteLedger("sqlite:///:memory:"))
    first.write(shards=[shard(1)])
    first.add(task(1))
    assert second.ask(ALL).tasks == []
    assert second.ledger.commit(Commit(second.epoch, NOW_US, questions=[ALL])).answers[0].tasks == []
    first.ledger.close()
    second.ledger.close()


def test_a_closed_ledger_leaves_no_connection_open(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.open(1, "me")
    ledger.reads().totals()
    kept_open = ledger.reads()
    ledger.reopen(2)
    assert ledger.check() == []
    ledger.close()
    assert [each.filename for each in apsw.connections() if each.filename == str(path)] == []
    with pytest.raises(LedgerUnavailable, match="closed"):
        kept_open.totals()
