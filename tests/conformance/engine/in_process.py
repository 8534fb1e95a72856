"""What the handlers of the suite answer, and they themselves as functions that a worker process imports."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsaios.engines.local import Context, GiveUp, RetryAfter

FOLDER = "WSAIOS_TEST_RIG"
WAITING = {"hold", "stubborn", "steps", "rows_hold"}
Answering = Callable[[Any], Any]


def values(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["value"] for row in rows]


def _raising(error: BaseException) -> Answering:
    def function(_given: object) -> None:
        raise type(error)(*error.args)

    return function


def _raise_on_bad(rows: list[dict[str, Any]]) -> list[Any]:
    if "bad" in values(rows):
        raise ValueError("a bad row")
    return values(rows)


SINGLE: dict[str, Answering] = {
    "echo": lambda value: value,
    "hold": lambda value: value,
    "stubborn": lambda value: value,
    "steps": lambda value: value,
    "raise": _raising(ValueError("boom")),
    "exit": _raising(SystemExit(3)),
    "retry": _raising(RetryAfter(2.5, "busy")),
    "retry_returned": lambda _: RetryAfter(2.5, "busy"),
    "give_up": _raising(GiveUp("no use")),
    "give_up_returned": lambda _: GiveUp("no use"),
    "nan": lambda _: {"scores": [1.0, None, float("nan")]},
    "object": lambda _: {"thing": [object()]},
    "large": lambda size: "x" * size,
}
BATCHED: dict[str, Answering] = {
    "rows": values,
    "rows_hold": values,
    "rows_raise": _raise_on_bad,
    "rows_short": lambda rows: values(rows)[1:],
    "rows_no_list": lambda rows: dict.fromkeys(map(str, values(rows))),
    "rows_retry": _raising(RetryAfter(1.0, "busy")),
    "rows_mixed": lambda rows: [ValueError("a bad row") if value == "bad" else value for value in values(rows)],
}


def _called(name: str, given: Any, keys: list[Any]) -> Any:
    folder = os.environ[FOLDER]
    descriptor = os.open(Path(folder, "called"), os.O_WRONLY)
    os.write(descriptor, "".join(f"{key}\n" for key in keys).encode())
    os.close(descriptor)
    if name in WAITING:
        # Opening ends as soon as somebody opens the other end, and at once from then on.
        os.close(os.open(Path(folder, "gate"), os.O_RDONLY))
    return (SINGLE.get(name) or BATCHED[name])(given)


def _single(name: str) -> Callable[..., Any]:
    def handler(value: object, context: Context) -> Any:
        context.progress(0.5, "half")
        return _called(name, value, [value])

    handler.__qualname__ = f"Called.{name}"
    return handler


def _batched(name: str) -> Callable[..., Any]:
    def handler(rows: list[dict[str, Any]]) -> Any:
        return _called(name, rows, values(rows))

    handler.__qualname__ = f"Called.{name}"
    return handler


class Called:
    """Each handler under its name."""


for each in SINGLE:
    setattr(Called, each, _single(each))
for each in BATCHED:
    setattr(Called, each, _batched(each))
