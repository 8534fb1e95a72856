"""What the rows of a batch are called in its files: by the column that was named, else by number."""

from collections.abc import Collection, Mapping
from typing import Any

from wsaios.planning.inputs import kind_of, read_rows
from wsaios.planning.mapping import row_id
from wsaios.sdk.input_file import InputFile
from wsaios.sdk.result_files import RowId


def ids_of(meta: Mapping[str, Any], rows: Collection[int]) -> dict[int, RowId]:
    """The ids of these data rows (from 1) of a batch; reads its input again when a column gives the ids.

    Raises:
        InputError: the input is gone, or no longer what was run.
    """
    column, source = meta.get("id"), meta.get("input")
    if not isinstance(column, str) or not isinstance(source, str) or not rows:
        return {number: number for number in rows}
    last = max(rows)
    found: dict[int, RowId] = {}
    chunks = InputFile(source).unchanged(str(meta.get("digest")))
    for row in read_rows(chunks, source=source, kind=kind_of(source)):
        if row.number in rows:
            found[row.number] = row_id(row, column, source=source)
        if row.number >= last:
            break
    chunks.prove()
    return found
