"""The input of a batch as a file, read in chunks and as often as needed."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wsaios.kernel.errors import InputError
from wsaios.planning.chunks import ContentDigest

CHUNK_BYTES: Final = 1 << 18
OnBytes = Callable[[int], None]
"""Called with how many bytes were read so far."""


class InputFile:
    """A regular file. `source` is how the caller named it, and what errors call it."""

    def __init__(self, source: str) -> None:
        """Look at the file without reading it.

        Raises:
            InputError: there is no such file, it is none, or it is empty.
        """
        self.source = source
        self.path = Path(source).absolute()
        if not is_text(str(self.path)):
            raise InputError(
                ascii(source), "", "the name of the file or of its folder is not UTF-8; give it another one"
            )
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            raise InputError(source, "", "no such file") from error
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise InputError(source, "", f"this is {what}; an input is a file, because it is read more than once")
        self.size_bytes = found.st_size
        if not self.size_bytes:
            raise InputError(source, "", "the file is empty")

    def chunks(self, on_bytes: OnBytes | None = None) -> Iterator[bytes]:
        """The bytes from the start.

        Raises:
            InputError: it cannot be read.
        """
        done = 0
        try:
            with self.path.open("rb", buffering=0) as file:
                while chunk := file.read(CHUNK_BYTES):
                    done += len(chunk)
                    if on_bytes is not None:
                        on_bytes(done)
                    yield chunk
        except OSError as error:
            raise self._unreadable(error) from error

    def unchanged(self, digest: str) -> "Unchanged":
        """The chunks, with a check at the end that they are still those of `digest`."""
        return Unchanged(self, digest)

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(self.source, "", f"it cannot be read: {getattr(error, 'strerror', None) or error}")


def is_text(name: str) -> bool:
    """Whether a name of a file can be written in the ledger and in answers, which are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class Unchanged:
    """The chunks of a file that must be what they were when it was checked."""

    def __init__(self, file: InputFile, digest: str) -> None:
        self._file = file
        self._digest = digest
        self._content = ContentDigest(file.chunks())

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._content)

    def prove(self) -> None:
        """Read what is left and compare.

        Raises:
            InputError: the file was changed meanwhile.
        """
        if self._content.whole() != self._digest:
            raise InputError(
                self._file.source, "", "the file was changed while the batch ran; put it back as it was and run again"
            )
