"""Which callable stands behind a handler's name, and how it wants to be called."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, get_args

import msgspec

from wsaios.engines.local.context import Context
from wsaios.kernel.errors import InvalidInput

COROUTINE_LANE: Final = "default"
THREAD_LANE: Final = "thread"

_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_PLACE: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_REST: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Handler(msgspec.Struct, frozen=True):
    """A registered callable; `context` names the parameter for the Context, `required` those without a default.

    `accepts` are all that can be given by name; None: any, or nobody knows.
    """

    name: str
    function: Callable[..., Any]
    lane: str
    coroutine: bool
    batched: bool = False
    context: str | None = None
    required: tuple[str, ...] = ()
    accepts: frozenset[str] | None = None


class Handlers:
    """The handlers that an engine can run, by name."""

    def __init__(self) -> None:
        self._known: dict[str, Handler] = {}

    def add(
        self, name: str, function: Callable[..., Any], *, lane: str | None = None, batched: bool = False
    ) -> Handler:
        """Register a callable; without `lane`, coroutines go to ``"default"`` and plain functions to ``"thread"``.

        Arguments are bound by name from a JSON object. A batched one takes a list of such objects as its first argument
        and returns a list with one result per row, in order.

        Raises:
            InvalidInput: the name is taken by another function, or the function cannot be called that way.
        """
        if not name:
            raise InvalidInput("name", "a handler needs a name")
        if not callable(function):
            raise InvalidInput(f"handler {name!r}", f"{type(function).__name__} cannot be called; pass a function")
        handler = _inspected(name, function, lane, batched=batched)
        known = self._known.setdefault(name, handler)
        if known != handler:
            raise InvalidInput("name", f"{name!r} is a handler already, with another function; use a new name")
        return known

    def remove(self, name: str) -> None:
        """Forget a handler that was added by mistake."""
        self._known.pop(name, None)

    def get(self, name: str) -> Handler | None:
        """The handler of this name, or None."""
        return self._known.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)


def _inspected(name: str, function: Callable[..., Any], lane: str | None, *, batched: bool) -> Handler:
    where = f"handler {name!r}"
    call = _body(function)
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        raise InvalidInput(where, "it is a generator; return one result instead of yielding")
    coroutine = inspect.iscoroutinefunction(call)
    parameters = _parameters(function)
    context = _context_name(parameters)
    if batched:
        _check_batched(where, parameters, context)
        required: tuple[str, ...] = ()
        accepts = None
    else:
        _check_single(where, parameters)
        required = _required(parameters, context)
        accepts = _accepts(function, parameters, context)
    lane = lane or (COROUTINE_LANE if coroutine else THREAD_LANE)
    return Handler(name, function, lane, coroutine, batched, context, required, accepts)


def _body(function: Any) -> Any:
    """The code that runs when `function` is called: that of a partial's function, or of an object's ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    # Annotations are code of the user and may name what exists only for type checkers.
    with contextlib.suppress(Exception):
        return inspect.signature(function, eval_str=True).parameters
    with contextlib.suppress(ValueError, TypeError):
        return inspect.signature(function).parameters
    # Some functions of C tell nothing; they are called with whatever the caller names.
    return {}


def _context_name(parameters: Mapping[str, inspect.Parameter]) -> str | None:
    for name, parameter in parameters.items():
        if parameter.kind in _BY_NAME and (name == "context" or _is_context(parameter.annotation)):
            return name
    return None


def _is_context(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.removesuffix(" | None").rpartition(".")[2] == "Context"
    return annotation is Context or Context in get_args(annotation)


def _required(parameters: Mapping[str, inspect.Parameter], context: str | None) -> tuple[str, ...]:
    return tuple(
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name != context and parameter.kind not in _REST
    )


def _accepts(
    function: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], context: str | None
) -> frozenset[str] | None:
    try:
        inspect.signature(function)
    except (ValueError, TypeError):
        return None
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return None
    return frozenset(each.name for each in parameters.values() if each.kind in _BY_NAME and each.name != context)


def _check_single(where: str, parameters: Mapping[str, inspect.Parameter]) -> None:
    for name, parameter in parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
            raise InvalidInput(where, f"{name!r} is positional-only, and arguments are bound by name; remove the '/'")


def _check_batched(where: str, parameters: Mapping[str, inspect.Parameter], context: str | None) -> None:
    if not parameters:
        return
    first, *others = parameters.values()
    if first.kind not in (*_BY_PLACE, inspect.Parameter.VAR_POSITIONAL) or first.name == context:
        raise InvalidInput(where, "the first parameter of a batched handler takes the rows, a list of dict")
    extra = [name for name in _required({item.name: item for item in others}, context) if name != first.name]
    if extra:
        raise InvalidInput(where, f"a batched handler takes the rows alone; {', '.join(extra)} would stay empty")
