"""A tree of facts under dotted keys."""

from collections.abc import Iterator
from enum import Enum
from typing import Final

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import JsonValue, checked, copied

MAX_PARTS: Final = 64


class Absent(Enum):
    """Nothing is there (None is a value)."""

    ABSENT = 0


ABSENT: Final = Absent.ABSENT


class _Fact(msgspec.Struct):
    """What was set at one key as a whole. Its value is replaced, never altered: it may be on its way to the ledger."""

    value: JsonValue


_Branch = dict[str, "_Branch | _Fact"]


def parts_of(key: object) -> list[str]:
    """The names of a dotted key, from the root.

    Raises:
        InvalidInput: no str, an empty name between dots, or more than `MAX_PARTS` names.
    """
    if not isinstance(key, str):
        raise InvalidInput("state key", f"{key!r} is {type(key).__name__}; keys are text such as 'site.rank'")
    parts = key.split(".")
    if "" in parts or len(parts) > MAX_PARTS:
        raise InvalidInput("state key", f"{key!r} must be 1 to {MAX_PARTS} names with single dots between them")
    checked(key, "state key")
    return parts


class FactTree:
    """Branches come from dotted keys; a fact holds what was set at its key, and all writes below it change that
    fact.
    """

    def __init__(self) -> None:
        self._root: _Branch = {}

    def read(self, parts: list[str]) -> JsonValue | Absent:
        """An independent copy of what is at this place; no parts: everything."""
        node: _Branch | _Fact | JsonValue = self._root
        for part in parts:
            inside = node.value if isinstance(node, _Fact) else node
            if not isinstance(inside, dict) or part not in inside:
                return ABSENT
            node = inside[part]
        return _plain(node)

    def place(self, parts: list[str], value: JsonValue) -> list[tuple[str, JsonValue | Absent]]:
        """Put `value` there and return the facts that this changed, as (key, value or ABSENT).

        What stood in the way (a number where a branch is needed, a branch where the value goes) is replaced.
        """
        branch = self._root
        for depth, part in enumerate(parts[:-1], start=1):
            node = branch.setdefault(part, {})
            if isinstance(node, _Fact):
                node.value = _with(node.value, parts[depth:], value)
                return [(".".join(parts[:depth]), node.value)]
            branch = node
        key = ".".join(parts)
        before = branch.get(parts[-1])
        gone = _facts(before, f"{key}.") if isinstance(before, dict) else ()
        changes: list[tuple[str, JsonValue | Absent]] = [(below, ABSENT) for below, _ in gone]
        branch[parts[-1]] = _Fact(value)
        return [*changes, (key, value)]

    def is_branch(self, parts: list[str]) -> bool:
        """Whether several facts stand below this place and none at or above it."""
        node: _Branch | _Fact | None = self._root
        for part in parts:
            if not isinstance(node, dict):
                return False
            node = node.get(part)
        return isinstance(node, dict)

    def facts(self) -> list[tuple[str, JsonValue]]:
        """All facts by key; none of them is below another."""
        return list(_facts(self._root, ""))


def _facts(branch: _Branch, prefix: str) -> Iterator[tuple[str, JsonValue]]:
    for name, node in branch.items():
        if isinstance(node, _Fact):
            yield prefix + name, node.value
        else:
            yield from _facts(node, f"{prefix}{name}.")


def _plain(node: "_Branch | _Fact | JsonValue") -> JsonValue:
    if isinstance(node, _Fact):
        return copied(node.value)
    if isinstance(node, dict):
        return {name: _plain(item) for name, item in node.items()}
    return copied(node)


def _with(value: JsonValue, parts: list[str], new: JsonValue) -> JsonValue:
    altered = dict(value) if isinstance(value, dict) else {}
    altered[parts[0]] = new if len(parts) == 1 else _with(altered.get(parts[0]), parts[1:], new)
    return altered
