"""Results as JSON, and the place where one is not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import OrderedDict
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.kernel.json_text import MAX_DEPTH, JsonWriter
from wsaios.kernel.task import Failure

NAN, INF = math.nan, math.inf
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab'ü"), inner))


@dataclasses.dataclass
class Point:
    x: Any


class Shape(msgspec.Struct):
    points: list[Any]


def write(value: object, limit: int = 1 << 20) -> bytes | Failure:
    return JsonWriter(limit).write(value)


def refused(value: object) -> str:
    failure = write(value)
    assert isinstance(failure, Failure)
    assert failure.kind == "ResultNotJson"
    return failure.message


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@given(VALUES)
def test_a_value_is_written_unless_it_holds_nan_or_infinity(value: Any) -> None:
    written = write(value)
    if finite(value):
        assert isinstance(written, bytes)
        assert msgspec.json.decode(written) == value
    else:
        assert isinstance(written, Failure)


@pytest.mark.parametrize(
    "value, place",
    [
        (NAN, "result is nan"),
        ([1.0, -INF], "result[1] is -inf"),
        ([None, {"a": [0.5, NAN]}], "result[1]['a'][1] is nan"),
        ((1, (2, INF)), "result[1][1] is inf"),
        ({"o'clock": {3: NAN}}, 'result["o\'clock"][3] is nan'),
        (Point([NAN]), "result.x[0] is nan"),
        (Shape([Point(1), Point(INF)]), "result.points[1].x is inf"),
    ],
)
def test_the_first_number_that_is_none_is_named_with_its_place(value: object, place: str) -> None:
    assert refused(value).startswith(place)


@pytest.mark.parametrize(
    "value, told",
    [
        (object(), "result is of type object"),
        ({"a": [1, {"b": 1j}]}, "result['a'][1]['b'] is of type complex"),
        ([range(3)], "result[0] is of type range"),
        ({(1, 2): 3}, "result: the key (1, 2) cannot be a key"),
        ({"a": {None: 1}}, "result['a']: the key None cannot be a key"),
        ({1: 2}, "result: the key 1 cannot be a key in JSON; use str"),
        ({"a": {1: 2}}, "result['a']: the key 1 cannot be a key"),
        ([1, {"a": ({"b": {2.5: 1}},)}], "result[1]['a'][0]['b']: the key 2.5 cannot be a key"),
        (Shape([{dt.date(2026, 1, 2): 1}]), "result.points[0]: the key datetime.date(2026, 1, 2) cannot be a key"),
        (Point(OrderedDict({b"x": 1})), "result.x: the key b'x' cannot be a key"),
        (["fine", "\ud800"], "result[1] has a lone surrogate at character 0"),
        ({"\ud800": 1}, "cannot be a key"),
        (Point(dt.date), "result.x is of type type"),
    ],
)
def test_what_json_cannot_carry_is_named_with_its_place(value: object, told: str) -> None:
    assert told in refused(value)


def test_keys_are_looked_at_however_deep_they_stand() -> None:
    deep: Any = {1: 2}
    for _ in range(400):
        deep = {"a": [deep]}
    assert f"more than {MAX_DEPTH} levels" in refused(deep)


def test_texts_of_a_kind_of_their_own_are_keys() -> None:
    class Name(str):
        __slots__ = ()

    assert write({Name("a"): [{Name("b"): "{"}]}) == b'{"a":[{"b":"{"}]}'


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert f"more than {MAX_DEPTH} levels" in refused(loop)


def test_null_in_a_text_is_no_number() -> None:
    assert write(["null", None, {"null": 1.5}]) == b'["null",null,{"null":1.5}]'


@pytest.mark.parametrize("value", [{1, 2}, (1, 2), [1, 2], frozenset({1, 2})])
def test_collections_are_written_as_lists(value: object) -> None:
    assert write(value) == b"[1,2]"


def test_a_vector_is_written_whole() -> None:
    vector = [index / 7 for index in range(384)]
    written = write(vector)
    assert isinstance(written, bytes)
    assert msgspec.json.decode(written) == vector


def test_the_limit_counts_bytes_and_names_both_sizes() -> None:
    assert write("ü" * 4, limit=10) == '"üüüü"'.encode()
    failure = write("ü" * 5, limit=10)
    assert isinstance(failure, Failure)
    assert failure.kind == "ResultTooLarge"
    assert "12 bytes" in failure.message
    assert "limit is 10" in failure.message
