"""A disk that forgets: what was not synced when the power went out is lost, kept or torn, as chance will have it."""

import random
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


class PowerCut(apsw.IOError):
    """The power is out; nothing more reaches the disk."""


class _File:
    """What of one file is on the disk for sure, and what is only on its way."""

    def __init__(self) -> None:
        self.durable: bytearray | None = None
        self.pending: list[tuple[int, bytes | None]] = []

    def synced(self) -> None:
        self.durable = _apply(self.durable or bytearray(), self.pending)
        self.pending = []

    def after_cut(self, rng: random.Random) -> bytes | None:
        """What a file may hold after the cut: each sector of an unsynced write made it or did not."""
        if self.durable is None and rng.random() < 0.5:
            return None
        survived: list[tuple[int, bytes | None]] = []
        luck = rng.choice([0.0, 0.5, 0.95, 1.0])
        for offset, data in self.pending:
            if data is None:
                survived += [(offset, None)] if rng.random() < luck else []
                continue
            for start in range(0, len(data), SECTOR):
                if rng.random() < luck:
                    survived.append((offset + start, data[start : start + SECTOR]))
        return bytes(_apply(self.durable or bytearray(), survived))


def _apply(content: bytearray, operations: list[tuple[int, bytes | None]]) -> bytearray:
    """`content` after writes (offset, data) and truncations (size, None)."""
    content = bytearray(content)
    for offset, data in operations:
        if data is None:
            del content[offset:]
            continue
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
    return content


class PowerVfs(apsw.VFS):
    """Passes everything on to the real files, and keeps book of what a power cut would leave of them.

    After the cut every operation fails, or, once it is `silent`, changes nothing in the book.
    """

    def __init__(self, name: str, cut_at: str, cut_after: int, *, deaf: bool = False) -> None:
        """The power goes out at the operation with number `cut_after` of those that begin with `cut_at`, such as
        ``"sync"`` or ``"write file"``; a `deaf` disk ignores every sync."""
        super().__init__(name, base="unix")
        self.files: dict[str, _File] = {}
        self.cut_at = cut_at
        self.deaf = deaf
        self.out = self.silent = False
        self._left = cut_after

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # the name that apsw calls
        return _PowerFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # the name that apsw calls
        self.operate("delete")
        super().xDelete(filename, syncdir)
        if not self.out:
            self.files.pop(filename, None)

    def operate(self, what: str) -> None:
        """Count one operation of the disk; the one that the cut falls on does not happen, nor any after it."""
        if not self.out and what.startswith(self.cut_at):
            if self._left == 0:
                self.out, self.cut_at = True, what
            self._left -= 1
        if self.out and not self.silent:
            raise PowerCut

    def cut(self) -> None:
        """The power is out, if it was not before; whoever goes on writes into the void."""
        if not self.out:
            self.out, self.cut_at = True, "idle"
        self.silent = True

    def leave(self, folder: Path, rng: random.Random) -> None:
        """Write into a folder what the disk holds after the cut."""
        for name, file in self.files.items():
            content = file.after_cut(rng)
            if content is not None:
                (folder / Path(name).name).write_bytes(content)


class _PowerFile(apsw.VFSFile):
    def __init__(self, disk: PowerVfs, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._disk = disk
        self._kind = "log" if path and path.endswith("-wal") else "file"
        self._book = disk.files.setdefault(path, _File()) if path else _File()

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # the name that apsw calls
        self._disk.operate(f"write {self._kind}")
        super().xWrite(data, offset)
        self._later(offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # the name that apsw calls
        self._disk.operate(f"truncate {self._kind}")
        super().xTruncate(newsize)
        self._later(newsize, None)

    def xSync(self, flags: int) -> None:  # noqa: N802  # the name that apsw calls
        self._disk.operate(f"sync {self._kind}")
        # The real file need not be synced: nobody cuts the power of this machine.
        if not self._disk.deaf and not self._disk.out:
            self._book.synced()

    def _later(self, offset: int, data: bytes | None) -> None:
        if not self._disk.out:
            self._book.pending.append((offset, data))
