import enum
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import MAX_DEPTH, checked, copied, same

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_what_is_accepted_survives_json_unchanged(value: Any) -> None:
    plain = checked(value, "value")
    assert same(msgspec.json.decode(msgspec.json.encode(plain)), plain)


@given(VALUES)
def test_copies_are_the_same_and_share_nothing_that_can_change(value: Any) -> None:
    plain = checked(value, "value")
    copy = copied(plain)
    assert same(copy, plain)
    assert not isinstance(plain, list | dict) or copy is not plain


@pytest.mark.parametrize(
    "value, place, reason",
    [
        ({"a": [1, {2, 3}]}, r"v\['a'\]\[1\]", "set is not a JSON value"),
        ([math.nan], r"v\[0\]", "nan"),
        ({"x": -math.inf}, r"v\['x'\]", "inf"),
        ({1: "one"}, "v", "the key 1 is int"),
        ("\ud800", "v", "lone surrogate"),
        ({"\udfff": 1}, "v", "lone surrogate"),
        (b"bytes", "v", "bytes is not a JSON value"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place_and_type(value: object, place: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{place}: .*{reason}"):
        checked(value, "v")


def test_a_value_that_contains_itself_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)
    with pytest.raises(InvalidInput, match="contains itself"):
        checked(ring, "v")


def test_the_deepest_allowed_nesting_passes_and_one_more_does_not() -> None:
    value: object = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert checked(value, "v") == value
    with pytest.raises(InvalidInput, match="levels deep"):
        checked([value], "v")


def test_subclasses_become_plain_values() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    class Rank(enum.IntEnum):
        FIRST = 1

    plain = checked((Colour.RED, Rank.FIRST), "v")
    assert plain == ["red", 1]
    assert isinstance(plain, list)
    assert [type(item) for item in plain] == [str, int]


@pytest.mark.parametrize(
    "one, other", [(1, True), (1, 1.0), (0, False), (None, False), ([1], [1, 2]), ({"a": 1}, {"b": 1}), ([1], {"0": 1})]
)
def test_values_that_json_tells_apart_are_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)


def test_the_order_of_keys_does_not_count() -> None:
    assert same({"a": 1, "b": [2]}, {"b": [2], "a": 1})
