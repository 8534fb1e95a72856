"""Values that JSON can carry: checked on the way in, copied on the way out."""

import math
from typing import Final

from wsaios.kernel.errors import InvalidInput

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

MAX_DEPTH: Final = 100


def checked(value: object, where: str, depth: int = 0) -> JsonValue:
    """An independent copy of `value` made of exact JSON types (tuples become lists); `where` names it in errors.

    Raises:
        InvalidInput: a type that JSON lacks, NaN, Infinity, a key that is no str, a lone surrogate, or more than
            `MAX_DEPTH` levels (which is also how a value that contains itself ends).
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(where, f"{value!r} is not a number that JSON can carry; use None or a finite number")
        return float(value)
    if not isinstance(value, (dict, list, tuple)):
        kind = type(value).__name__
        raise InvalidInput(where, f"{kind} is not a JSON value; use str, int, float, bool, None, list or dict")
    if depth == MAX_DEPTH:
        raise InvalidInput(where, f"nested more than {MAX_DEPTH} levels deep, or it contains itself")
    if isinstance(value, dict):
        return {_name(key, where): checked(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    return [checked(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]


def _text(value: str, where: str) -> str:
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            reason = f"the text has a lone surrogate at character {error.start}, which UTF-8 cannot carry"
            raise InvalidInput(where, reason) from None
    return text


def _name(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(where, f"the key {key!r} is {type(key).__name__}; JSON objects have str keys only")
    return _text(key, where)


def copied(value: JsonValue) -> JsonValue:
    """An independent copy of a value that was checked before."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def same(one: JsonValue, other: JsonValue) -> bool:
    """Whether both are the same JSON: the order of keys does not count, and 1, 1.0 and True differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
