import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.chunking import MARK, cuts, refusal, rows_of, values_of

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), text)
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(text, inner)), max_leaves=8)
objects = st.dictionaries(text, values, max_size=5)


@given(
    st.lists(objects, min_size=1, max_size=6),
    cuts,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_what_was_dumped_comes_back_however_it_is_cut(
    items: list[dict[str, Any]], places: Sequence[float], ascii_only: bool, mark: bool, end: str
) -> None:
    lines = end.join(json.dumps(item, ensure_ascii=ascii_only) for item in items)

    assert values_of(MARK * mark + lines.encode(), "jsonl", places) == items


@given(st.integers(1, 30), st.data(), cuts)
def test_broken_json_is_named_by_its_line(count: int, data: st.DataObject, places: Sequence[float]) -> None:
    broken = data.draw(st.integers(0, count - 1))
    lines = [json.dumps({"id": number, "text": "é中"}, ensure_ascii=False) for number in range(count)]
    lines[broken] = data.draw(
        st.sampled_from(['{"id": 1', '{"id" 1}', '{"id": "}', "{]", "x", '{"id": 1}}', "{'a': 1}"])
    )

    error = refusal("\n".join(lines).encode(), "jsonl", places)

    assert error.where.startswith(f"line {broken + 1}, column ")
    assert error.reason.startswith("broken JSON: ")


@pytest.mark.parametrize(
    "line, column, reason",
    [
        ('{"é": tru}', 7, "expecting value"),
        ('{"a": 1 "b": 2}', 9, "expecting ',' delimiter"),
        ('{"a": "b}', 7, "unterminated string"),
        ('{"a": "b\tc"}', 9, "invalid control character"),
        ('{"é": NaN}', 7, "NaN is not a JSON number"),
        ('{"a": [1, -Infinity]}', 12, "-Infinity is not a JSON number"),
        ('{"a": 1} {"a": 2}', 10, "extra data"),
        ("nul", 1, "expecting value"),
    ],
)
def test_broken_json_says_column_and_reason(line: str, column: int, reason: str) -> None:
    error = refusal(f'{{"a": 0}}\n{line}\r\n{{"a": 1}}\n'.encode(), "jsonl")

    assert error.where == f"line 2, column {column}"
    assert reason in error.reason


@pytest.mark.parametrize(
    "line, reason",
    [
        (r'{"a": "\ud800 b"}', "half a character"),
        (r'{"a": "\udc00"}', "half a character"),
        ('{"a": 1e999}', "out of range"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_python_would_take_but_nobody_can_use_is_refused(line: str, reason: str) -> None:
    error = refusal(f'{{"a": 0}}\n{line}\n'.encode(), "jsonl")

    assert error.where.startswith("line 2")
    assert reason in error.reason


@pytest.mark.parametrize(
    "line, name",
    [
        ("[1]", "an array"),
        ('"a"', "a text"),
        ("1.5", "a number"),
        ("null", "null"),
        ("true", "true"),
        ("0", "a number"),
    ],
)
def test_a_line_that_is_no_object_is_refused(line: str, name: str) -> None:
    error = refusal(f'{{"a": 0}}\n\n{line}\n'.encode(), "jsonl")

    assert error.where == "line 3"
    assert error.reason.startswith(f"this is {name};")


def test_blank_lines_are_skipped_and_counted() -> None:
    rows = rows_of(b'\n{"a": 1}\r\n \t\r\n\r\n{"a": 2}', "jsonl")

    assert [(row.number, row.line, row.values) for row in rows] == [(1, 2, {"a": 1}), (2, 5, {"a": 2})]


def test_of_equal_keys_the_last_one_counts() -> None:
    assert values_of(b'{"a": 1, "a": 2}', "jsonl") == [{"a": 2}]


@pytest.mark.parametrize("data", [b"", MARK, b"\n \r\n"])
def test_a_file_without_data_rows_is_refused(data: bytes) -> None:
    assert str(refusal(data, "jsonl")) == "input: there is no data row in it"
