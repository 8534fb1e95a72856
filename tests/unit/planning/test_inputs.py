import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.chunking import cut, cuts
from wsaios.kernel.errors import InputError, InvalidInput
from wsaios.kernel.task import MAX_PAYLOAD_BYTES
from wsaios.planning.inputs import Checked, Intake, check, entries, kind_of
from wsaios.planning.mapping import Mapping
from wsaios.planning.rows import Kind


def opened(data: bytes, places: Sequence[float] = ()) -> Callable[[], list[bytes]]:
    return lambda: cut(data, places)


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


@pytest.mark.parametrize(
    "name, kind",
    [("a.csv", "csv"), ("A.CSV", "csv"), ("/x.y/a.json", "json"), ("a.b.jsonl", "jsonl"), ("a.ndjson", "jsonl")],
)
def test_the_suffix_tells_the_kind(name: str, kind: Kind) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["a.txt", "csv", "a.csv.gz", "a.xlsx", "a.", "a.csv/b"])
def test_another_suffix_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"must end in \.csv, \.json, \.jsonl or \.ndjson"):
        kind_of(name)


@given(st.integers(1, 20), st.one_of(st.none(), st.integers(1, 25)), cuts)
def test_checking_counts_the_rows_up_to_the_limit_and_digests_the_whole_file(
    count: int, limit: int | None, places: Sequence[float]
) -> None:
    data = b"text\n" + b"a\n" * count

    checked = check(opened(data, places), Intake("f.csv", "csv", limit=limit))

    assert checked == Checked(min(count, limit or count), hashlib.sha256(data).hexdigest())


def test_a_limit_reads_the_first_rows_and_leaves_the_rest_alone() -> None:
    intake = Intake("f.jsonl", "jsonl", limit=2)
    data = lines({"a": 1}, {"a": 2}) + b"broken\n"

    assert [entry.arguments for entry in entries([data], intake)] == [{"a": 1}, {"a": 2}]
    assert check(opened(data), intake).rows == 2


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInput, match="it must be 1 or more"):
        Intake("f", "csv", limit=limit)


def test_without_an_id_column_the_row_number_is_the_id() -> None:
    found = list(entries([b"text\n\na\nb\n"], Intake("f", "csv")))

    assert [(entry.id, entry.number, entry.line, entry.arguments) for entry in found] == [
        (1, 1, 3, {"text": "a"}),
        (2, 2, 4, {"text": "b"}),
    ]


def test_ids_of_json_stay_text_or_number() -> None:
    found = entries([lines({"k": 1}, {"k": "1"}, {"k": -1}, {"k": -2})], Intake("f", "jsonl", id_column="k"))

    assert [entry.id for entry in found] == [1, "1", -1, -2]


def test_ids_that_only_look_or_hash_alike_are_different() -> None:
    data = lines({"k": 1}, {"k": "1"}, {"k": -1}, {"k": -2}, {"k": 2**61 - 1}, {"k": 0})

    assert check(opened(data), Intake("f", "jsonl", id_column="k")).rows == 6


@given(st.integers(2, 200), st.data(), st.booleans())
def test_a_repeated_id_names_both_rows(count: int, data: st.DataObject, numeric: bool) -> None:
    second = data.draw(st.integers(2, count))
    first = data.draw(st.integers(1, second - 1))
    keys = [number if numeric else f"r{number}" for number in range(1, count + 1)]
    keys[second - 1] = keys[first - 1]

    with pytest.raises(InputError) as caught:
        check(opened(lines(*({"k": key} for key in keys))), Intake("f.jsonl", "jsonl", id_column="k"))

    expected = f"f.jsonl, row {second}: id {keys[first - 1]!r} in column 'k' stands in row {first} already"
    assert str(caught.value) == expected


def test_the_first_of_many_repeated_ids_is_named() -> None:
    with pytest.raises(InputError, match="row 4: id 'b' in column 'k' stands in row 2 already"):
        check(opened(b"k\na\nb\nc\nb\na\nc\n"), Intake("f", "csv", id_column="k"))


def test_a_repeated_id_behind_the_limit_does_not_matter() -> None:
    assert check(opened(b"k\na\nb\na\n"), Intake("f", "csv", id_column="k", limit=2)).rows == 2


def test_an_empty_id_is_named_by_its_row() -> None:
    with pytest.raises(InputError, match="f, row 2, line 3: the id in column 'k' is empty"):
        check(opened(b"k,t\na,1\n,2\n"), Intake("f", "csv", id_column="k"))


def test_a_row_that_lacks_a_mapped_column_is_named() -> None:
    data = lines({"a": 1, "b": 2}, {"b": 2})

    with pytest.raises(InputError, match="f, row 2, line 2: no column 'a'; there are 'b'"):
        check(opened(data), Intake("f", "jsonl", Mapping.parse(["x=a"])))


def test_a_column_that_the_handler_needs_is_named() -> None:
    with pytest.raises(InputError, match="f, row 1, line 2: no column 'text'; there are 'txt'"):
        check(opened(b"txt\na\n"), Intake("f", "csv", required=frozenset({"text"})))


def test_a_column_that_the_handler_does_not_take_is_named() -> None:
    intake = Intake("f", "csv", required=frozenset({"text"}), accepted=frozenset({"text"}))

    with pytest.raises(InputError, match="the handler has no argument 'lang'; choose what to pass with --map"):
        check(opened(b"text,lang\na,b\n"), intake)


@pytest.mark.parametrize(
    "accepted, passed", [({"text"}, {"text"}), ({"text", "id"}, {"text", "id"}), (None, {"text", "id"})]
)
def test_the_id_column_is_an_argument_only_if_the_handler_takes_it(accepted: set[str] | None, passed: set[str]) -> None:
    accepts = None if accepted is None else frozenset(accepted)
    (entry,) = entries([b"id,text\n7,a\n"], Intake("f", "csv", id_column="id", accepted=accepts))

    assert entry.id == "7"
    assert set(entry.arguments) == passed


@pytest.mark.parametrize(
    "items, reason",
    [
        (["a=x"], "--map: the handler also needs 'b'"),
        (["a=x", "b=x", "c=x"], "--map: the handler has no argument 'c'; it takes 'a', 'b'"),
    ],
)
def test_a_mapping_that_does_not_fit_the_handler_is_refused(items: list[str], reason: str) -> None:
    takes = frozenset({"a", "b"})

    with pytest.raises(InvalidInput, match=reason):
        check(opened(b"x\n1\n"), Intake("f", "csv", Mapping.parse(items), required=takes, accepted=takes))


def test_arguments_that_are_too_large_are_named_by_their_row() -> None:
    data = lines({"a": "x"}, {"a": "x" * MAX_PAYLOAD_BYTES})

    with pytest.raises(
        InputError, match=r"f, row 2, line 2: the arguments take 1,048,584 bytes of JSON; at most 1,048,576"
    ):
        check(opened(data), Intake("f", "jsonl"))


def test_an_error_survives_pickling() -> None:
    with pytest.raises(InputError) as caught:
        check(opened(b""), Intake("f", "csv"))

    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert (copy.source, copy.where, copy.reason) == ("f", "", caught.value.reason)
