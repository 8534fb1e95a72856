"""CSV with a header row, by the standard library's reader in strict mode."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from wsaios.kernel.errors import InputError
from wsaios.kernel.views import amount
from wsaios.planning.chunks import LineBlock, as_text, line_blocks
from wsaios.planning.rows import MAX_ROW_BYTES, Row


def csv_rows(chunks: Iterable[bytes], source: str) -> Iterator[Row]:
    """One row per record; values are text, as written. Lines with nothing on them are skipped.

    Raises: InputError for a header with empty or equal names, a row with more or fewer fields, broken quotes, NUL, and
    bytes that are not UTF-8.
    """
    # This limit belongs to the process: it is only ever raised, so readers in several threads disturb no other.
    if csv.field_size_limit() < MAX_ROW_BYTES:
        csv.field_size_limit(MAX_ROW_BYTES)
    text = chain.from_iterable(_decoded(block, source) for block in line_blocks(chunks, source))
    reader = csv.reader(text, strict=True)
    line = 1
    number = 0
    columns: list[str] = []
    width = -1
    try:
        for fields in reader:
            if len(fields) == width:
                number += 1
                yield Row(number, line, dict(zip(columns, fields, strict=True)))
            elif not _is_blank(fields):
                if columns:
                    raise _wrong_width(source, f"row {number + 1}, line {line}", width, fields)
                columns = _header(fields, source, line)
                width = len(columns)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(source, f"line {line}", _reason(error, line, reader.line_num)) from error


def _decoded(block: LineBlock, source: str) -> Iterable[str]:
    if b"\0" not in block.data:
        try:
            return list(map(bytes.decode, block.lines))
        except UnicodeDecodeError:
            pass
    return _up_to_fault(block, source)


def _up_to_fault(block: LineBlock, source: str) -> Iterator[str]:
    # Line by line, so that the first error of the file is the one that is reported, however the chunks are cut.
    for index, data in enumerate(block.lines):
        line = block.line + index
        text = as_text(data, source, block.offset_of(index), line)
        if "\0" in text:
            raise InputError(source, f"line {line}", "holds a NUL byte, as no text does; is this a CSV file in UTF-8?")
        yield text


def _is_blank(fields: list[str]) -> bool:
    return not fields or (len(fields) == 1 and fields[0].isspace())


def _header(fields: list[str], source: str, line: int) -> list[str]:
    for place, field in enumerate(fields, 1):
        if not field.strip():
            raise InputError(source, f"line {line}", f"column {place} of the header has no name")
    name, times = Counter(fields).most_common(1)[0]
    if times > 1:
        raise InputError(
            source, f"line {line}", f"the header has {times} columns named {name!r}; give each its own name"
        )
    return fields


def _wrong_width(source: str, place: str, width: int, fields: list[str]) -> InputError:
    reason = f"{amount(len(fields), 'field')}, but the header has {width}"
    if len(fields) > width:
        reason += "; a value that holds a comma needs quotes around it"
    return InputError(source, place, reason)


def _reason(error: csv.Error, line: int, last_line: int) -> str:
    message = str(error)
    if "end of data" in message:
        return "a quote that opens in this row is not closed before the file ends"
    if "field larger" in message:
        return f"a field is longer than {MAX_ROW_BYTES >> 20} Mi characters; is a closing quote missing?"
    found = f", found on line {last_line}" if last_line > line else ""
    return f"broken quotes{found}: {message}"
