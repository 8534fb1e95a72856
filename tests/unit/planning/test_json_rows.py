import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.chunking import MARK, cuts, refusal, rows_of, values_of
from tests.unit.planning.test_jsonl_rows import objects
from wsaios.kernel.errors import InputError
from wsaios.planning.inputs import read_rows
from wsaios.planning.rows import MAX_ROW_BYTES

brackets = st.dictionaries(st.text('{}[]",\\:é'), st.text('{}[]",\\:é\n'), max_size=4)


@given(
    st.lists(st.one_of(objects, brackets), min_size=1, max_size=6),
    cuts,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0, 2, "\t"]),
)
def test_what_was_dumped_comes_back_however_it_is_cut(
    items: list[dict[str, Any]], places: Sequence[float], ascii_only: bool, mark: bool, indent: int | str | None
) -> None:
    data = json.dumps(items, ensure_ascii=ascii_only, indent=indent).encode()

    assert values_of(MARK * mark + data, "json", places) == items


@given(st.lists(objects, min_size=1, max_size=6), cuts)
def test_rows_say_the_line_where_they_begin(items: list[dict[str, Any]], places: Sequence[float]) -> None:
    text, starts = "\n[ ", []
    for item in items:
        starts.append(text.count("\n") + 1)
        text += json.dumps(item, indent=1) + "\n,\n"

    rows = rows_of((text.removesuffix(",\n") + " ]\n").encode(), "json", places)

    assert [row.line for row in rows] == starts


@given(st.integers(1, 30), st.data(), cuts)
def test_broken_json_is_named_by_its_row_and_line(count: int, data: st.DataObject, places: Sequence[float]) -> None:
    broken = data.draw(st.integers(0, count - 1))
    lines = [json.dumps({"id": number, "text": "é中}"}, ensure_ascii=False) for number in range(count)]
    lines[broken] = data.draw(
        st.sampled_from(
            ['{"id" 1}', '{"id": "}', '{"id": tru}', "{]", '{"a": [1}', '{"a": {1}}', '{"a": NaN}', '{"a": "\n"}']
        )
    )

    error = refusal(("[\n" + ",\n".join(lines) + "\n]").encode(), "json", places)

    assert error.where == f"row {broken + 1}, line {broken + 2}"
    assert error.reason.startswith("broken JSON at byte ")


@given(st.integers(1, 10), st.data(), cuts)
def test_the_line_inside_a_row_of_many_lines_is_named(count: int, data: st.DataObject, places: Sequence[float]) -> None:
    broken = data.draw(st.integers(0, count - 1))
    parts = ['{\n"a":\n1\n}'] * count
    parts[broken] = '{\n"a":\n?\n}'
    text = "[" + ",".join(parts) + "]"

    error = refusal(text.encode(), "json", places)

    assert error.where == f"row {broken + 1}, line {text[: text.index('?')].count(chr(10)) + 1}"
    assert f"at byte {text.index('?')}:" in error.reason


@pytest.mark.parametrize(
    "element, name",
    [
        ("[1]", "an array"),
        ('"a"', "a text"),
        ("-1.5", "a number"),
        ("null", "null"),
        ("true", "true"),
        ("false", "false"),
    ],
)
@pytest.mark.parametrize("before", ["", '{"a": 0},\n'])
def test_an_element_that_is_no_object_is_refused(element: str, name: str, before: str) -> None:
    error = refusal(f"[\n{before}{element}]".encode(), "json")

    assert error.where == ("row 2, line 3" if before else "row 1, line 2")
    assert error.reason == f"this is {name}; each element of the array must be an object"


@pytest.mark.parametrize(
    "data, where, reason",
    [
        (b'\n {"a": 1}', "line 2", "an object, not an array"),
        (b'"a"', "line 1", "a text, not an array"),
        (b"12", "line 1", "a number, not an array"),
        (b"null", "line 1", "null, not an array"),
        (b"id,text\n1,a", "line 1", "broken JSON at byte 0: 'i' at the start"),
        (b'[{"a": 1}\n{"a": 2}]', "line 2", "broken JSON at byte 10: '{' after row 1; a comma or ] must follow"),
        (b'[{"a": 1},\n]', "line 2", "broken JSON at byte 11: ']' where row 2 should begin"),
        (b"[,]", "line 1", "broken JSON at byte 1: ',' where row 1 should begin"),
        ("[{}, é]".encode(), "line 1", "broken JSON at byte 5: 'é' where row 2 should begin"),
        (b'[{"a": 1}]\n\n[]', "line 3", "broken JSON at byte 12: '[' after the array; nothing may follow"),
        (b"[]]", "line 1", "broken JSON at byte 2: ']' after the array"),
        (b"[\n", "line 2", "the file ends where row 1 should begin, before a ] closes the array"),
        (b'[{"a": 1}\n', "line 2", "the file ends after row 1, before a ] closes the array"),
        (b'[{"a": 1},', "line 1", "the file ends where row 2 should begin, before a ] closes the array"),
        (b'[{},\n{"a": {"b": 1}\n', "row 2, line 2", "the file ends inside this row"),
        (b'[{},\n{"a": "b', "row 2, line 2", "broken JSON at byte 11: unterminated string"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_not_one_whole_array_of_objects_is_refused(data: bytes, where: str, reason: str, size: int) -> None:
    error = refusal(data, "json", [float(-size)])

    assert error.where == where
    assert error.reason.startswith(reason)


@pytest.mark.parametrize(
    "element, reason",
    [
        (r'{"a": "\ud800 b"}', "half a character"),
        ('{"a": -1e999}', "out of range"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_python_would_take_but_nobody_can_use_is_refused(element: str, reason: str) -> None:
    error = refusal(f"[{{}},\n{element}]".encode(), "json")

    assert error.where == "row 2, line 2"
    assert reason in error.reason


@pytest.mark.parametrize("data", [b"", MARK, b"\n \t", b"[]", MARK + b" [ \n ] "])
def test_a_file_without_data_rows_is_refused(data: bytes) -> None:
    assert str(refusal(data, "json")) in {"input: the file is empty", "input: there is no data row in it"}


def test_of_equal_keys_the_last_one_counts() -> None:
    assert values_of(b'[{"a": 1, "a": 2}]', "json") == [{"a": 2}]


def test_a_row_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    drawn = []

    def endless() -> Iterator[bytes]:
        yield b'[\n{"a": ['
        while True:
            drawn.append(1)
            yield b"1," * (1 << 19)

    with pytest.raises(InputError, match=r"input, row 1, line 2: the row is longer than 16 MiB"):
        list(read_rows(endless(), source="input", kind="json"))

    assert len(drawn) <= 2 * (MAX_ROW_BYTES >> 20) + 1


def test_rows_come_while_the_rest_of_the_array_is_not_read_yet() -> None:
    drawn = []

    def chunks() -> Iterator[bytes]:
        yield b'[{"a": 0}'
        for number in range(1, 1000):
            drawn.append(number)
            yield b', {"a": %d}' % number
        yield b"]"

    rows = read_rows(chunks(), source="input", kind="json")

    assert next(rows).values == {"a": 0}
    assert next(rows).values == {"a": 1}
    assert len(drawn) <= 3
    assert sum(1 for _ in rows) == 998
