"""The port of expressions: compiled once, evaluated over JSON values at a bounded cost."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from wsaios.kernel.json_value import JsonValue


class Reference(NamedTuple):
    """A value that an expression reads: the names on the way to it, and where in the expression it stands.

    ``steps.a.result.rows[0]`` is ``("steps", "a", "result", "rows")``; `position` counts characters from 0.
    """

    path: tuple[str, ...]
    position: int


class Expression(Protocol):
    """One expression that can be evaluated."""

    @property
    def source(self) -> str:
        """Its text."""

    @property
    def references(self) -> tuple[Reference, ...]:
        """All that it reads of its context, in the order of the text."""

    def evaluate(self, context: Mapping[str, JsonValue]) -> JsonValue:
        """Its value.

        Raises:
            ExpressionFailed: it has none over this context, or would cost too much.
        """


class Expressions(Protocol):
    """A language of expressions."""

    def compile(self, source: str) -> Expression:
        """The expression that a text says.

        Raises:
            InvalidExpression: it is none, or one that could cost too much.
        """
