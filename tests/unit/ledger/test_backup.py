"""A copy of a ledger in a file: whole, of one moment, and never in the way of anything."""

import fcntl
import resource
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.conformance.ledger.desk import Desk, shard, task
from wsaios.kernel.errors import InvalidInput, LedgerBroken, LedgerUnavailable
from wsaios.kernel.ledger import Payload
from wsaios.kernel.states import State
from wsaios.ledger.location import locate
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.ledger.sqlite.backup import backup

ROWS = 40
ARGUMENTS = b'"' + b"x" * 100_000 + b'"'


def nothing(done: int, total: int) -> None:
    """Listen to nothing."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A live owner whose ledger takes several steps to copy, a good part of it still in the log."""
    made = Desk(SqliteLedger(tmp_path / "work.db"))
    made.write(shards=[shard(1)])
    _accept(made, range(1, ROWS + 1))
    yield made
    made.ledger.close()


def _accept(desk: Desk, ids: range) -> None:
    desk.write(accepted=[task(each) for each in ids], payloads=[Payload(each, 0, ARGUMENTS) for each in ids])


def _tasks(path: Path) -> int:
    return len(SqliteLedger(path).reads().task_list((State.READY,), 0, 1000))


def test_a_copy_is_the_moment_it_began_however_much_the_owner_commits_meanwhile(desk: Desk, tmp_path: Path) -> None:
    copy, steps = tmp_path / "copy.db", []

    def advance(done: int, total: int) -> None:
        steps.append((done, total))
        assert len(steps) < 30, "every commit began the copy anew"
        _accept(desk, range(1000 * len(steps), 1000 * len(steps) + 3))

    size = backup(locate(tmp_path / "work.db"), str(copy), advance)
    assert len(steps) >= 4
    assert steps == sorted(steps)
    assert {total for _, total in steps} == {size} == {steps[-1][0]} == {copy.stat().st_size}
    assert (_tasks(copy), SqliteLedger(copy).check()) == (ROWS, [])
    assert _tasks(tmp_path / "work.db") == ROWS + 3 * len(steps)


def test_an_owner_opens_a_copy_and_nothing_else_is_left(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    (tmp_path / "work.db").chmod(0o640)
    backup(locate(tmp_path / "work.db"), str(copy), nothing)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]
    assert copy.stat().st_mode & 0o777 == 0o640
    successor = SqliteLedger(copy)
    opening = successor.open(1, "the next one")
    successor.close()
    assert opening.epoch == desk.epoch + 1


def test_a_copy_takes_the_place_of_what_a_killed_one_left(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "copy.db.partial").write_bytes(b"half of something" * 10_000)
    backup(locate(tmp_path / "work.db"), str(tmp_path / "copy.db"), nothing)
    assert SqliteLedger(tmp_path / "copy.db").check() == []
    assert not (tmp_path / "copy.db.partial").exists()


def test_the_empty_log_that_a_look_at_an_earlier_copy_left_is_in_nobodys_way(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    for _ in range(2):
        backup(locate(tmp_path / "work.db"), str(copy), nothing)
        assert SqliteLedger(copy).check() == []
        assert (tmp_path / "copy.db-wal").stat().st_size == 0
        copy.unlink()


def test_a_finished_copy_that_was_moved_is_not_touched_by_the_next_one(desk: Desk, tmp_path: Path) -> None:
    copy, moved = tmp_path / "copy.db", tmp_path / "monday.db"
    backup(locate(tmp_path / "work.db"), str(moved), nothing)
    # As after a kill between the two last steps: the copy has its name and still the one aside.
    (tmp_path / "copy.db.partial").hardlink_to(moved)
    before = moved.read_bytes()
    _accept(desk, range(6000, 6003))
    backup(locate(tmp_path / "work.db"), str(copy), nothing)
    assert (moved.read_bytes() == before, copy.read_bytes() == before) == (True, False)
    assert (moved.stat().st_nlink, copy.stat().st_nlink) == (1, 1)


def test_two_copies_to_one_file_are_not_made_at_once(desk: Desk, tmp_path: Path) -> None:
    with (tmp_path / "copy.db.partial").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InvalidInput, match="another backup writes"):
            backup(locate(tmp_path / "work.db"), str(tmp_path / "copy.db"), nothing)
        assert (tmp_path / "copy.db.partial").exists()


def test_a_file_that_appears_meanwhile_stays_as_it_is(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    def advance(done: int, total: int) -> None:
        copy.write_text("mine")

    with pytest.raises(InvalidInput, match="there already"):
        backup(locate(tmp_path / "work.db"), str(copy), advance)
    assert (copy.read_text(), (tmp_path / "copy.db.partial").exists()) == ("mine", False)


def test_a_copy_that_breaks_off_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    def advance(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        backup(locate(tmp_path / "work.db"), str(tmp_path / "copy.db"), advance)
    assert {path.name for path in tmp_path.iterdir()} == before
    _accept(desk, range(5000, 5003))


@pytest.mark.parametrize(
    "file, said",
    [
        ("work.db", "is the ledger itself"),
        ("link.db", "is the ledger itself"),
        ("work.db-wal", "a file of it"),
        ("work.db.sock", "a file of it"),
        ("there.db", "there already"),
        ("folder", "there already"),
        ("folder/", "names no file"),
        ("sqlite:///copy.db", "names no file"),
        ("", "names no file"),
        ("none/copy.db", "there is no folder"),
        ("logged.db", "left of another database"),
    ],
)
def test_what_may_not_be_written_is_refused_and_left_alone(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.db").symlink_to("work.db")
    Path("folder").mkdir()
    for name in ("there.db", "logged.db-wal"):
        Path(name).write_text("mine")
    before = {path.name: path.stat() for path in tmp_path.iterdir() if path.name != "work.db-shm"}
    with pytest.raises(InvalidInput, match=said):
        backup(locate("work.db"), file, nothing)
    assert {path.name: path.stat() for path in tmp_path.iterdir() if path.name != "work.db-shm"} == before


def test_a_database_of_another_program_is_not_copied(tmp_path: Path) -> None:
    for content in (b"", b"text" * 1000):
        (tmp_path / "other.db").write_bytes(content)
        with pytest.raises(LedgerBroken, match="SQLite database"):
            backup(locate(tmp_path / "other.db"), str(tmp_path / "copy.db"), nothing)
        assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_no_room_is_said_of_the_copy_and_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(LedgerUnavailable, match=r"copy\.db: "):
            backup(locate(tmp_path / "work.db"), str(tmp_path / "copy.db"), nothing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.glob("copy.db*")) == []


def test_a_link_in_the_place_of_the_half_made_copy_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "copy.db.partial").symlink_to("precious")
    with pytest.raises(InvalidInput, match=r"cannot write .*copy\.db\.partial"):
        backup(locate(tmp_path / "work.db"), str(tmp_path / "copy.db"), nothing)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_ledger_with_an_older_schema_is_copied_as_it_is(desk: Desk, tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "work.db"))
    connection.pragma("user_version", 0)
    connection.close()
    backup(locate(tmp_path / "work.db"), str(tmp_path / "copy.db"), nothing)
    with pytest.raises(LedgerUnavailable, match="it has schema 0"):
        SqliteLedger(tmp_path / "copy.db").check()
