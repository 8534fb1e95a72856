"""One thing that is wrong in a text that somebody wrote, with its place."""

from typing import Literal, NamedTuple

FlawKind = Literal[
    "syntax",
    "limit",
    "duplicate-key",
    "unknown-field",
    "missing-field",
    "type",
    "duplicate-id",
    "unknown-dependency",
    "cycle",
    "unknown-handler",
    "expression",
    "reference",
]


class Flaw(NamedTuple):
    """What is wrong at `line` and `column` of `source`, both from 1; 0 where there is no such place.

    `name` is the word that is wrong, `suggestion` one that may have been meant; both may be empty.
    """

    source: str
    line: int
    column: int
    kind: FlawKind
    message: str
    name: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        """As compilers write it: file:line:column: what is wrong; did you mean …?"""
        place = ":".join([self.source, *(str(each) for each in (self.line, self.column) if each)])
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{place}: {self.message}{hint}"
