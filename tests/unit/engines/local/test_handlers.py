"""Registering callables."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import wsaios.engines.local as wsaios_local
from wsaios.engines.local import Context, Handlers
from wsaios.engines.local.handlers import Handler
from wsaios.kernel.errors import InvalidInput


async def coroutine(text: str, times: int = 1) -> str:
    return text * times


def plain(text: str, times: int = 1) -> str:
    return text * times


class Callee:
    async def __call__(self, text: str) -> str:
        return text

    def method(self, text: str) -> str:
        return text


def added(function: Callable[..., Any], **options: Any) -> Handler:
    return Handlers().add("name", function, **options)


def test_coroutines_go_to_default_and_plain_functions_to_thread() -> None:
    assert (added(coroutine).lane, added(coroutine).coroutine) == ("default", True)
    assert (added(plain).lane, added(plain).coroutine) == ("thread", False)


def test_a_named_lane_is_kept() -> None:
    assert added(plain, lane="gpu").lane == "gpu"


@pytest.mark.parametrize(
    "function, is_coroutine",
    [
        (functools.partial(coroutine, times=2), True),
        (functools.partial(plain, times=2), False),
        (Callee(), True),
        (functools.partial(Callee()), True),
        (Callee().method, False),
        (Callee, False),
        (max, False),
        (lambda text: text, False),
    ],
)
def test_what_is_a_coroutine_is_seen_through_wrappers(function: Callable[..., Any], is_coroutine: bool) -> None:
    assert added(function).coroutine is is_coroutine


def test_required_are_the_arguments_without_default() -> None:
    def function(a: int, b: int, *rest: int, c: int, d: int = 1, **more: int) -> None: ...

    assert added(function).required == ("a", "b", "c")
    assert added(functools.partial(plain, "x")).required == ()


def keywords(a: int, *, b: int) -> None: ...


def anything(a: int, **rest: int) -> None: ...


def with_context(a: int, context: Context) -> None: ...


@pytest.mark.parametrize(
    "function, names",
    [
        (plain, {"text", "times"}),
        (keywords, {"a", "b"}),
        (anything, None),
        (with_context, {"a"}),
        (coroutine, {"text", "times"}),
        (Callee(), {"text"}),
        (functools.partial(plain, "x"), {"times"}),
        (lambda: None, set()),
        (dict, None),
    ],
)
def test_the_arguments_that_a_call_may_give(function: Callable[..., Any], names: set[str] | None) -> None:
    assert added(function).accepts == names


def test_a_batched_handler_takes_any_arguments() -> None:
    assert added(lambda rows: rows, batched=True).accepts is None


def test_the_context_is_no_required_argument() -> None:
    def function(a: int, context: object) -> None: ...

    assert added(function).required == ("a",)


def by_name(context: object) -> None: ...


def by_annotation(a: int, about: Context) -> None: ...


def by_optional_annotation(about: Context | None = None) -> None: ...


def by_dotted_annotation(about: wsaios_local.Context) -> None: ...


def by_unknown_text(about: wsaios.Context, other: missing.Thing) -> None: ...  # type: ignore[name-defined] # noqa: F821 # as in code that imports for type checkers only


def without(a: int, *context: int) -> None: ...


@pytest.mark.parametrize(
    "function, name",
    [
        (by_name, "context"),
        (by_annotation, "about"),
        (by_optional_annotation, "about"),
        (by_dotted_annotation, "about"),
        (by_unknown_text, "about"),
        (without, None),
        (plain, None),
    ],
)
def test_the_parameter_for_the_context_is_found_by_name_or_annotation(
    function: Callable[..., Any], name: str | None
) -> None:
    assert added(function).context == name


def generator(text: str) -> Iterator[str]:
    yield text


async def async_generator(text: str) -> AsyncIterator[str]:
    yield text


def positional(text: str, /) -> str:
    return text


@pytest.mark.parametrize(
    "function, told",
    [
        (generator, "generator"),
        (async_generator, "generator"),
        (positional, "positional-only"),
        (3, "cannot be called"),
    ],
)
def test_what_cannot_be_a_handler_is_refused_with_the_reason(function: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        added(function)


def rows_only(rows: list[dict[str, Any]]) -> list[Any]:
    return rows


def rows_and_context(rows: list[dict[str, Any]], context: Context, limit: int = 3) -> list[Any]:
    return rows


def rows_by_place(rows: list[dict[str, Any]], /) -> list[Any]:
    return rows


@pytest.mark.parametrize("function", [rows_only, rows_and_context, rows_by_place, list])
def test_a_batched_handler_takes_the_rows_first(function: Callable[..., Any]) -> None:
    handler = added(function, batched=True)
    assert handler.batched
    assert handler.required == ()


def context_first(context: Context, rows: list[Any]) -> None: ...


def two_arguments(rows: list[Any], limit: int) -> None: ...


def by_keyword(*, rows: list[Any]) -> None: ...


@pytest.mark.parametrize(
    "function, told", [(context_first, "first parameter"), (two_arguments, "limit"), (by_keyword, "first parameter")]
)
def test_a_batched_handler_that_cannot_take_rows_is_refused(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        added(function, batched=True)


def test_a_name_stands_for_one_function() -> None:
    handlers = Handlers()
    handlers.add("shout", plain)
    assert handlers.add("shout", plain) == handlers.get("shout")
    with pytest.raises(InvalidInput, match="'shout' is a handler already"):
        handlers.add("shout", coroutine)
    found = handlers.get("shout")
    assert found is not None
    assert found.function is plain


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="name"):
        Handlers().add("", plain)


def test_the_registry_lists_what_it_knows() -> None:
    handlers = Handlers()
    assert len(handlers) == 0
    handlers.add("a", plain)
    handlers.add("b", coroutine)
    assert [handler.name for handler in handlers] == ["a", "b"]
    assert "a" in handlers
    assert "c" not in handlers
    assert handlers.get("c") is None
