"""Which watchers a write concerns, and what each is told."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from wsaios.components.state.tree import ABSENT, Absent, parts_of
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import JsonValue, checked, same

Callback = Callable[[str, JsonValue, JsonValue], object]
WILDCARD: Final = "*"


class Write(NamedTuple):
    """One write: the values at the very key that was set."""

    key: str
    old: JsonValue | Absent
    new: JsonValue | Absent


class Watch:
    """A pattern (``*``, ``prefix*`` or an exact key) and who is told."""

    def __init__(self, pattern: str, callback: Callback) -> None:
        self.callback = callback
        if not isinstance(pattern, str):
            raise InvalidInput("watch pattern", f"{pattern!r:.80} is no text such as 'site.*'")
        self.exact = not pattern.endswith(WILDCARD)
        if self.exact:
            parts_of(pattern)
        self.stem = pattern.removesuffix(WILDCARD)
        if WILDCARD in self.stem:
            raise InvalidInput("watch pattern", f"{pattern!r}: * stands only at the end, as in 'site.*'")
        checked(pattern, "watch pattern")
        if not callable(callback):
            raise InvalidInput("watch callback", f"{callback!r} cannot be called; pass a function of (key, old, new)")

    def is_above(self, key: str) -> bool:
        """Whether a write at a deeper `key` changes what this exact watch looks at."""
        return self.exact and key.startswith(f"{self.stem}.")

    def concerns(self, write: Write) -> Iterator[Write]:
        """What to tell of a write at or above what is watched."""
        if write.key == self.stem or (not self.exact and write.key.startswith(self.stem)):
            yield write
        elif self.stem.startswith(f"{write.key}."):
            rest = self.stem[len(write.key) + 1 :]
            yield from self._found(write, rest) if self.exact else self._leaves(write)

    def _found(self, write: Write, rest: str) -> Iterator[Write]:
        old, new = (_dig(value, rest.split(".")) for value in write[1:])
        if not _equal(old, new):
            yield Write(self.stem, old, new)

    def _leaves(self, write: Write) -> Iterator[Write]:
        old, new = (dict(_leaves(value, write.key)) for value in write[1:])
        for key in old | new:
            before, after = old.get(key, ABSENT), new.get(key, ABSENT)
            if key.startswith(self.stem) and not _equal(before, after):
                yield Write(key, before, after)


def _equal(old: JsonValue | Absent, new: JsonValue | Absent) -> bool:
    if isinstance(old, Absent) or isinstance(new, Absent):
        return old is new
    return same(old, new)


def _dig(value: JsonValue | Absent, parts: list[str]) -> JsonValue | Absent:
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            return ABSENT
        value = value[part]
    return value


def _leaves(value: JsonValue | Absent, key: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, Absent):
        return
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}")
    else:
        yield key, value
