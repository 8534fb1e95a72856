"""Texts with ``${ … }`` in them: an expression that is put in where it stands.

A text that is one expression and nothing else keeps its type; in any other text values are written as text, those that
are no text as JSON. ``$${`` is ``${`` itself. Values are put in as they are and never looked through again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from wsaios.kernel.errors import InvalidExpression
from wsaios.kernel.expression import Expression
from wsaios.kernel.json_value import JsonValue

_BEGIN: Final = re.compile(r"\$\$\{|\$\{")
# What most of them are: names with dots between them, and nothing beside.
_ALONE: Final = re.compile(r"\$\{ *([A-Za-z_][A-Za-z0-9_.]*) *\}", re.ASCII)
_INSIDE: Final = re.compile(
    r"""[rR](?:"[^"\n]*"|'[^'\n]*')|(?P<q>\"{3}|'{3})(?:\\.|(?!(?P=q)).)*(?P=q)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}]""",
    re.DOTALL,
)
_LONGEST: Final = 5_000
"""As far as a closing brace is looked for, in characters: no expression is that long."""

_encode: Final = msgspec.json.Encoder().encode
Compile = Callable[[str], Expression]


class Hole(NamedTuple):
    """An expression in a text, and where its own text begins there."""

    source: str
    position: int


class Template(NamedTuple):
    """A text with expressions in it; `whole`: it is one expression and nothing else."""

    parts: tuple[str | Expression, ...]
    whole: bool

    def fill(self, context: Mapping[str, JsonValue]) -> JsonValue:
        """The value over a context.

        Raises:
            ExpressionFailed: one of the expressions has no value.
        """
        if self.whole:
            (expression,) = self.parts
            return expression if isinstance(expression, str) else expression.evaluate(context)
        return "".join(part if isinstance(part, str) else _written(part.evaluate(context)) for part in self.parts)


def holes(text: str) -> list[str | Hole]:
    """The parts of a text.

    Raises:
        InvalidExpression: a ``${`` that no ``}`` closes.
    """
    alone = _ALONE.fullmatch(text)
    if alone is not None:
        return [Hole(alone[1], alone.start(1))]
    parts: list[str | Hole] = []
    at = 0
    while (begin := _BEGIN.search(text, at)) is not None:
        if begin.start() > at:
            parts.append(text[at : begin.start()])
        if begin[0] == "$${":
            parts.append("${")
            at = begin.end()
            continue
        end = _end(text, begin.end())
        source = text[begin.end() : end]
        lead = len(source) - len(source.lstrip())
        parts.append(Hole(source.strip(), begin.end() + lead))
        at = end + 1
    if at < len(text) or not parts:
        parts.append(text[at:])
    return parts


def _end(text: str, start: int) -> int:
    depth = 0
    for found in _INSIDE.finditer(text, start, start + _LONGEST):
        if found[0] == "{":
            depth += 1
        elif found[0] == "}":
            if not depth:
                return found.start()
            depth -= 1
    raise InvalidExpression(text, "this ${ is not closed by a }", start - 2, "${")


def template(text: str, compiled: Compile) -> Template | str:
    """The template that a text says, or the text that it is.

    Raises:
        InvalidExpression: an expression in it is none.
    """
    if "${" not in text:
        return text
    parts = tuple(part if isinstance(part, str) else compiled(part.source) for part in holes(text))
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    return Template(parts, whole=len(parts) == 1)


def prepared(value: Any, compiled: Compile) -> Any:
    """A value of JSON with every text in it that is a template as one; keys are no templates.

    Raises:
        InvalidExpression: an expression in it is none.
    """
    if isinstance(value, str):
        return template(value, compiled)
    if isinstance(value, dict):
        return {key: prepared(item, compiled) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [prepared(item, compiled) for item in value]
    return value


def filled(value: Any, context: Mapping[str, JsonValue]) -> JsonValue:
    """A prepared value over a context, independent of it where it holds no value of the context itself.

    Raises:
        ExpressionFailed: one of its expressions has no value.
    """
    if isinstance(value, Template):
        return value.fill(context)
    if isinstance(value, dict):
        return {key: filled(item, context) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, context) for item in value]
    plain: JsonValue = value
    return plain


def expressions_in(value: Any) -> Iterator[Expression]:
    """All expressions of a prepared value."""
    if isinstance(value, Template):
        yield from (part for part in value.parts if not isinstance(part, str))
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from expressions_in(item)


def _written(value: JsonValue) -> str:
    return value if isinstance(value, str) else _encode(value).decode()
