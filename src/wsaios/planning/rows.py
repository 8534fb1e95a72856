"""One row of an input, as every reader yields it."""

from typing import Any, Final, Literal

import msgspec

Kind = Literal["csv", "json", "jsonl"]

MAX_ROW_BYTES: Final = 16 << 20
"""A longer line, CSV field or JSON row is refused: it is what a reader may have to hold in memory at once."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One data row: its `number` counts data rows from 1, `line` is the line of the file, from 1, where it begins."""

    number: int
    line: int
    values: dict[str, Any]

    @property
    def place(self) -> str:
        """How an error names this row."""
        return f"row {self.number}, line {self.line}"
