"""The bytes of an input: byte order mark, lines, encoding, digest. Chunks may be cut anywhere."""

import codecs
import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from wsaios.kernel.errors import InputError
from wsaios.planning.rows import MAX_ROW_BYTES

WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


class ContentDigest:
    """The chunks of an input, and the SHA-256 of all that was drawn through here."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            yield chunk

    def whole(self) -> str:
        """The digest of the whole input, in hex; draws what a reader left."""
        for _ in self:
            pass
        return self._hash.hexdigest()


class LineBlock(NamedTuple):
    """Whole lines with their ends, and the same in one piece; the first is line `line` and begins at byte `offset`."""

    offset: int
    line: int
    data: bytes
    lines: list[bytes]

    def offset_of(self, index: int) -> int:
        """The byte of the file at which the line of this index begins."""
        return self.offset + sum(map(len, self.lines[:index]))


def after_mark(chunks: Iterable[bytes], source: str) -> tuple[int, Iterator[bytes]]:
    """The length of the byte order mark, 0 or 3, and the chunks behind it.

    Raises: InputError for UTF-16 and UTF-32.
    """
    rest = iter(chunks)
    head = b""
    while len(head) < len(codecs.BOM_UTF8):
        chunk = next(rest, None)
        if chunk is None:
            break
        head += chunk
    # Without a mark, text of plain letters in UTF-16 and UTF-32 shows by the NUL in its first two bytes.
    if head.startswith(WIDE_MARKS) or (len(head) > 1 and b"\0" in head[:2]):
        raise InputError(source, "byte 0", "this is UTF-16 or UTF-32; save the file as UTF-8")
    skipped = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    return skipped, chain((head[skipped:],), rest)


def line_blocks(chunks: Iterable[bytes], source: str) -> Iterator[LineBlock]:
    r"""All lines, each with the end it has: ``\n``, ``\r\n`` or ``\r``.

    Raises: InputError for a line longer than `MAX_ROW_BYTES`.
    """
    offset, rest = after_mark(chunks, source)
    line = 1
    pending: list[bytes] = []
    pending_bytes = 0
    for chunk in rest:
        # A \r at the very end may be the first half of \r\n.
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, -1)) + 1
        if cut:
            data = b"".join((*pending, chunk[:cut]))
            lines = data.splitlines(keepends=True)
            yield LineBlock(offset, line, data, lines)
            offset += len(data)
            line += len(lines)
            pending, pending_bytes = [], 0
        pending.append(chunk[cut:])
        pending_bytes += len(chunk) - cut
        if pending_bytes > MAX_ROW_BYTES:
            raise InputError(source, f"line {line}", f"longer than {MAX_ROW_BYTES >> 20} MiB")
    data = b"".join(pending)
    yield LineBlock(offset, line, data, data.splitlines(keepends=True))


def as_text(data: bytes, source: str, offset: int, line: int, *, complete: bool = True) -> str:
    """`data`, which begins at byte `offset` in line `line`, as text.

    Unless it is `complete`, a character that is cut at its end is left out.
    Raises: InputError with the place of the first byte, counted from 0, that is not UTF-8.
    """
    try:
        return codecs.utf_8_decode(data, "strict", complete)[0]
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        reason = f"0x{data[error.start]:02x} is not UTF-8 here ({error.reason}); save the file as UTF-8"
        raise InputError(source, f"byte {offset + error.start}, line {line}", reason) from error
