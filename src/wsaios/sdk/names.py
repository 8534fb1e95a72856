"""What users write to name things: ids or handles of tasks, batches and runs, rows, and what a verb is meant for."""

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.events import Scope
from wsaios.kernel.ids import decode
from wsaios.sdk.handles import Task

Rows = Iterable[Mapping[str, object]] | AsyncIterable[Mapping[str, object]]


def number_of(text: object, kind: Any = "task") -> int:
    """The number inside an id, or of a handle.

    Raises:
        InvalidInput: it is not an id of that kind.
    """
    if type(text) is Task and kind == "task":
        return text.number
    try:
        return decode(str(getattr(text, "id", text)), kind)
    except ValueError as error:
        raise InvalidInput(f"{kind} id", str(error)) from error


def scope_of(target: object) -> Scope:
    """What a verb is meant for: a task, batch or run id (or handle), ``"lane:NAME"`` or ``"all"``.

    Raises:
        InvalidInput: it is none of these.
    """
    text = str(getattr(target, "id", target))
    if text == "all":
        return Scope("all")
    if text.startswith("lane:"):
        return Scope("lane", name=text.removeprefix("lane:"))
    kind: Any = next((each for each in ("batch", "run") if text.startswith(f"{each}_")), "task")
    return Scope(kind, number_of(text, kind))
