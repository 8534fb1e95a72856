import csv
import io
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.chunking import MARK, cut, cuts, refusal, rows_of, values_of
from wsaios.planning.inputs import read_rows
from wsaios.planning.rows import MAX_ROW_BYTES

Quoting = Literal[0, 1]  # csv.QUOTE_MINIMAL and csv.QUOTE_ALL

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
tricky = st.text(st.sampled_from('",\n\r\t ;\x0b\x0c\x1c\x85\u2028aé中😀'))
names = st.lists(st.one_of(text, tricky).filter(str.strip), min_size=1, max_size=5, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    header = draw(names)
    cell = st.one_of(text, tricky)
    if len(header) == 1:
        cell = cell.filter(lambda value: not value.isspace())
    body = st.lists(cell, min_size=len(header), max_size=len(header))
    return header, draw(st.lists(body, min_size=1, max_size=6))


def written(
    header: list[str], body: list[list[str]], *, end: str = "\r\n", quoting: Quoting = csv.QUOTE_MINIMAL
) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=quoting)
    writer.writerow(header)
    writer.writerows(body)
    return out.getvalue().encode()


@given(tables(), cuts, st.booleans(), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_a_csv_writer_wrote_comes_back_however_it_is_cut(
    table: tuple[list[str], list[list[str]]], places: Sequence[float], mark: bool, quoting: Quoting
) -> None:
    header, body = table
    data = MARK * mark + written(header, body, quoting=quoting)

    assert values_of(data, "csv", places) == [dict(zip(header, line, strict=True)) for line in body]


@given(tables(), cuts, st.sampled_from(["\n", "\r", "\r\n"]), st.booleans())
def test_lines_may_end_in_any_of_the_three_ways(
    table: tuple[list[str], list[list[str]]], places: Sequence[float], end: str, ended: bool
) -> None:
    header, body = table
    data = written(header, body, end=end, quoting=csv.QUOTE_ALL)
    data = data if ended else data.removesuffix(end.encode())

    assert values_of(data, "csv", places) == [dict(zip(header, line, strict=True)) for line in body]


@given(tables(), cuts)
def test_rows_say_the_line_where_they_begin(table: tuple[list[str], list[list[str]]], places: Sequence[float]) -> None:
    header, body = table
    starts, before = [], written(header, [], quoting=csv.QUOTE_ALL)
    for line in body:
        starts.append(len(before.splitlines()) + 1)
        before += written(line, [], quoting=csv.QUOTE_ALL)

    assert [row.line for row in rows_of(before, "csv", places)] == starts


@given(st.integers(1, 30), st.data(), cuts)
def test_a_row_with_other_fields_than_the_header_is_named_by_its_line(
    count: int, data: st.DataObject, places: Sequence[float]
) -> None:
    broken = data.draw(st.integers(0, count - 1))
    lines = [f"{number},text" for number in range(count)]
    lines[broken] = data.draw(st.sampled_from(["1", "1,2,3", '"1"', ",,"]))

    error = refusal("\n".join(["id,text", *lines]).encode(), "csv", places)

    assert error.where == f"row {broken + 1}, line {broken + 2}"
    assert "the header has 2" in error.reason


@given(st.integers(2, 30), st.data(), cuts)
def test_broken_quotes_are_named_by_their_line(count: int, data: st.DataObject, places: Sequence[float]) -> None:
    broken = data.draw(st.integers(0, count - 2))
    lines = [f'{number},"text"' for number in range(count)]
    lines[broken] = data.draw(st.sampled_from(['1,"te"xt"', '1,"text', '"1"2,text']))

    error = refusal("\n".join(["id,text", *lines]).encode(), "csv", places)

    assert error.where == f"line {broken + 2}"


def test_a_quote_that_never_closes_is_said_so() -> None:
    error = refusal(b'id,text\n1,a\n2,"b\n3,c\n', "csv")

    assert str(error) == "input, line 3: a quote that opens in this row is not closed before the file ends"


def test_a_field_that_is_too_long_suggests_a_missing_quote() -> None:
    piece = b"x" * (1 << 20) + b"\n"
    chunks = [b'text\n"', *[piece] * (MAX_ROW_BYTES // len(piece) + 2)]

    error = refusal(b"".join(chunks), "csv", [0.01 * part for part in range(100)])

    assert error.where == "line 2"
    assert "is a closing quote missing?" in error.reason


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    drawn = []

    def endless() -> Iterator[bytes]:
        while True:
            drawn.append(1)
            yield b"x" * (1 << 20)

    with pytest.raises(Exception, match=r"input, line 1: longer than 16 MiB"):
        list(read_rows(endless(), source="input", kind="csv"))

    assert len(drawn) <= (MAX_ROW_BYTES >> 20) + 2


def test_fields_longer_than_the_limit_that_python_sets_are_read() -> None:
    long = "x" * 200_000

    assert values_of(f"id,text\n1,{long}\n".encode(), "csv") == [{"id": "1", "text": long}]


def test_blank_lines_are_skipped_and_counted() -> None:
    rows = rows_of(b"\n \nid,text\r\n\r\n1,a\r\n   \r\n\n2,b\r\n\r\n", "csv")

    assert [(row.number, row.line, row.values["id"]) for row in rows] == [(1, 5, "1"), (2, 8, "2")]


def test_an_empty_value_in_a_single_column_is_a_row() -> None:
    assert values_of(b'text\n""\n\na\n', "csv") == [{"text": ""}, {"text": "a"}]


@pytest.mark.parametrize(
    "header, reason",
    [
        (b"id,,text", "column 2 of the header has no name"),
        (b"id, \t", "column 2 of the header has no name"),
        (b'""', "column 1 of the header has no name"),
        (b"id,text,id", "the header has 2 columns named 'id'"),
    ],
)
def test_a_header_without_or_with_equal_names_is_refused(header: bytes, reason: str) -> None:
    error = refusal(b"\n" + header + b"\n1,2,3\n", "csv")

    assert error.where == "line 2"
    assert reason in error.reason


@given(st.integers(0, 20), cuts)
def test_a_nul_byte_is_named_by_its_line(line: int, places: Sequence[float]) -> None:
    lines = [b"id,text", *[b"1,a"] * 20]
    lines[line] += b"\0"

    error = refusal(b"\n".join(lines), "csv", places)

    assert error.where == f"line {line + 1}"
    assert "NUL" in error.reason


@pytest.mark.parametrize("data", [b"", MARK, b"\n \n", b"id,text", b"id,text\r\n\r\n", MARK + b"id,text\n"])
def test_a_file_without_data_rows_is_refused(data: bytes) -> None:
    assert str(refusal(data, "csv")) == "input: there is no data row in it"


@given(cuts)
def test_the_first_fault_of_the_file_is_reported_however_it_is_cut(places: Sequence[float]) -> None:
    data = b"id,text\n1,a\n2\n3,\xff\n4,\0\n"

    assert refusal(data, "csv", places).where == "row 2, line 3"


def test_reading_holds_no_more_than_it_needs() -> None:
    drawn = []

    def chunks() -> Iterator[bytes]:
        for number in range(1000):
            drawn.append(number)
            yield b"id,text\n" if number == 0 else f"{number},a\n".encode() * 10

    rows = read_rows(chunks(), source="input", kind="csv")
    next(rows)

    assert len(drawn) <= 3
    assert cut(b"abc", [0.5]) == [b"a", b"bc"]
