"""CEL through the library `common-expression-language`."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from wsaios.expressions.cost import MAX_LENGTH, MAX_STEPS, admit, check
from wsaios.expressions.faults import fault_of, reason_of
from wsaios.expressions.scan import Scan, scan
from wsaios.kernel.errors import ExpressionFailed, InvalidExpression, InvalidInput, MissingExtra
from wsaios.kernel.expression import Reference
from wsaios.kernel.json_value import JsonValue, checked

FUNCTIONS: Final = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches"),
        *("int", "uint", "double", "string", "bytes", "dyn", "type", "has"),
        *("duration", "timestamp", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear"),
        *("getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds"),
    }
)
"""Those that an expression may call, beside the macros."""

_RESERVED: Final = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)
_CHAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_KEPT: Final = 10_000


class _Program(Protocol):
    def execute(self, context: dict[str, Any]) -> Any: ...


class Cel:
    """Compiles CEL; keeps the last ones that it compiled, so that the same text costs nothing twice.

    `max_steps` bounds what the macros of one evaluation may cost, in steps of about 50 ns: 20 million are a second.
    """

    def __init__(self, max_steps: int = MAX_STEPS) -> None:
        self._max_steps = max_steps
        self._kept: dict[str, CelExpression | Chain] = {}
        self._library: Callable[[str], _Program] | None = None

    def compile(self, source: str) -> "CelExpression | Chain":
        """The expression that a text says.

        Raises:
            InvalidExpression: it is none, calls a function that there is not, or could cost too much.
            MissingExtra: the library is not installed.
        """
        known = self._kept.get(source)
        if known is not None:
            return known
        made = chain(source) or self._compiled(source)
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[source] = made
        return made

    def _compiled(self, source: str) -> "CelExpression":
        if len(source) > MAX_LENGTH:
            raise InvalidExpression(source, f"it has {len(source):,} characters; {MAX_LENGTH:,} are the most")
        if self._library is None:
            self._library = _library()
        try:
            program = self._library(source)
        except ValueError as error:
            raise fault_of(source, str(error)) from None
        seen = scan(source)
        check(source, seen)
        for name, position in seen.calls:
            if name not in FUNCTIONS:
                raise InvalidExpression(source, f"there is no function {name!r}", position, name)
        return CelExpression(source, program, seen, self._max_steps)


class CelExpression:
    """One compiled expression."""

    def __init__(self, source: str, program: _Program, seen: Scan, max_steps: int = MAX_STEPS) -> None:
        self.source = source
        self.references = tuple(seen.references)
        self._program = program
        self._max_steps = max_steps
        self._scan = seen
        self._wanted = _wanted(self.references)

    def evaluate(self, context: Mapping[str, JsonValue]) -> JsonValue:
        """Its value over a context; only what it names is looked at.

        Raises:
            ExpressionFailed: a name or key is missing, types do not fit, it could cost too much, or its value is none
            that JSON can carry.
        """
        admit(self.source, self._scan, context, self._max_steps)
        try:
            value = self._program.execute(_only(self._wanted, context))
        except Exception as error:  # noqa: BLE001  # whatever the library raises is a fault of this expression
            raise ExpressionFailed(self.source, reason_of(error, self.references)) from None
        try:
            return _in_order(checked(value, "its value"))
        except InvalidInput as error:
            raise ExpressionFailed(self.source, str(error)) from None


class Chain:
    """Names with dots between them, as most expressions are: looked up without the library, to the same outcome."""

    __slots__ = ("references", "source")

    def __init__(self, source: str, names: tuple[str, ...]) -> None:
        self.source = source
        self.references = (Reference(names, 0),)

    def evaluate(self, context: Mapping[str, JsonValue]) -> JsonValue:
        """The value at the end of the names.

        Raises:
            ExpressionFailed: a name is missing, or what stands before it has none.
        """
        here: Any = context
        for name in self.references[0].path:
            if not isinstance(here, Mapping):
                raise ExpressionFailed(self.source, f"what stands before {name!r} has no names in it")
            if name not in here:
                raise ExpressionFailed(self.source, f"there is no {name!r} in {self.source}")
            here = here[name]
        value: JsonValue = here
        return value


def _wanted(references: Iterable[Reference]) -> dict[str, set[str] | None]:
    """Which values are read, and which of their names; None: the value as a whole."""
    wanted: dict[str, set[str] | None] = {}
    for reference in references:
        names = wanted.setdefault(reference.path[0], set())
        if len(reference.path) == 1:
            wanted[reference.path[0]] = None
        elif names is not None:
            names.add(reference.path[1])
    return wanted


def _only(wanted: Mapping[str, set[str] | None], context: Mapping[str, JsonValue]) -> dict[str, Any]:
    """The part of a context that is read: all of it would be converted for the library."""
    given: dict[str, Any] = {}
    for root, names in wanted.items():
        if root in context:
            value = context[root]
            if names is not None and isinstance(value, dict):
                value = {name: value[name] for name in names if name in value}
            given[root] = value
    return given


def _in_order(value: JsonValue) -> JsonValue:
    """The value with sorted keys: the library has them in another order at every call."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    return value


def chain(source: str) -> Chain | None:
    """The expression, if it is nothing but names with dots between them."""
    if len(source) > MAX_LENGTH or not _CHAIN.fullmatch(source):
        return None
    names = tuple(source.split("."))
    return Chain(source, names) if _RESERVED.isdisjoint(names) else None


def _library() -> Callable[[str], _Program]:
    try:
        from cel import compile as compiled  # noqa: PLC0415  # it takes a while to import
    except ImportError as error:
        raise MissingExtra("CEL, the language of expressions,", "workflows") from error
    library: Callable[[str], _Program] = compiled
    return library
