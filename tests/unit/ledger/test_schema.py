"""A ledger is made, brought up to date, or refused."""

from pathlib import Path

import apsw
import pytest

from wsaios.kernel.errors import LedgerBroken, LedgerTooNew, LedgerUnavailable, OperatorError
from wsaios.kernel.ledger import Commit
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.ledger.sqlite.schema import APPLICATION_ID
from wsaios.ledger.statements import migrations

KNOWN = len(migrations("sqlite"))


def _made(path: Path) -> Path:
    ledger = SqliteLedger(path)
    ledger.open(1, "first")
    ledger.close()
    return path


def test_a_new_ledger_is_marked_and_numbered(tmp_path: Path) -> None:
    connection = apsw.Connection(str(_made(tmp_path / "work.db")))
    assert connection.pragma("application_id") == APPLICATION_ID
    assert connection.pragma("user_version") == KNOWN
    assert connection.pragma("journal_mode") == "wal"
    connection.close()


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    connection = apsw.Connection(str(_made(tmp_path / "work.db")))
    connection.pragma("user_version", KNOWN + 1)
    connection.close()
    before = (tmp_path / "work.db").read_bytes()
    with pytest.raises(LedgerTooNew, match=f"schema {KNOWN + 1}"):
        SqliteLedger(tmp_path / "work.db").open(1, "second")
    with pytest.raises(LedgerTooNew):
        SqliteLedger(tmp_path / "work.db").reads()
    assert (tmp_path / "work.db").read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "other.db"))
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = (tmp_path / "other.db").read_bytes()
    ledger = SqliteLedger(tmp_path / "other.db")
    with pytest.raises(LedgerBroken, match="another program"):
        ledger.open(1, "me")
    with pytest.raises(LedgerBroken, match="another program"):
        ledger.reads()
    with pytest.raises(LedgerBroken, match="another program"):
        ledger.check()
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Not a database at all, only text. " * 100)
    with pytest.raises(LedgerBroken, match="not a SQLite database"):
        SqliteLedger(tmp_path / "notes.txt").open(1, "me")
    assert (tmp_path / "notes.txt").read_text().startswith("Not a database")


@pytest.mark.parametrize("content", ["text", "folder", "newer"])
def test_a_path_that_is_refused_gets_no_files_beside_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "work.db"
    if content == "text":
        path.write_text("Not a database at all, only text. " * 100)
    elif content == "folder":
        path.mkdir()
    else:
        connection = apsw.Connection(str(_made(path)))
        connection.pragma("user_version", KNOWN + 1)
        connection.close()
        path.with_name("work.db.lock").unlink()
    with pytest.raises(OperatorError):
        SqliteLedger(path).open(1, "me")
    assert [each.name for each in tmp_path.iterdir()] == ["work.db"]


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "work.db").touch()
    assert SqliteLedger(_made(tmp_path / "work.db")).check() == []


def test_an_interrupted_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = migrations("sqlite")
    monkeypatch.setattr(
        "wsaios.ledger.sqlite.schema.migrations", lambda _: [*steps, "CREATE TABLE added (a); CREATE TABLE added (a);"]
    )
    ledger = SqliteLedger(tmp_path / "work.db")
    with pytest.raises(LedgerUnavailable, match="added"):
        ledger.open(1, "me")
    with pytest.raises(LedgerUnavailable, match=f"schema {KNOWN}, this version reads {KNOWN + 1}"):
        ledger.reads()
    monkeypatch.setattr("wsaios.ledger.sqlite.schema.migrations", lambda _: [*steps, "CREATE TABLE added (a);"])
    opening = ledger.open(1, "me")
    ledger.commit(Commit(opening.epoch, 1, releases=[1]))
    ledger.close()
    connection = apsw.Connection(str(tmp_path / "work.db"))
    assert connection.pragma("user_version") == KNOWN + 1
    assert connection.execute("SELECT count(*) FROM added").get == 0
    connection.close()
