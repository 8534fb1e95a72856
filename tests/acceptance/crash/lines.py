"""Files that a killed process leaves whole: a line is one write, and it is there once that write returned."""

import json
import os
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Lines:
    """Appends lines of JSON; several processes and threads may share the file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(self, line: Line) -> None:
        """Write a line; it survives the death of this process."""
        os.write(self._file, encoded(line))

    def append_durably(self, line: Line) -> None:
        """Write a line and wait until the disk has it."""
        self.copy_durably(encoded(line))

    def copy_durably(self, line: bytes) -> None:
        """The same for a line that is encoded already."""
        os.write(self._file, line)
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def encoded(line: Line) -> bytes:
    """A line as it is written."""
    return json.dumps(line).encode() + b"\n"


def read(path: Path) -> list[Line]:
    """Every line of a file, oldest first; none when there is no file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
