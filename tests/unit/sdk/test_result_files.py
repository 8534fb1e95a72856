"""Results and errors: written aside, put in place whole."""

import errno
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.failpoints import nothing
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Failure, Outcome
from wsaios.sdk.result_files import Paths, ResultFiles, aside, result_files


def outcome(state: State, failure: Failure | None = None, reason: str | None = None) -> Outcome:
    return Outcome(1, 1, 1, state, 1, 0, 0, None, 0, 0, failure, Body(0, reason=reason))


def fill(files: ResultFiles, failed: Sequence[int] = (), rows: int = 3) -> None:
    for row in range(1, rows + 1):
        if row in failed:
            files.add(row, f"n{row}", outcome(State.FAILED, Failure("ValueError", "bad «row»")), b"")
        else:
            files.add(row, f"n{row}", outcome(State.SUCCEEDED), b'{"a":1}')
    files.sync()


@pytest.mark.parametrize(
    "name, errors", [("r.jsonl", "r.errors.jsonl"), ("r", "r.errors"), ("a.b.json", "a.b.errors.json")]
)
def test_the_errors_stand_beside_the_results(tmp_path: Path, name: str, errors: str) -> None:
    assert Paths.of(str(tmp_path / name)).errors == tmp_path / errors


def test_links_are_followed_so_that_they_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "r.jsonl").symlink_to("there/real.jsonl")
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    with result_files(paths) as files:
        fill(files)
        files.place(nothing)
    assert (tmp_path / "r.jsonl").is_symlink()
    assert (tmp_path / "there" / "real.jsonl").read_bytes().count(b"\n") == 3


def test_nothing_is_in_its_place_before_it_is_put_there(tmp_path: Path) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    with result_files(paths) as files:
        fill(files, failed=[2])
        assert paths.existing() == []
        assert files.differ()
        files.place(nothing)
        assert paths.existing() == [paths.results, paths.errors]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["r.errors.jsonl", "r.jsonl"]
    assert paths.results.read_text() == '{"id":"n1","result":{"a":1}}\n{"id":"n3","result":{"a":1}}\n'
    assert json.loads(paths.errors.read_text()) == {"id": "n2", "row": 2, "type": "ValueError", "message": "bad «row»"}


def test_without_failed_rows_there_is_no_errors_file_and_an_old_one_goes(tmp_path: Path) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    paths.errors.write_text("old")
    with result_files(paths) as files:
        fill(files)
        assert files.differ()
        files.place(nothing)
    assert paths.existing() == [paths.results]


@pytest.mark.parametrize("failed", [(), (2,)])
def test_equal_files_do_not_differ(tmp_path: Path, failed: tuple[int, ...]) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    for differs in (True, False):
        with result_files(paths) as files:
            fill(files, failed)
            assert files.differ() is differs
            files.place(nothing)
    paths.results.write_bytes(paths.results.read_bytes().replace(b"n1", b"n9"))
    with result_files(paths) as files:
        fill(files, failed)
        assert files.differ()


@pytest.mark.parametrize(
    "state, reason, kind, message",
    [
        (State.CANCELLED, "cancelled by hand", "Cancelled", "cancelled by hand"),
        (State.EXPIRED, None, "Expired", "expired"),
        (State.LOST, "its worker died", "Lost", "its worker died"),
    ],
)
def test_rows_that_ended_otherwise_are_errors_too(
    tmp_path: Path, state: State, reason: str | None, kind: str, message: str
) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    with result_files(paths) as files:
        files.add(7, 7, outcome(state, reason=reason), b"")
        files.sync()
        files.place(nothing)
    assert json.loads(paths.errors.read_text()) == {"id": 7, "row": 7, "type": kind, "message": message}


def test_failpoints_stand_around_each_rename(tmp_path: Path) -> None:
    paths, seen = Paths.of(str(tmp_path / "r.jsonl")), list[tuple[str, list[str]]]()
    with result_files(paths) as files:
        fill(files, failed=[2])
        files.place(lambda name: seen.append((name, [path.name for path in paths.existing()])))
    assert seen == [
        ("batch.before_rename", []),
        ("batch.after_rename", ["r.errors.jsonl"]),
        ("batch.before_rename", ["r.errors.jsonl"]),
        ("batch.after_rename", ["r.jsonl", "r.errors.jsonl"]),
    ]


def test_whatever_goes_wrong_nothing_is_left_aside(tmp_path: Path) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    with suppress(ZeroDivisionError), result_files(paths) as files:
        fill(files)
        assert aside(paths.results).exists()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    with (
        pytest.raises(InvalidInput, match=r"r\.jsonl cannot be written: No space.*nothing is lost"),
        result_files(paths),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_leftover_of_a_killed_run_is_written_over(tmp_path: Path) -> None:
    paths = Paths.of(str(tmp_path / "r.jsonl"))
    aside(paths.results).write_text("x" * 100_000)
    with result_files(paths) as files:
        fill(files)
        files.place(nothing)
    assert paths.results.read_bytes().count(b"\n") == 3
    assert not aside(paths.results).exists()
