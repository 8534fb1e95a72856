"""What goes to standard output: one JSON object, or lines and tables for people."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import msgspec

from wsaios.cli.streams import write

_CONTROLS: Final = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}


def print_json(value: object) -> None:
    """One line on standard output; times as RFC 3339."""
    write((msgspec.json.encode(value).decode(), "\n"))


def print_lines(lines: Iterable[str]) -> None:
    """Text on standard output."""
    write(f"{line}\n" for line in lines)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines with columns as wide as their widest cell; numbers stand to the right."""
    cells = [[_first_line(_cell(value)) for value in row] for row in rows]
    numeric = [bool(cells) and all(_number(row[column]) for row in cells) for column in range(len(header))]
    widths = [max(len(row[column]) for row in [list(header), *cells]) for column in range(len(header))]
    for row in [list(header), *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        yield "  ".join(parts).rstrip()


def fields(pairs: Iterable[tuple[str, object]]) -> Iterator[str]:
    """Lines of a name and a value each; what is None or empty is left out."""
    shown = [(name, _first_line(_cell(value))) for name, value in pairs if value is not None and value != ""]
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        yield f"{name.ljust(width)}  {text}"


def plain(value: object) -> Any:
    """A Struct or NamedTuple as what `print_json` writes by name."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(each) for name, each in msgspec.structs.asdict(value).items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    return value


@contextmanager
def only_json() -> Iterator[None]:
    """Inside, whatever is printed by the code of users or by children goes to standard error."""
    sys.stdout.flush()
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(output, sys.stdout.fileno())
        os.close(output)


def printable(text: str) -> str:
    """The text with control characters as escapes: what a handler says must not steer a terminal."""
    return text.translate(_CONTROLS)


def _first_line(text: str) -> str:
    line, end, _ = text.partition("\n")
    return printable(f"{line.rstrip()} …" if end else line)


def _number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "", 1).removesuffix("%").isdecimal()


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)
