"""Inputs cut into chunks at any place, and what reading them gives."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from wsaios.kernel.errors import InputError
from wsaios.planning.inputs import read_rows
from wsaios.planning.rows import Kind, Row

SOURCE = "input"
MARK = b"\xef\xbb\xbf"

cuts = st.one_of(
    st.lists(st.floats(0, 1), max_size=8),
    st.just([1.0]),
    st.integers(1, 7).map(lambda size: [float(-size)]),
)
"""Places to cut at, as parts of the whole; one negative number is a fixed size of chunks."""


def cut(data: bytes, places: Sequence[float]) -> list[bytes]:
    if places and places[0] < 0:
        size = int(-places[0])
        return [data[start : start + size] for start in range(0, len(data), size)]
    bounds = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def rows_of(data: bytes, kind: Kind, places: Sequence[float] = ()) -> list[Row]:
    return list(read_rows(cut(data, places), source=SOURCE, kind=kind))


def values_of(data: bytes, kind: Kind, places: Sequence[float] = ()) -> list[dict[str, Any]]:
    rows = rows_of(data, kind, places)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [row.values for row in rows]


def refusal(data: bytes, kind: Kind, places: Sequence[float] = ()) -> InputError:
    with pytest.raises(InputError) as caught:
        rows_of(data, kind, places)
    assert str(caught.value).startswith(SOURCE)
    return caught.value
