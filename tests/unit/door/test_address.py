import os
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wsaios.door.address import MAX_PATH_BYTES, Address, beside, identity, socket_of
from wsaios.kernel.errors import LedgerUnavailable


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "work.db"


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A ledger whose socket would have too long a path."""
    folder = tmp_path / ("d" * 100)
    folder.mkdir()
    return folder / "work.db"


@contextmanager
def listening(address: Address) -> Iterator[None]:
    with address.bind() as bound:
        bound.listen()
        yield
        address.leave()


def connect(ledger: Path) -> None:
    place = socket_of(ledger)
    assert place is not None
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_socket_lies_beside_the_ledger_for_its_user_alone(ledger: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with listening(Address(ledger)):
            found = ledger.with_name("work.db.sock").lstat()
            assert stat.S_ISSOCK(found.st_mode)
            assert stat.S_IMODE(found.st_mode) == 0o600
            connect(ledger)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert not beside(ledger).exists()


def test_binding_leaves_the_umask_of_other_threads_alone(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(mask: int) -> int:
        raise AssertionError(f"the umask of the whole process was set to {mask:o}")

    monkeypatch.setattr(os, "umask", changed)
    with listening(Address(ledger)):
        assert threading.active_count() >= 1


def test_what_a_dead_owner_left_is_replaced(ledger: Path) -> None:
    dead = Address(ledger)
    dead.bind().close()
    with pytest.raises(ConnectionRefusedError):
        connect(ledger)
    with listening(Address(ledger)):
        connect(ledger)


def test_what_is_no_socket_is_not_touched(ledger: Path) -> None:
    beside(ledger).write_text("mine")
    with pytest.raises(LedgerUnavailable, match="is in the way"):
        Address(ledger).bind()
    assert beside(ledger).read_text() == "mine"


def test_leaving_takes_nothing_of_a_later_owner(ledger: Path) -> None:
    early, late = Address(ledger), Address(ledger)
    with early.bind(), listening(late):
        early.leave()
        assert beside(ledger).is_socket()
        connect(ledger)


def test_a_path_too_long_for_a_socket_gets_a_link_to_a_private_place(deep: Path, tmp_path: Path) -> None:
    assert len(os.fsencode(beside(deep))) > MAX_PATH_BYTES
    assert socket_of(deep) is None
    with listening(Address(deep)):
        assert beside(deep).is_symlink()
        place = socket_of(deep)
        assert place is not None
        assert len(os.fsencode(place)) <= MAX_PATH_BYTES
        assert stat.S_IMODE(place.lstat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.lstat().st_mode) == 0o700
        connect(deep)
    assert not beside(deep).is_symlink()
    assert not place.exists()


def test_a_link_that_a_dead_owner_left_is_replaced(deep: Path) -> None:
    Address(deep).bind().close()
    with pytest.raises(ConnectionRefusedError):
        connect(deep)
    with listening(Address(deep)):
        connect(deep)


def test_a_folder_that_others_may_enter_is_not_used(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = tmp_path / f"wsaios-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with listening(Address(deep)):
        place = socket_of(deep)
        assert place is not None
        assert place.parent != open_to_all


def test_the_runtime_folder_comes_first(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder of pytest's may be too long for a socket already.
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        with listening(Address(deep)):
            place = socket_of(deep)
            assert place is not None
            assert place.parent.parent == Path(short)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="cannot serve clients at"):
        Address(tmp_path / "nowhere" / "work.db").bind()


def test_a_file_is_told_from_another_of_the_same_name(ledger: Path) -> None:
    assert identity(ledger) == ""
    ledger.touch()
    first = identity(ledger)
    assert first == identity(ledger) != ""
    ledger.rename(ledger.with_name("old.db"))
    ledger.touch()
    assert identity(ledger) != first
