"""A JSON array of objects, read one object at a time."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

import msgspec

from wsaios.kernel.errors import InputError
from wsaios.planning.chunks import after_mark, as_text
from wsaios.planning.json_fault import REFUSALS, fault_of
from wsaios.planning.rows import MAX_ROW_BYTES, Row

_INK: Final = re.compile(rb"[^ \t\r\n]")
_BETWEEN: Final = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+(?=\{)")
# Text without brackets and whole strings, then one bracket; possessive, so that a cut string fails at once.
_TO_BRACKET: Final = re.compile(rb'(?s:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+[{}\[\]]')
_OPENING: Final = b"{["
_NAMES: Final = {b"[": "an array", b'"': "a text", b"t": "true", b"f": "false", b"n": "null"} | {
    b"%c" % digit: "a number" for digit in b"-0123456789"
}


def json_rows(chunks: Iterable[bytes], source: str) -> Iterator[Row]:
    """One row per element. Of equal keys in one object the last one counts, as JSON readers have it.

    Raises: InputError for anything but one whole array of objects in UTF-8.
    """
    array = _Array(chunks, source)
    number = 0
    more = array.to_first()
    while more:
        number += 1
        line = array.line
        yield Row(number, line, array.take_object(number))
        more = array.to_next(number)
    array.to_end()


class _Array:
    """The part of the file in memory: `_data`, of which all before `_at` is read; `line` is that of `_at`."""

    def __init__(self, chunks: Iterable[bytes], source: str) -> None:
        self.line = 1
        self._source = source
        self._offset, self._chunks = after_mark(chunks, source)
        self._data = b""
        self._at = 0
        self._decode = msgspec.json.Decoder().decode

    def to_first(self) -> bool:
        """Moves to the first object; False if the array is empty."""
        found = self._next_ink()
        if found != b"[":
            self._refuse_start(found)
        self._at += 1
        found = self._next_ink()
        if found not in {b"{", b"]"}:
            self._refuse_element(found, 1)
        return found == b"{"

    def to_next(self, number: int) -> bool:
        """Moves from behind object `number` to the next one; False if there is none."""
        between = _BETWEEN.match(self._data, self._at)
        if between:
            self._advance(between.end())
            return True
        found = self._next_ink()
        if found == b"]":
            return False
        if found != b",":
            self._refuse(found, f"after row {number}", "a comma or ] must follow the object")
        self._at += 1
        found = self._next_ink()
        if found != b"{":
            self._refuse_element(found, number + 1)
        return True

    def to_end(self) -> None:
        """Moves from the closing bracket to the end of the file."""
        self._at += 1
        found = self._next_ink()
        if found:
            self._refuse(found, "after the array", "nothing may follow the ] that closes it")

    def take_object(self, number: int) -> dict[str, Any]:
        """The object that begins here; moves behind it."""
        data, start = self._data, self._at
        # No whole JSON object begins another one: if the bytes up to the first } are an object, they are this one.
        end = data.find(b"}", start) + 1
        if end and data.find(b"{", start + 1, end) < 0:
            try:
                values: dict[str, Any] = self._decode(data[start:end])
            except REFUSALS:
                pass
            else:
                self._advance(end)
                return values
        return self._take_scanned(number)

    def _take_scanned(self, number: int) -> dict[str, Any]:
        end = self._object_end(number)
        data = self._data[self._at : end]
        try:
            values: dict[str, Any] = self._decode(data)
        except REFUSALS as refusal:
            text = as_text(data, self._source, self._offset + self._at, self.line)
            raise self._broken(text, number, refusal) from refusal
        self._advance(end)
        return values

    def _object_end(self, number: int) -> int:
        depth = 0
        end = self._at
        while True:
            found = _TO_BRACKET.match(self._data, end)
            if found is None:
                end -= self._at
                if len(self._data) - self._at > MAX_ROW_BYTES or not self._extend():
                    self._refuse_unclosed(number)
                continue
            end = found.end()
            if self._data[end - 1] in _OPENING:
                depth += 1
            elif depth == 1:
                return end
            else:
                depth -= 1

    def _next_ink(self) -> bytes:
        # The next byte that is not white space; empty at the end of the file.
        while True:
            found = _INK.search(self._data, self._at)
            self._advance(found.start() if found else len(self._data))
            if found:
                return found[0]
            if not self._extend():
                return b""

    def _advance(self, end: int) -> None:
        self.line += self._data.count(b"\n", self._at, end)
        self._at = end

    def _extend(self) -> bool:
        # At least doubling what is kept makes scanning it again, after each extension, linear in all.
        pieces = [self._data[self._at :]]
        wanted = max(len(pieces[0]), 1)
        self._offset += self._at
        self._at = 0
        added = 0
        for chunk in self._chunks:
            pieces.append(chunk)
            added += len(chunk)
            if added >= wanted:
                break
        self._data = b"".join(pieces)
        return added > 0

    def _refuse(self, found: bytes, where: str, rule: str) -> NoReturn:
        if not found:
            raise InputError(self._source, f"line {self.line}", f"the file ends {where}, before a ] closes the array")
        while len(self._data) - self._at < 4 and self._extend():  # noqa: PLR2004 - the longest character
            pass
        offset = self._offset + self._at
        data = self._data[self._at : self._at + 4]
        text = as_text(data, self._source, offset, self.line, complete=len(data) < 4)  # noqa: PLR2004 - the same
        reason = f"broken JSON at byte {offset}: {text[:1]!r} {where}; {rule}"
        raise InputError(self._source, f"line {self.line}", reason)

    def _refuse_start(self, found: bytes) -> NoReturn:
        if not found:
            raise InputError(self._source, "", "the file is empty")
        if found == b"{":
            reason = "an object, not an array; put [ ] around the rows, or name a file of one object per line .jsonl"
        elif found in _NAMES:
            reason = f"{_NAMES[found]}, not an array of objects"
        else:
            self._refuse(found, "at the start", "a JSON file of rows is an array of objects: [{…}, {…}]")
        raise InputError(self._source, f"line {self.line}", reason)

    def _refuse_element(self, found: bytes, number: int) -> NoReturn:
        if found in _NAMES:
            reason = f"this is {_NAMES[found]}; each element of the array must be an object"
            raise InputError(self._source, f"row {number}, line {self.line}", reason)
        self._refuse(found, f"where row {number} should begin", "each element of the array must be an object")

    def _refuse_unclosed(self, number: int) -> NoReturn:
        data = self._data[self._at :]
        offset = self._offset + self._at
        at_end = len(data) <= MAX_ROW_BYTES
        text = as_text(data, self._source, offset, self.line, complete=at_end).rstrip()
        fault = fault_of(text)
        if fault and fault.position is not None and fault.position < len(text):
            raise self._broken(text, number, None)
        reason = "the file ends inside this row" if at_end else f"the row is longer than {MAX_ROW_BYTES >> 20} MiB"
        raise InputError(self._source, f"row {number}, line {self.line}", f"{reason}; is a }} or a quote missing?")

    def _broken(self, text: str, number: int, refusal: Exception | None) -> InputError:
        fault = fault_of(text, refusal)
        line = self.line
        if fault is None or fault.position is None:
            reason = f"broken JSON: {fault.reason if fault else refusal}"
        else:
            before = text[: fault.position]
            line += before.count("\n")
            reason = f"broken JSON at byte {self._offset + self._at + len(before.encode())}: {fault.reason}"
        return InputError(self._source, f"row {number}, line {line}", reason)
