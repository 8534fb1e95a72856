"""Reads the input of a batch row by row, in constant memory, and checks all of it before anything runs."""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InputError, InvalidInput
from wsaios.kernel.task import MAX_PAYLOAD_BYTES
from wsaios.planning.chunks import ContentDigest
from wsaios.planning.csv_rows import csv_rows
from wsaios.planning.json_rows import json_rows
from wsaios.planning.jsonl_rows import jsonl_rows
from wsaios.planning.mapping import Mapping, listed, missing_column, row_id
from wsaios.planning.repeated_ids import IdHashes, repeat_among
from wsaios.planning.rows import Kind, Row

_READERS: Final[dict[Kind, Callable[[Iterable[bytes], str], Iterator[Row]]]] = {
    "csv": csv_rows,
    "json": json_rows,
    "jsonl": jsonl_rows,
}
_KINDS: Final[dict[str, Kind]] = {"csv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}
MAX_ROWS: Final = 1_000_000_000


class Intake(msgspec.Struct, frozen=True):
    """Which rows of an input become tasks, and with which arguments.

    `source` is the name that errors show. `limit`: only so many rows, from the first; None is all. `id_column` None: a
    row's id is its number. `required` and `accepted` are argument names of the handler; `accepted` None: it takes any.
    """

    source: str
    kind: Kind
    mapping: Mapping = Mapping()
    id_column: str | None = None
    limit: int | None = None
    required: frozenset[str] = frozenset()
    accepted: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not 1 <= self.limit <= MAX_ROWS:
            raise InvalidInput(
                "--limit", f"{self.limit} is not a number of rows; it must be 1 or more, and at most {MAX_ROWS:,}"
            )


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row as a task: its number and line, its id in the results, the handler's arguments."""

    number: int
    line: int
    id: str | int
    arguments: dict[str, Any]


class Checked(msgspec.Struct, frozen=True):
    """An input that can run: how many rows become tasks, and the SHA-256 of the whole file in hex."""

    rows: int
    digest: str


def kind_of(filename: str) -> Kind:
    """What a file of this name holds, by its suffix.

    Raises: InputError for any other suffix.
    """
    suffix = filename.rpartition(".")[2].lower() if "." in filename else ""
    kind = _KINDS.get(suffix)
    if kind is None:
        raise InputError(
            filename, "", "the name must end in .csv, .json, .jsonl or .ndjson, to tell what the file holds"
        )
    return kind


def read_rows(chunks: Iterable[bytes], *, source: str, kind: Kind) -> Iterator[Row]:
    """All data rows, in order; holds one row and about two chunks in memory.

    Raises: InputError, at the row where the fault is, and for an input without data rows.
    """
    rows = _READERS[kind](chunks, source)
    first = next(rows, None)
    if first is None:
        raise InputError(source, "", "there is no data row in it")
    yield first
    yield from rows


def entries(chunks: Iterable[bytes], intake: Intake) -> Iterator[Entry]:
    """The rows as tasks, up to the limit; ids are not compared.

    Without a mapping, the id column is an argument only if the handler accepts one of that name.
    Raises: InputError as `read_rows`, and for a missing column or id, arguments that the handler lacks or does not
    know, and arguments of more than 1 MiB of JSON.
    """
    source, id_column, mapping = intake.source, intake.id_column, intake.mapping
    required, accepted = intake.required, intake.accepted
    if mapping.pairs:
        _check_arguments(mapping, intake)
    drops_id = id_column is not None and not mapping.pairs and accepted is not None and id_column not in accepted
    encode = msgspec.json.Encoder().encode_into
    payload = bytearray()
    for row in islice(read_rows(chunks, source=source, kind=intake.kind), intake.limit):
        identity = row.number if id_column is None else row_id(row, id_column, source=source)
        if mapping.pairs:
            arguments = mapping.apply(row, source=source)
        else:
            arguments = row.values
            if drops_id:
                arguments = {name: value for name, value in arguments.items() if name != id_column}
            if not (arguments.keys() >= required and (accepted is None or arguments.keys() <= accepted)):
                raise _wrong_columns(row, arguments.keys(), intake)
        encode(arguments, payload)
        if len(payload) > MAX_PAYLOAD_BYTES:
            reason = f"the arguments take {len(payload):,} bytes of JSON; at most {MAX_PAYLOAD_BYTES:,} are taken"
            raise InputError(source, row.place, reason)
        yield Entry(row.number, row.line, identity, arguments)


def check(open_chunks: Callable[[], Iterable[bytes]], intake: Intake) -> Checked:
    """Proves in one pass that every row up to the limit can become a task.

    `open_chunks` begins at the start at each call; a second pass is made only to name a repeated id. The digest covers
    the whole file, also what lies behind the limit.
    Raises: InputError for the first fault, and for an id that stands in two rows.
    """
    content = ContentDigest(open_chunks())
    count = 0
    if intake.id_column is None:
        for _ in entries(content, intake):
            count += 1
    else:
        hashes = IdHashes()
        for entry in entries(content, intake):
            hashes.add(entry.id)
            count += 1
        suspects = hashes.suspects()
        if suspects:
            _refuse_repeat(open_chunks(), intake, suspects)
    return Checked(count, content.whole())


def _refuse_repeat(chunks: Iterable[bytes], intake: Intake, suspects: set[int]) -> None:
    repeat = repeat_among(((entry.number, entry.id) for entry in entries(chunks, intake)), suspects)
    if repeat is not None:
        reason = f"id {repeat.id!r} in column {intake.id_column!r} stands in row {repeat.first} already"
        raise InputError(intake.source, f"row {repeat.second}", reason)


def _check_arguments(mapping: Mapping, intake: Intake) -> None:
    given = {argument for argument, _ in mapping.pairs}
    lacking = sorted(intake.required - given)
    if lacking:
        raise InvalidInput("--map", f"the handler also needs {listed(lacking)}; map a column to each")
    unknown = [] if intake.accepted is None else sorted(given - intake.accepted)
    if unknown:
        raise InvalidInput(
            "--map", f"the handler has no argument {listed(unknown)}; it takes {listed(sorted(intake.accepted or ()))}"
        )


def _wrong_columns(row: Row, columns: AbstractSet[str], intake: Intake) -> InputError:
    lacking = sorted(intake.required - columns)
    if lacking:
        return missing_column(row, lacking[0], intake.source, f"; --map {lacking[0]}=COLUMN takes another one")
    unknown = sorted(columns - (intake.accepted or frozenset()))
    reason = f"the handler has no argument {listed(unknown)}; choose what to pass with --map argument=column"
    return InputError(intake.source, row.place, reason)
