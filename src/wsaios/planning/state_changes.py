"""Which values of the state a step has changed: two trees that share what is the same in both."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from wsaios.kernel.json_value import JsonValue, same

Tree = dict[str, Any]
"""Values under names, never altered: whatever changes is made anew, and the rest is shared."""
_NONE: Final[Tree] = {}


class Changed(NamedTuple):
    """A key whose value is another one; None stands for what is not there."""

    key: str
    old: JsonValue
    new: JsonValue


def tree_of(facts: Iterable[tuple[str, JsonValue]]) -> Tree:
    """The tree of facts under dotted keys."""
    tree = _NONE
    for key, value in facts:
        tree = placed(tree, key, value)
    return tree


def placed(tree: Tree, key: str, value: JsonValue, *, gone: bool = False) -> Tree:
    """The tree with `value` at a key in place of what was at or below it, or with nothing there."""
    name, _, rest = key.partition(".")
    inside = tree.get(name)
    if gone and rest and not isinstance(inside, dict):
        return tree
    if rest:
        below: Any = placed(inside if isinstance(inside, dict) else _NONE, rest, value, gone=gone)
        gone = gone and not below
    else:
        below = value
    if gone:
        return {each: found for each, found in tree.items() if each != name}
    return {**tree, name: below}


def changed(old: Tree, new: Tree, pattern: str) -> Iterator[Changed]:
    """What is different below a pattern: the value of an exact key, or every single value under ``prefix*``."""
    if old is new:
        return
    if not pattern.endswith("*"):
        before, after = _at(old, pattern), _at(new, pattern)
        if not same(before, after):
            yield Changed(pattern, before, after)
        return
    prefix = pattern[:-1]
    yield from (each for each in _leaves(old, new, "", prefix) if each.key.startswith(prefix))


def _at(tree: Tree, key: str) -> JsonValue:
    found: Any = tree
    for name in key.split("."):
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    value: JsonValue = found
    return value


def _leaves(old: Any, new: Any, path: str, prefix: str) -> Iterator[Changed]:
    """Values that are no dicts and differ; of branches only those that the prefix leads into."""
    if old is new or not (path.startswith(prefix) or prefix.startswith(path)):
        return
    if not isinstance(old, dict) and not isinstance(new, dict):
        if not same(old, new):
            yield Changed(path, old, new)
        return
    if not isinstance(old, dict):
        if old is not None:
            yield Changed(path, old, None)
        old = _NONE
    if not isinstance(new, dict):
        if new is not None:
            yield Changed(path, None, new)
        new = _NONE
    for name in old | new:
        yield from _leaves(old.get(name), new.get(name), f"{path}.{name}" if path else name, prefix)
