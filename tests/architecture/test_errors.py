"""Every error survives the ways in which errors travel: between processes, and as copies."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
from collections.abc import Callable
from typing import Any, get_origin, get_type_hints

import pytest

from tests.architecture.modules import module_names
from wsaios.kernel import errors

SAMPLES: dict[object, object] = {
    str: "käse 内容",
    int: 7,
    float: 0.25,
    bool: True,
    bytes: b"\x00\xff",
    list: ["b", "a"],
    tuple: ("b", "a"),
    dict: {"a": 1},
}


@pytest.fixture(scope="module")
def kinds() -> list[type[BaseException]]:
    """Return every error that the package defines anywhere, found by walking down from the root."""
    for name in module_names():
        importlib.import_module(name)
    found: dict[str, type[BaseException]] = {}
    waiting: list[type[BaseException]] = [errors.WsaiosError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith("wsaios."):
            found[f"{kind.__module__}.{kind.__qualname__}"] = kind
        waiting += kind.__subclasses__()
    return [found[name] for name in sorted(found)]


def sample(kind: type[BaseException]) -> BaseException:
    """Build one with a value for each parameter, those with a default included."""
    hints = get_type_hints(kind.__init__) if "__init__" in vars(kind) or inspect.isfunction(kind.__init__) else {}
    if not hints:
        return kind("a message")
    values = {}
    for name in inspect.signature(kind.__init__).parameters:
        if name != "self":
            hint = hints[name]
            values[name] = next((SAMPLES[one] for one in (hint, get_origin(hint)) if one in SAMPLES), None)
    return kind(**values)


TRAVEL: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "oldest pickle": lambda error: pickle.loads(pickle.dumps(error, protocol=0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", TRAVEL)
def test_every_error_arrives_as_it_left(kinds: list[type[BaseException]], way: str) -> None:
    for kind in kinds:
        error = sample(kind)
        arrived = TRAVEL[way](error)
        assert arrived is not error
        assert type(arrived) is kind
        assert str(error), f"{kind.__name__} says nothing"
        assert str(arrived) == str(error)
        assert arrived.args == error.args
        assert vars(arrived) == vars(error)


def test_every_error_of_the_kernel_descends_from_the_one_root(kinds: list[type[BaseException]]) -> None:
    defined = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == errors.__name__
    ]
    assert len(defined) > 1
    assert set(defined) <= set(kinds)


def test_every_error_outside_the_kernel_is_of_a_call_to_another_service(kinds: list[type[BaseException]]) -> None:
    """What people and programs are told by its type is a public name."""
    inner = [kind for kind in kinds if kind.__module__ != errors.__name__]
    assert {kind.__module__ for kind in inner} == {"wsaios.engines.http.errors"}


def test_the_tree_at_the_top_of_the_file_names_every_error() -> None:
    tree = errors.__doc__ or ""
    names = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert names
    assert not [name for name in names if name not in tree]
