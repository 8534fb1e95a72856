"""The lock file: one owner, named to the others, and gone with its process."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from wsaios.kernel.errors import LedgerOwned, LedgerUnavailable
from wsaios.ledger.location import locate
from wsaios.ledger.ownership import Holder, Kind, OwnerLock, myself, process_started
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.ledger.sqlite.backup import backup
from wsaios.ledger.sqlite.side import SqliteSide
from wsaios.sdk.upkeep import prune

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from wsaios.ledger.sqlite import SqliteLedger
ledger = SqliteLedger(sys.argv[1])
{}(1_767_225_600_000_000, "the holder")
print("held", flush=True)
sys.stdin.read()
"""

SHUT = """
mount -t tmpfs none "$1" && cp "$2" "$1/work.db" &&
mount -o remount,ro "$1" && echo shut && exec "$3" -c "$4" "$1/work.db"
"""
LOOK = """
import sys
from pathlib import Path
from tests.unit.ledger.test_ownership import refusals
print(refusals(Path(sys.argv[1])))
"""


def _holding(path: Path, how: str = "ledger.open") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(how), str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _lock(path: Path, kind: Kind = "owner", wait_s: float = 0.0) -> OwnerLock:
    lock = OwnerLock("work.db", path)
    lock.acquire(myself(kind, "me", 1), wait_s)
    return lock


def test_an_owner_in_another_process_is_named_at_once(tmp_path: Path) -> None:
    with _holding(tmp_path / "work.db") as process:
        with pytest.raises(LedgerOwned) as caught:
            SqliteLedger(tmp_path / "work.db", lock_wait_s=60).open(1, "me")
        process.kill()
    for part in ("'the holder'", f"pid {process.pid} ", "2026-01-01 00:00:00 UTC", "work.db", "--ledger"):
        assert part in str(caught.value)


def test_the_lock_of_a_killed_owner_is_free(tmp_path: Path) -> None:
    with _holding(tmp_path / "work.db") as process:
        process.kill()
    ledger = SqliteLedger(tmp_path / "work.db", lock_wait_s=0.0)
    assert ledger.open(1, "next").epoch == 2
    ledger.close()


def test_a_client_is_waited_for(tmp_path: Path) -> None:
    with _holding(tmp_path / "work.db", "ledger.open_as_client") as process:
        ledger = SqliteLedger(tmp_path / "work.db", lock_wait_s=60)
        opened = threading.Event()

        def wait() -> None:
            ledger.open(1, "owner")
            opened.set()

        owner = threading.Thread(target=wait)
        owner.start()
        assert not opened.is_set()
        process.kill()
        owner.join(60)
        assert opened.is_set()
    ledger.close()


def test_a_client_that_holds_on_is_named(tmp_path: Path) -> None:
    with _holding(tmp_path / "work.db", "ledger.open_as_client") as process:
        with pytest.raises(LedgerOwned, match="the holder"):
            SqliteLedger(tmp_path / "work.db", lock_wait_s=0.05).open(1, "me")
        process.kill()


def test_a_forked_child_does_not_hold_the_ledger(tmp_path: Path) -> None:
    first = _lock(tmp_path / "lock")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.read(reader, 1)
        os._exit(0)
    first.release()
    second = _lock(tmp_path / "lock")
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child lived while the lock was taken"
    os.write(writer, b".")
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)
    second.release()


def test_a_child_that_runs_another_program_does_not_hold_the_ledger(tmp_path: Path) -> None:
    first = _lock(tmp_path / "lock")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        first.release()
        _lock(tmp_path / "lock").release()
        assert child.poll() is None, "the child lived while the lock was taken"
        child.communicate(b"\n")


def test_a_lock_that_is_undone_leaves_no_file_and_whoever_waits_for_it_takes_the_new_one(tmp_path: Path) -> None:
    path, opened = tmp_path / "lock", threading.Event()

    class Waiting(OwnerLock):
        def _wait(self, file: int, wait_s: float) -> None:
            opened.set()
            super()._wait(file, wait_s)

    first = _lock(path, "client")
    second = Waiting("work.db", path)
    waiting = threading.Thread(target=second.acquire, args=(myself("owner", "second", 1), 60.0))
    waiting.start()
    assert opened.wait(60)
    first.undo()
    waiting.join(60)
    with pytest.raises(LedgerOwned, match="second"):
        _lock(path)
    second.undo()
    assert not path.exists()


def test_a_lock_file_that_was_there_stays(tmp_path: Path) -> None:
    _lock(tmp_path / "lock").release()
    _lock(tmp_path / "lock").undo()
    assert (tmp_path / "lock").exists()


def test_the_file_says_who_holds_it_and_nothing_after_release(tmp_path: Path) -> None:
    lock = _lock(tmp_path / "lock")
    holder = msgspec.json.decode((tmp_path / "lock").read_bytes(), type=Holder)
    assert (holder.kind, holder.who, holder.pid, holder.gone()) == ("owner", "me", os.getpid(), False)
    lock.release()
    lock.release()
    assert (tmp_path / "lock").read_bytes() == b""
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_what_a_dead_owner_wrote_is_not_believed(tmp_path: Path) -> None:
    lock = _lock(tmp_path / "lock")
    dead = msgspec.structs.replace(myself("owner", "long dead", 1), started="1")
    (tmp_path / "lock").write_bytes(msgspec.json.encode(dead))
    with pytest.raises(LedgerOwned, match="does not say its name"):
        _lock(tmp_path / "lock")
    lock.release()


@pytest.mark.parametrize(
    "fields, gone",
    [
        ({}, False),
        ({"host": "elsewhere", "started": "1"}, False),
        ({"boot_id": "earlier"}, True),
        ({"started": "1"}, True),
        ({"pid": (1 << 22) + 1}, True),
    ],
)
def test_a_holder_is_gone_when_its_process_is(fields: dict[str, object], gone: bool) -> None:
    assert msgspec.structs.replace(myself("owner", "me", 1), **fields).gone() is gone


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which process is which")
def test_a_dead_process_is_gone_although_its_parent_does_not_ask_how_it_ended() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.read(reader, 1)
        os._exit(0)
    try:
        holder = msgspec.structs.replace(myself("owner", "child", 1), pid=child, started=process_started(child))
        assert holder.started
        assert not holder.gone()
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{child}/stat").exists()
        assert holder.gone()
    finally:
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_a_folder_that_is_missing_or_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match=r"no folder .*missing.*create it"):
        SqliteLedger(tmp_path / "missing" / "work.db").open(1, "me")
    with pytest.raises(LedgerUnavailable, match="cannot write in"):
        SqliteLedger(tmp_path / "file" / "work.db").open(1, "me")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(LedgerUnavailable, match="check that it is a file"):
        SqliteLedger(tmp_path / "folder.db").open(1, "me")


def refusals(ledger: Path) -> list[str]:
    """What everybody is told who reads or writes a ledger in a folder that cannot be written."""
    verbs: tuple[Callable[[], object], ...] = (
        lambda: SqliteLedger(ledger).open(1, "me"),
        lambda: backup(locate(ledger), str(ledger.with_name("copy.db")), lambda *_: None),
        lambda: SqliteLedger(ledger).check(),
        lambda: SqliteLedger(ledger).reads(),
        lambda: prune(str(ledger), 1.0),
        lambda: SqliteSide(locate(ledger), "me").enter(make=False),
    )
    said = set()
    for verb in verbs:
        with pytest.raises(LedgerUnavailable) as caught:
            verb()
        said.add(caught.value.reason)
    return sorted(said)


def _made(path: Path) -> Path:
    ledger = SqliteLedger(path)
    ledger.open(1, "me")
    ledger.close()
    return path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named_whoever_reads_or_writes(tmp_path: Path) -> None:
    ledger = _made(tmp_path / "work.db")
    ledger.with_name("work.db.lock").unlink()
    tmp_path.chmod(0o500)
    said = refusals(ledger)
    tmp_path.chmod(0o700)
    assert said == [f"cannot write in {tmp_path}: Permission denied; a ledger keeps files beside it there"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare on this machine")
def test_a_file_system_that_takes_no_writes_is_named_whoever_reads_or_writes(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir()
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run(
        [*apart, "sh", "-c", SHUT, "sh", str(shut), str(_made(tmp_path / "work.db")), sys.executable, LOOK],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.startswith("shut"):
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    said = [f"cannot write in {shut}: Read-only file system; a ledger keeps files beside it there"]
    assert done.stdout.splitlines()[1:] == [repr(said)], done.stderr
