"""Where a ledger may be."""

from pathlib import Path

import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.ledger.location import locate


@pytest.mark.parametrize(
    "given, path",
    [
        ("sqlite:///work.db", "work.db"),
        ("sqlite:///a folder/工作.db", "a folder/工作.db"),
        ("sqlite:////var/lib/work.db", "/var/lib/work.db"),
        ("work.db", "work.db"),
        (Path("/x/work.db"), "/x/work.db"),
    ],
)
def test_a_path_and_a_url_name_a_file(
    given: str | Path, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    location = locate(given)
    assert location.name == path
    assert location.path == tmp_path / path


@pytest.mark.parametrize("given", ["sqlite:///:memory:", ":memory:"])
def test_memory_is_a_place_without_a_file(given: str) -> None:
    location = locate(given)
    assert (location.name, location.path) == ("sqlite:///:memory:", None)
    with pytest.raises(ValueError, match="no lock file"):
        _ = location.lock


def test_the_lock_file_stands_beside_the_ledger(tmp_path: Path) -> None:
    assert locate(tmp_path / "work.db").lock == tmp_path / "work.db.lock"


def test_a_change_of_folder_does_not_move_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    location = locate("work.db")
    monkeypatch.chdir("/")
    assert location.path == tmp_path / "work.db"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sqlite:///",
        "sqlite://work.db",
        "sqlite:////var/lib/",
        "mysql://localhost/x",
        "sqlite+aiosqlite:///work.db",
        "sqlite:///work.db?mode=ro",
        "work\0.db",
    ],
)
def test_anything_else_is_refused_with_the_forms_that_there_are(given: str) -> None:
    with pytest.raises(InvalidInput, match=r"sqlite:///relative\.db") as caught:
        locate(given)
    assert caught.value.field == "ledger"


def test_a_ledger_on_a_server_has_a_name_without_a_password_and_no_file() -> None:
    place = locate("postgresql://me:secret@localhost/x")
    assert (place.name, place.path, place.remote) == ("postgresql://me@localhost/x", None, True)
    with pytest.raises(ValueError, match="no lock file"):
        _ = place.lock
