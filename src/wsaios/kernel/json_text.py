"""Values as JSON text: written fast, and refused with the place that is not JSON."""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import msgspec

from wsaios.kernel.task import Failure

MAX_DEPTH: Final = 100

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

_encode: Final = msgspec.json.Encoder().encode
Test = Callable[[object], str | None]


class _BadKey:
    """Stands in a walk for a key that no JSON object can have."""


class JsonWriter:
    """Writes values as JSON, up to a size in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def write(self, value: object, what: str = "result") -> bytes | Failure:
        """The value as JSON, or why it has none; `what` names the value in that message.

        NaN and Infinity are refused wherever they stand, and keys that are no str: they would come back as text.
        Beyond JSON's own types, tuples, sets, dataclasses, Structs, enums, dates and bytes (base64) are written as
        msgspec does.
        """
        try:
            data = _encode(value)
        except Exception as error:  # noqa: BLE001  # whatever stops the encoder is a fault of this value
            return Failure("ResultNotJson", _first_flaw(value, what, _not_encodable) or f"{what}: {error}")
        if len(data) > self._max_bytes:
            sizes = f"{len(data)} bytes, the limit is {self._max_bytes}"
            return Failure("ResultTooLarge", f"{what} has {sizes}; store it elsewhere and hand on its place")
        # The encoder writes NaN and Infinity as null, so only a value with a null in its text can hold one.
        if b"null" in data and value is not None:
            flaw = _first_flaw(value, what, _not_finite)
            if flaw:
                return Failure("ResultNotJson", flaw)
        # The encoder writes keys that are numbers or dates as text. A flat dict is seen at once, a list has none.
        if b"{" in data:
            if type(value) is dict and data.count(b"{") == 1:
                for key in value:
                    if type(key) is not str:
                        break
                else:
                    return data
            flaw = _first_flaw(value, what, _not_a_key) if _odd_key_inside(value) else None
            if flaw:
                return Failure("ResultNotJson", flaw)
        return data


def _has_text_keys(value: dict[object, object]) -> bool:
    for key in value:  # noqa: SIM110  # for the few keys that arguments have all() takes twice as long
        if not isinstance(key, str):
            return False
    return True


def _odd_key_inside(value: object) -> bool:
    """Whether some key is no text. Without places, which cost most, and past whatever holds scalars only."""
    left: list[Any] = [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind is dict:
            if not _has_text_keys(item):
                return True
            inner: Collection[Any] = item.values()
        elif kind is list or kind is tuple:
            inner = item
        else:
            if isinstance(item, dict) and not _has_text_keys(item):
                return True
            inner = [part for _, part in _inner(item, "") or ()]
        if not _SCALARS.issuperset(map(type, inner)):
            left.extend(inner)
    return False


def _not_a_key(value: object) -> str | None:
    return "cannot be a key in JSON; use str" if isinstance(value, _BadKey) else None


def _not_finite(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value!r}, which JSON cannot carry; use None or a finite number"
    return None


def _not_encodable(value: object) -> str | None:
    if isinstance(value, _BadKey):
        return _not_a_key(value)
    try:
        _encode(value)
    except UnicodeEncodeError as error:
        return f"has a lone surrogate at character {error.start}, which UTF-8 cannot carry"
    except Exception:  # noqa: BLE001  # whatever stops the encoder is a fault of this value
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return f"is of type {name}, which JSON cannot carry; use str, int, float, bool, None, list or dict"
    return None


def _first_flaw(value: object, place: str, test: Test, depth: int = 0) -> str | None:
    inner = _inner(value, place)
    if inner is None:
        trouble = test(value)
        return f"{place} {trouble}" if trouble else None
    if depth == MAX_DEPTH:
        return f"{place} is nested more than {MAX_DEPTH} levels deep, or it contains itself"
    for where, item in inner:
        found = _first_flaw(item, where, test, depth + 1)
        if found:
            return found
    return None


def _inner(value: object, place: str) -> Iterator[tuple[str, object]] | None:
    """What a container holds, each with its place; None for anything else."""
    if isinstance(value, dict):
        return _entries(value, place)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ((f"{place}[{index}]", item) for index, item in enumerate(value))
    names: Iterator[str] | None = None
    if isinstance(value, msgspec.Struct):
        names = iter(value.__struct_fields__)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
    return None if names is None else ((f"{place}.{name}", getattr(value, name)) for name in names)


def _entries(value: dict[object, object], place: str) -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if not isinstance(key, str) or not _encodable(key):
            yield f"{place}: the key {key!r}", _BadKey()
        yield f"{place}[{key!r}]", item


def _encodable(key: str) -> bool:
    if key.isascii():
        return True
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
