"""Which column becomes which argument, and which one is the id of a row."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InputError, InvalidInput
from wsaios.planning.json_fault import name_of
from wsaios.planning.rows import Row

_NAMED_AT_MOST: Final = 20
_OTHER_SEPARATORS: Final = frozenset(";\t|")


class Mapping(msgspec.Struct, frozen=True):
    """Pairs of argument and column; without pairs every column is an argument of its own name."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, items: Iterable[str]) -> "Mapping":
        """The mapping that texts such as ``argument=column`` say; the column may hold further ``=``.

        Raises: InvalidInput for a text without a name on both sides, and for an argument that is named twice.
        """
        columns: dict[str, str] = {}
        for item in items:
            argument, equals, column = item.partition("=")
            if not (argument.strip() and equals and column):
                raise InvalidInput("--map", f"{item!r} is not of the form argument=column")
            argument = argument.strip()
            if argument in columns:
                raise InvalidInput(
                    "--map", f"argument {argument!r} is named twice: {columns[argument]!r} and {column!r}"
                )
            columns[argument] = column
        return cls(tuple(columns.items()))

    def apply(self, row: Row, *, source: str) -> dict[str, Any]:
        """The arguments of this row; without pairs the row's own values, not a copy.

        Raises: InputError for a column that the row does not have.
        """
        if not self.pairs:
            return row.values
        values = row.values
        try:
            return {argument: values[column] for argument, column in self.pairs}
        except KeyError as error:
            raise missing_column(row, error.args[0], source) from None


def row_id(row: Row, column: str, *, source: str) -> str | int:
    """The id that this row has in `column`: text, or in JSON a whole number, as it stands there.

    Raises: InputError if it is missing, empty, or anything else.
    """
    try:
        found = row.values[column]
    except KeyError:
        raise missing_column(row, column, source) from None
    if type(found) is str:
        if found and not found.isspace():
            return found
    elif type(found) is int:
        return found
    elif found is not None:
        what = "one with a fraction" if type(found) is float else name_of(found)
        reason = f"the id in column {column!r} must be a text or a whole number, not {what}"
        raise InputError(source, row.place, reason)
    raise InputError(source, row.place, f"the id in column {column!r} is empty")


def missing_column(row: Row, column: str, source: str, hint: str = "") -> InputError:
    """The error that names the column this row lacks, those it has, and what may help."""
    if len(row.values) == 1 and _OTHER_SEPARATORS & set(next(iter(row.values))):
        hint = "; fields must be separated by commas"
    return InputError(source, row.place, f"no column {column!r}; there are {listed(row.values)}{hint}")


def listed(names: Iterable[str]) -> str:
    """Names in quotes, with commas; of many only the first."""
    every = list(names)
    text = ", ".join(map(repr, islice(every, _NAMED_AT_MOST)))
    more = len(every) - _NAMED_AT_MOST
    return f"{text} and {more} more" if more > 0 else text or "none"
