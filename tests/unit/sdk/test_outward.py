from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.planning.calls import Calls
from wsaios.sdk.outward import CHUNK_BYTES, CHUNK_ROWS, chunked, chunked_async, plain


def encode(row: Mapping[str, object]) -> bytes:
    return Calls(1 << 20).encode(row, None)


def test_rows_keep_their_order_over_chunks() -> None:
    rows = [{"i": i} for i in range(CHUNK_ROWS * 2 + 1)]
    chunks = list(chunked(rows, encode))
    assert [len(chunk) for chunk in chunks] == [CHUNK_ROWS, CHUNK_ROWS, 1]
    assert [msgspec.json.decode(data) for chunk in chunks for data in chunk] == rows


def test_large_rows_make_small_chunks() -> None:
    chunks = list(chunked([{"text": "x" * CHUNK_BYTES}] * 3, encode))
    assert [len(chunk) for chunk in chunks] == [1, 1, 1]


def test_no_rows_make_no_chunks() -> None:
    assert list(chunked([], encode)) == []


async def test_rows_may_come_one_by_one() -> None:
    async def rows() -> AsyncIterator[dict[str, int]]:
        for i in range(CHUNK_ROWS + 2):
            yield {"i": i}

    assert [len(chunk) async for chunk in chunked_async(rows(), encode)] == [CHUNK_ROWS, 2]


def test_a_bad_row_is_named_by_its_number() -> None:
    rows = [{"i": 1}] * CHUNK_ROWS + [{"i": float("inf")}]
    with pytest.raises(InvalidInput, match=rf"row {CHUNK_ROWS + 1}, arguments: arguments\['i'\]"):
        list(chunked(rows, encode))


class Handle:
    id = "task_1"


def test_handles_among_the_options_become_ids() -> None:
    assert plain({"depends_on": [Handle(), "task_2"]}) == {"depends_on": ["task_1", "task_2"]}
    assert plain({"depends_on": Handle()}) == {"depends_on": ["task_1"]}
    assert plain({"depends_on": "task_2"}) == {"depends_on": ["task_2"]}
    assert plain({"depends_on": iter([Handle()])}) == {"depends_on": ["task_1"]}


def test_options_that_say_nothing_are_left_out() -> None:
    assert plain({"priority": 3, "lane": None}) == {"priority": 3}


def test_a_time_needs_its_zone() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert plain({"run_at": moment}) == {"run_at": moment}
    with pytest.raises(InvalidInput, match="run_at: a datetime needs a time zone"):
        plain({"run_at": moment.replace(tzinfo=None)})
