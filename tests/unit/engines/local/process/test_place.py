"""Where a worker finds a function."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from wsaios.engines.local.process.place import MAIN, loading, place_of, refuse_while_loading
from wsaios.engines.local.process.wire import Place
from wsaios.kernel.errors import InvalidInput, NotPossible


class Outer:
    """Holds one."""

    @staticmethod
    def inner() -> None:
        """Found through its class."""


class Callable:
    """An object that can be called."""

    def __call__(self) -> None:
        """Has no name of its own."""


def test_functions_are_named_by_module_and_place() -> None:
    assert place_of("dumps", json.dumps) == Place("json", "dumps")
    assert place_of("inner", Outer.inner) == Place(__name__, "Outer.inner")


@pytest.mark.parametrize(
    "function, told",
    [
        (lambda: 1, "a lambda has no name"),
        (partial(json.dumps, 1), "a partial has no name"),
        (Callable(), "a Callable has no name"),
    ],
)
def test_what_has_no_name_is_refused(function: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        place_of("work", function)


def test_a_decorator_may_register_before_the_name_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("half")
    monkeypatch.setitem(sys.modules, "half", module)

    def early() -> None:
        """Not in its module yet."""

    early.__module__, early.__qualname__ = "half", "early"
    with pytest.raises(InvalidInput, match="would find nothing under half:early"):
        place_of("early", early)
    module.__spec__ = type("Spec", (), {"_initializing": True})()
    assert place_of("early", early) == Place("half", "early")


def test_the_started_program_is_named_by_its_file_or_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("__main__")
    module.__file__ = __file__
    monkeypatch.setitem(sys.modules, "__main__", module)

    def work() -> None:
        """Of the program."""

    work.__module__, work.__qualname__ = "__main__", "work"
    assert place_of("work", work) == Place(MAIN, "work", os.fsencode(__file__))
    module.__spec__ = type("Spec", (), {"name": "package.__main__"})()
    assert place_of("work", work) == Place("package.__main__", "work", b"")
    module.__spec__, module.__file__ = None, None
    with pytest.raises(InvalidInput, match="was typed in"):
        place_of("work", work)


def test_nothing_starts_while_a_worker_imports_the_program() -> None:
    refuse_while_loading()
    loading("program.py")
    try:
        with pytest.raises(NotPossible, match="if __name__ =="):
            refuse_while_loading()
    finally:
        loading("")
    refuse_while_loading()
