"""JSON lines: one object on each line."""

from collections.abc import Iterable, Iterator

import msgspec

from wsaios.kernel.errors import InputError
from wsaios.planning.chunks import as_text, line_blocks
from wsaios.planning.json_fault import REFUSALS, fault_of, name_of
from wsaios.planning.rows import Row


def jsonl_rows(chunks: Iterable[bytes], source: str) -> Iterator[Row]:
    """One row per line that is not blank. Of equal keys in one object the last one counts, as JSON readers have it.

    Raises: InputError for a line that is not JSON, that is no object, or that is not UTF-8.
    """
    decode = msgspec.json.Decoder().decode
    number = 0
    for block in line_blocks(chunks, source):
        for line, data in enumerate(block.lines, block.line):
            try:
                values = decode(data)
            except REFUSALS as refusal:
                if not data.strip():
                    continue
                offset = block.offset_of(line - block.line)
                raise _broken(as_text(data, source, offset, line), source, line, refusal) from refusal
            if type(values) is not dict:
                reason = f'this is {name_of(values)}; each line must be an object such as {{"text": "…"}}'
                raise InputError(source, f"line {line}", reason)
            number += 1
            yield Row(number, line, values)


def _broken(text: str, source: str, line: int, refusal: Exception) -> InputError:
    fault = fault_of(text.rstrip("\r\n"), refusal)
    if fault is None or fault.position is None:
        return InputError(source, f"line {line}", f"broken JSON: {fault.reason if fault else refusal}")
    return InputError(source, f"line {line}, column {fault.position + 1}", f"broken JSON: {fault.reason}")
