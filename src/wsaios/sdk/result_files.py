"""The files that a batch leaves: results and errors, each whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.failpoints import Failpoint
from wsaios.kernel.states import State
from wsaios.kernel.task import Outcome
from wsaios.sdk.input_file import is_text

_BUFFER_BYTES: Final = 1 << 20
_SUCCEEDED: Final = int(State.SUCCEEDED)
_encode: Final = msgspec.json.Encoder().encode
RowId = str | int


class Paths(msgspec.Struct, frozen=True):
    """Where results go, and the failed rows beside them."""

    results: Path
    errors: Path

    @classmethod
    def of(cls, out: str) -> "Paths":
        """The absolute paths for ``--out``; links are followed.

        Raises:
            InvalidInput: no file can be made there.
        """
        results = Path(os.path.realpath(out))
        if not out or out.endswith(os.sep) or results.is_dir():
            raise InvalidInput("--out", f"{out!r} is a folder; name a file in it, such as results.jsonl")
        if not results.parent.is_dir():
            raise InvalidInput("--out", f"there is no folder {results.parent}; create it, or name another")
        if results.exists() and not results.is_file():
            raise InvalidInput("--out", f"{out} is no regular file, so it cannot appear whole")
        if not os.access(results.parent, os.W_OK):
            raise InvalidInput("--out", f"the folder {results.parent} cannot be written")
        if not is_text(str(results)):
            raise InvalidInput("--out", f"{str(results)!a} is not UTF-8; name another")
        return cls(results, errors_beside(results))

    def existing(self) -> list[Path]:
        """Those of the two that are there."""
        return [path for path in (self.results, self.errors) if path.exists()]


class ResultFiles:
    """Takes the outcomes of all rows in input order; nothing is in its place before `place`."""

    def __init__(self, paths: Paths, results: BinaryIO, errors: BinaryIO) -> None:
        self._paths = paths
        self._results = results
        self._errors = errors
        self._failed = False

    def add(self, number: int, row_id: RowId, outcome: Outcome, result: bytes) -> None:
        """The outcome of data row `number`, from 1."""
        if outcome.state == _SUCCEEDED:
            self._results.write(b'{"id":%b,"result":%b}\n' % (_encode(row_id), result))
            return
        failure, word = outcome.failure, State(outcome.state).word
        kind = failure.kind if failure is not None else word.capitalize()
        message = failure.message if failure is not None else outcome.body.reason or word
        self._errors.write(_encode({"id": row_id, "row": number, "type": kind, "message": message}) + b"\n")
        self._failed = True

    def sync(self) -> None:
        """Make what was written durable, still aside."""
        for file in (self._results, self._errors):
            file.flush()
            os.fsync(file.fileno())

    def differ(self) -> bool:
        """Whether what stands in the two places is anything else than what was written."""
        return not (_equal(self._paths.results, aside(self._paths.results)) and self._errors_equal())

    def place(self, failpoint: Failpoint) -> None:
        """Put both into their places, the errors first: where there are results, there are their errors."""
        if self._failed:
            _replace(self._paths.errors, failpoint)
        else:
            self._paths.errors.unlink(missing_ok=True)
        _replace(self._paths.results, failpoint)
        folder = os.open(self._paths.results.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _errors_equal(self) -> bool:
        if self._failed:
            return _equal(self._paths.errors, aside(self._paths.errors))
        return not self._paths.errors.exists()


@contextmanager
def result_files(paths: Paths) -> Iterator[ResultFiles]:
    """Files to be written aside; what was not placed is gone at the end.

    Raises:
        InvalidInput: the disk is full or the folder cannot be written.
    """
    try:
        with (
            aside(paths.results).open("wb", buffering=_BUFFER_BYTES) as results,
            aside(paths.errors).open("wb", buffering=_BUFFER_BYTES) as errors,
        ):
            yield ResultFiles(paths, results, errors)
    except OSError as error:
        reason = (
            f"{paths.results} cannot be written: {error.strerror or error}; nothing is lost, run the same command again"
        )
        raise InvalidInput("--out", reason) from error
    finally:
        for path in (paths.results, paths.errors):
            with suppress(OSError):
                aside(path).unlink(missing_ok=True)


def errors_beside(results: Path) -> Path:
    """Where failed rows go when results go there."""
    return results.with_name(f"{results.stem}.errors{results.suffix}")


def aside(path: Path) -> Path:
    """Where a file is written before it appears: hidden, in the same folder."""
    return path.with_name(f".{path.name}.tmp")


def _replace(path: Path, failpoint: Failpoint) -> None:
    failpoint("batch.before_rename")
    aside(path).replace(path)
    failpoint("batch.after_rename")


def _equal(path: Path, other: Path) -> bool:
    try:
        if path.stat().st_size != other.stat().st_size:
            return False
        with path.open("rb") as one, other.open("rb") as two:
            while piece := one.read(_BUFFER_BYTES):
                if piece != two.read(_BUFFER_BYTES):
                    return False
    except FileNotFoundError:
        return False
    return True
