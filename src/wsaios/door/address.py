"""Where the socket of a ledger is: beside it, or in a private folder when that path is too long for a socket."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from wsaios.kernel.errors import LedgerUnavailable

# Source: unix(7), sun_path holds 108 bytes, the last one is zero.
MAX_PATH_BYTES: Final = 107
_PRIVATE: Final = 0o600


def beside(ledger: Path) -> Path:
    """The socket's name in the ledger's folder; a link when the socket itself is elsewhere."""
    return ledger.with_name(f"{ledger.name}.sock")


def socket_of(ledger: Path) -> Path | None:
    """Where to connect, or None when nobody can be there."""
    name = beside(ledger)
    with suppress(OSError):
        return name.readlink()
    return name if _fits(name) else None


def identity(ledger: Path) -> str:
    """What tells this file from any other that stood or will stand under its name; empty when there is none."""
    return _name_of(ledger, follow=True)


class Address:
    """The place of one live owner's socket, from `bind` to `leave`. Only who holds the ledger's lock may use it."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._name = beside(ledger)
        self._made: list[tuple[Path, str]] = []

    def bind(self) -> socket.socket:
        """A socket of mode 0600 in place, not listening yet; what a dead owner left there is replaced.

        Raises:
            LedgerUnavailable: something else is in the way, or the file system takes no sockets.
        """
        place = self._name if _fits(self._name) else self._elsewhere()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            for path in {place, self._name}:
                self._clear(path)
            _bind(made, place)
            self._made.append((place, _name_of(place)))
            if place != self._name:
                self._name.symlink_to(place)
                self._made.append((self._name, _name_of(self._name)))
        except OSError as error:
            made.close()
            reason = f"cannot serve clients at {place}: {error.strerror}; Settings(serves=False) does without"
            raise LedgerUnavailable(str(self._ledger), reason) from error
        except BaseException:
            made.close()
            raise
        return made

    def leave(self) -> None:
        """Take the name away, while the lock is still held; safe to call twice."""
        while self._made:
            path, made = self._made.pop()
            # A file of another owner stands there when the ledger was deleted under this one.
            if _name_of(path) == made:
                path.unlink(missing_ok=True)

    def _clear(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if not stat.S_ISSOCK(mode) and not stat.S_ISLNK(mode):
                reason = f"{path} is in the way, clients are served there; move it elsewhere"
                raise LedgerUnavailable(str(self._ledger), reason)
            path.unlink()

    def _elsewhere(self) -> Path:
        name = f"{blake2b(os.fsencode(self._ledger.resolve()), digest_size=12).hexdigest()}.sock"
        for folder in _folders():
            if _fits(folder / name) and _made_private(folder):
                return folder / name
        reason = f"the path {self._name} is too long for a socket, and no private folder is short; set XDG_RUNTIME_DIR"
        raise LedgerUnavailable(str(self._ledger), reason)


def _bind(made: socket.socket, place: Path) -> None:
    try:
        # Linux gives the file the bits of the socket, so it is never open to others, not even for a moment.
        os.fchmod(made.fileno(), _PRIVATE)
    except OSError:
        before = os.umask(0o777 & ~_PRIVATE)
        try:
            made.bind(str(place))
        finally:
            os.umask(before)
    else:
        made.bind(str(place))
    place.chmod(_PRIVATE)


def _folders() -> Iterator[Path]:
    name = f"wsaios-{os.getuid()}"
    for root in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108  # checked to be private
        if root:
            yield Path(root).absolute() / name


def _made_private(folder: Path) -> bool:
    """Whether the folder is there, ours alone and no link of somebody else's."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _name_of(path: Path, *, follow: bool = False) -> str:
    try:
        found = path.stat(follow_symlinks=follow)
    except OSError:
        return ""
    return f"{found.st_dev:x}-{found.st_ino:x}"


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_PATH_BYTES
