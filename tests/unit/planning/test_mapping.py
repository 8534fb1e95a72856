from typing import Any

import pytest

from wsaios.kernel.errors import InputError, InvalidInput
from wsaios.planning.mapping import Mapping, row_id
from wsaios.planning.rows import Row


def row(**values: Any) -> Row:
    return Row(3, 5, values)


def test_columns_become_the_arguments_that_were_named() -> None:
    mapping = Mapping.parse(["text=body", "label = a=b"])

    assert mapping.apply(Row(1, 2, {"body": "x", " a=b": "y", "z": "w"}), source="f") == {"text": "x", "label": "y"}


def test_one_column_may_serve_two_arguments() -> None:
    assert Mapping.parse(["a=c", "b=c"]).apply(row(c=1), source="f") == {"a": 1, "b": 1}


def test_without_a_mapping_every_column_keeps_its_name() -> None:
    assert Mapping.parse([]).apply(row(a=1, b=None), source="f") == {"a": 1, "b": None}


@pytest.mark.parametrize("item", ["text", "=body", "text=", " =body", ""])
def test_a_mapping_without_both_names_is_refused(item: str) -> None:
    with pytest.raises(InvalidInput, match="is not of the form argument=column"):
        Mapping.parse([item])


def test_an_argument_that_is_named_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="argument 'a' is named twice: 'x' and 'y'"):
        Mapping.parse(["a=x", "a=y"])


def test_a_missing_column_names_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        Mapping.parse(["text=body"]).apply(row(id=1, text="a"), source="f.csv")

    assert str(caught.value) == "f.csv, row 3, line 5: no column 'body'; there are 'id', 'text'"


def test_of_many_columns_only_the_first_are_named() -> None:
    with pytest.raises(InputError, match=r"'c0', .*'c19' and 80 more$"):
        Mapping.parse(["text=body"]).apply(row(**{f"c{number}": 1 for number in range(100)}), source="f.csv")


@pytest.mark.parametrize("found", ["a", "0", " x ", "1", 1, 0, -5, 2**70])
def test_an_id_is_kept_as_it_was(found: str | int) -> None:
    got = row_id(row(key=found), "key", source="f")

    assert got == found
    assert type(got) is type(found)


@pytest.mark.parametrize("found", ["", "  ", None])
def test_an_empty_id_is_refused(found: object) -> None:
    with pytest.raises(InputError, match="f, row 3, line 5: the id in column 'key' is empty"):
        row_id(row(key=found), "key", source="f")


@pytest.mark.parametrize(
    "found, name", [(1.5, "one with a fraction"), (True, "true"), ([1], "an array"), ({}, "an object")]
)
def test_an_id_of_another_type_is_refused(found: object, name: str) -> None:
    with pytest.raises(InputError, match=f"must be a text or a whole number, not {name}"):
        row_id(row(key=found), "key", source="f")


def test_a_missing_id_column_names_those_there_are() -> None:
    with pytest.raises(InputError, match="no column 'key'; there are 'a'"):
        row_id(row(a=1), "key", source="f")
