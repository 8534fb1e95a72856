"""The lock file that says which process owns a ledger; the kernel lets go of it when that process dies."""

import fcntl
import os
import socket
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from wsaios.kernel.errors import LedgerOwned, LedgerUnavailable

Kind = Literal["owner", "client"]
_POLL_S: Final = 0.01
_WRITING_S: Final = 0.2
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DEAD: Final = frozenset("ZXx")


class Holder(msgspec.Struct, frozen=True):
    """A process that holds a ledger, as it wrote itself into the lock file; `started` is in clock ticks after boot."""

    kind: Kind
    who: str
    host: str
    pid: int
    boot_id: str
    started: str
    since_us: int

    def described(self) -> str:
        """The holder in words, for messages."""
        since = datetime.fromtimestamp(self.since_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{self.who!r} (pid {self.pid} on {self.host}, since {since})"

    def gone(self) -> bool:
        """Whether it surely no longer lives: it ran on this machine and is not there, or ran before the last boot."""
        if self.host != socket.gethostname():
            return False
        return self.boot_id != boot_id() or self.started != process_started(self.pid)


def boot_id() -> str:
    """What names this run of the machine; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def process_started(pid: int) -> str:
    """When a process of this machine began, in clock ticks after boot; empty when it is dead or nobody says."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    # The name of the program comes second, in parentheses, and may hold spaces: count from its end.
    state, *rest = stat.rpartition(")")[2].split()
    # A dead process stands there until its parent has asked how it ended, and some parents never do.
    return "" if state in _DEAD else rest[18]


def myself(kind: Kind, who: str, now_us: int) -> Holder:
    """This process as a holder."""
    pid = os.getpid()
    return Holder(kind, who, socket.gethostname(), pid, boot_id(), process_started(pid), now_us)


class OwnerLock:
    """Exclusive ownership by a lock on a separate file."""

    def __init__(self, ledger: str, path: Path) -> None:
        """`ledger` is what messages call the ledger, `path` the lock file."""
        self._ledger = ledger
        self._path = path
        self._file: int | None = None
        self._made = False

    def acquire(self, holder: Holder, wait_s: float) -> None:
        """Take the lock; a client that holds it for its one commit is waited for.

        Raises:
            LedgerOwned: an owner holds it, or a client for longer than `wait_s`.
            LedgerUnavailable: the lock file cannot be made.
        """
        file = self._locked(wait_s)
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, msgspec.json.encode(holder), 0)
        except OSError as error:
            os.close(file)
            raise LedgerUnavailable(self._ledger, f"cannot write {self._path}: {error.strerror}") from error
        except BaseException:
            os.close(file)
            raise
        self._file = file
        os.register_at_fork(after_in_child=_forget(self))

    def release(self) -> None:
        """Let go; safe to call twice."""
        if self._file is not None:
            # A successor must not read the name of one that left in peace.
            os.ftruncate(self._file, 0)
            self.drop()

    def undo(self) -> None:
        """Let go, and take the file away if this made it."""
        if self._file is not None and self._made:
            self._path.unlink(missing_ok=True)
        self.release()

    def drop(self) -> None:
        """Close the file; a lock that another process inherited it from stays as it is."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _locked(self, wait_s: float) -> int:
        while True:
            file = self._open()
            try:
                self._wait(file, wait_s)
                if self._is_there(file):
                    return file
            except OSError as error:
                os.close(file)
                raise LedgerUnavailable(self._ledger, f"cannot lock {self._path}: {error.strerror}") from error
            except BaseException:
                os.close(file)
                raise
            # Whoever held it took the file away, and another may hold the one that is there now.
            os.close(file)

    def _open(self) -> int:
        folder = self._path.parent
        self._made = False
        try:
            with suppress(FileExistsError):
                file = os.open(self._path, _FLAGS | os.O_EXCL, 0o600)
                self._made = True
                return file
            return os.open(self._path, _FLAGS, 0o600)
        except FileNotFoundError as error:
            reason = f"there is no folder {folder}; create it, or use another path"
            raise LedgerUnavailable(self._ledger, reason) from error
        except OSError as error:
            raise LedgerUnavailable.unwritable(self._ledger, folder, error.strerror) from error

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _wait(self, file: int, wait_s: float) -> None:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._judge(file, time.monotonic() - began, wait_s)
                time.sleep(_POLL_S)
            else:
                return

    def _judge(self, file: int, waited_s: float, wait_s: float) -> None:
        """Go on waiting, or raise with the name of the holder."""
        text = os.pread(file, 65_536, 0)
        try:
            holder = msgspec.json.decode(text, type=Holder)
        except msgspec.DecodeError:
            holder = None
        if holder is None or holder.gone():
            # Whoever took the lock is about to write its name over what is here.
            if waited_s >= max(_WRITING_S, wait_s):
                raise LedgerOwned(self._ledger, "a process that does not say its name")
        elif holder.kind == "owner" or waited_s >= wait_s:
            raise LedgerOwned(self._ledger, holder.described())


def _forget(lock: OwnerLock) -> Callable[[], None]:
    # A forked child shares the lock; without this it would hold the ledger after the death of its parent.
    reference = weakref.ref(lock)

    def after_in_child() -> None:
        held = reference()
        if held is not None:
            held.drop()

    return after_in_child
