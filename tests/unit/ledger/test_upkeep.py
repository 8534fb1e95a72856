"""`check` finds every contradiction that can be made with plain SQL."""

from pathlib import Path

import apsw
import pytest

from tests.conformance.ledger.desk import NOW_US, Desk, batch, outcome, shard, task
from wsaios.kernel.errors import LedgerBroken
from wsaios.kernel.ledger import Payload
from wsaios.kernel.states import State
from wsaios.ledger.sqlite import SqliteLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with a bit of everything and nothing wrong."""
    made = tmp_path / "work.db"
    desk = Desk(SqliteLedger(made))
    desk.write(shards=[shard(1), shard(2, batch=50)], batches=[batch(50, rows=2, ended={6: 1, 7: 1}, keep=True)])
    rows = desk.add(task(1), task(2, State.RUNNING), task(3, State.PENDING), task(60, shard=2), task(61, shard=2))
    desk.write(links=[(1, 3)], saved=[Payload(2, 0, b"x")], spilled=[(1, 0, "[]")])
    desk.end(outcome(rows[3]), outcome(rows[4], State.FAILED), releases=[60])
    desk.ledger.close()
    return made


def _break(path: Path, text: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(text)
    connection.close()


def test_a_sound_ledger_has_no_problems(path: Path) -> None:
    assert SqliteLedger(path).check() == []


def test_a_ledger_in_memory_can_be_checked() -> None:
    ledger = SqliteLedger(":memory:")
    ledger.open(NOW_US, "me")
    assert ledger.check() == []
    ledger.close()


@pytest.mark.parametrize(
    "text, said",
    [
        (
            "INSERT INTO live SELECT id, shard, 2, fence, key, NULL, NULL, body FROM outcome WHERE id = 60",
            "1 tasks are live and ended",
        ),
        ("UPDATE live SET shard = 9 WHERE id < 3", "2 tasks belong to a shard that does not exist"),
        ("UPDATE shard SET tasks = tasks + 1", "2 shards count their tasks wrongly"),
        ("DELETE FROM payload WHERE id = 2", "1 live tasks have no arguments"),
        ("INSERT INTO payload VALUES (4, 0, x'00')", "1 arguments, checkpoints or histories belong to no task"),
        ("INSERT INTO history_part VALUES (4, 0, '[]')", "1 arguments, checkpoints or histories belong to no task"),
        ("INSERT INTO checkpoint VALUES (60, 0, x'00')", "1 arguments, checkpoints or histories belong to no task"),
        ("INSERT INTO release VALUES (1)", "1 parents are to be released but did not end"),
        ("INSERT INTO link VALUES (5, 3)", "1 dependencies point to tasks that do not exist"),
        ("UPDATE owner SET id_high = 60", "1 tables hold an id above the highest one recorded"),
        ("UPDATE batch SET ended = '{\"6\":2}'", "1 batches count their ended rows wrongly"),
        ('UPDATE batch SET ended = \'{"6":1,"7":1,"8":4}\'', "1 batches count their ended rows wrongly"),
        ("UPDATE live SET body = x'ff00' WHERE id = 1", "1 tasks have a record that cannot be read"),
    ],
)
def test_a_contradiction_is_said_with_its_count(path: Path, text: str, said: str) -> None:
    _break(path, text)
    assert any(problem.startswith(said) for problem in SqliteLedger(path).check())


def test_damaged_pages_are_said(path: Path) -> None:
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'live_ready'").get
    size = int(connection.pragma("page_size") or 0)
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size + 8 : root * size] = bytes(size - 8)
    path.write_bytes(content)
    problems = SqliteLedger(path).check()
    assert any(problem.startswith("the file is damaged: ") for problem in problems)


def test_a_row_that_cannot_be_read_says_so(path: Path) -> None:
    _break(path, "UPDATE live SET body = x'0c' WHERE id = 2")
    ledger = SqliteLedger(path)
    with pytest.raises(LedgerBroken, match="a row cannot be read"):
        ledger.open(NOW_US, "me")
