"""Expressions: their values, what they read, and how a wrong one is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.expressions import Cel
from wsaios.expressions.cel import CelExpression, Chain, chain
from wsaios.kernel.errors import ExpressionFailed, InvalidExpression
from wsaios.kernel.expression import Expression, Expressions
from wsaios.kernel.json_value import JsonValue

CONTEXT: dict[str, JsonValue] = {
    "input": {"n": 3, "name": "käse", "tags": ["a", "b"], "empty": None},
    "steps": {
        "rows": {"result": [{"id": 1, "price": 1.5}, {"id": 2, "price": 2.5}]},
        "a-b": {"result": {"deep": {"er": 7}}},
    },
}


@pytest.fixture(scope="module")
def cel() -> Cel:
    return Cel()


def fits_its_port(cel: Cel, one: CelExpression, other: Chain) -> tuple[Expressions, Expression, Expression]:
    return cel, one, other


@pytest.mark.parametrize(
    "source, value",
    [
        ("input.n", 3),
        ("input.n * 2 + 1", 7),
        ("input.empty", None),
        ("steps['a-b'].result.deep.er", 7),
        ("steps.rows.result.map(r, r.price * 2.0)", [3.0, 5.0]),
        ("steps.rows.result.filter(r, r.id > 1)[0]", {"id": 2, "price": 2.5}),
        ("size(input.tags) == 2 && 'a' in input.tags", True),
        ("has(input.missing) ? input.missing : 'default'", "default"),
        ("input.name + '!'", "käse!"),
        ("input.name.startsWith('k') || undefined_but_not_needed", True),
        ("{'b': 1, 'a': {'d': 1, 'c': 2}}", {"a": {"c": 2, "d": 1}, "b": 1}),
        ("input.tags.exists_one(t, t == 'a')", True),
    ],
)
def test_an_expression_has_the_value_that_cel_says(cel: Cel, source: str, value: object) -> None:
    found = cel.compile(source).evaluate(CONTEXT)
    assert found == value
    assert type(found) is type(value)


def test_keys_come_sorted_whatever_order_the_library_has(cel: Cel) -> None:
    names = [f"k{number:02}" for number in range(20)]
    source = "{" + ", ".join(f"'{name}': 1" for name in reversed(names)) + "}"
    value = cel.compile(source).evaluate({})
    assert isinstance(value, dict)
    assert list(value) == names


@pytest.mark.parametrize(
    "source, position, name, told",
    [
        ("1 +", 3, "", "ends too early"),
        ("input.n == 'a' b", 15, "b", "'b' is not expected"),
        ("steps['a'", 9, "]", "']' is missing"),
        ("input.n + fo(1)", 10, "fo", "no function 'fo'"),
        ("input.tags.sum()", 11, "sum", "no function 'sum'"),
        ("", 0, "", "ends too early"),
        ("\n\n 1 + +", 7, "+", "'+' is not expected"),
        ("'abc", 0, "'abc", "no end"),
        ("1 @ 2", 2, "@", "no part of the language"),
        ("if", 0, "if", "reserved identifier"),
        ("(" * 200 + "1" + ")" * 200, None, None, None),
    ],
)
def test_a_wrong_expression_is_told_with_its_place(
    cel: Cel, source: str, position: int | None, name: str | None, told: str | None
) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        cel.compile(source)
    if told is not None:
        assert (refusal.value.position, refusal.value.name) == (position, name)
        assert told in str(refusal.value)
    assert refusal.value.source == source


@pytest.mark.parametrize(
    "source, told",
    [
        ("input.m", "there is no 'm' in input.m"),
        ("input.m + 1", "there is no 'm' in input.m"),
        ("nothing", "there is no 'nothing'"),
        ("nothing + 1", "there is no 'nothing' here"),
        ("input.n.x", "no names in it"),
        ("input.n + 1.5", "types of its values do not fit"),
        ("string(true)", "'string' does not take a value of this type"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "overflow"),
        ("[1][3]", "out of bounds"),
        ("1.0 / 0.0", "inf"),
        ("timestamp('2026-01-01T00:00:00Z')", "datetime is not a JSON value"),
        ("'a'.matches('(')", "unclosed group"),
    ],
)
def test_an_expression_without_a_value_says_why(cel: Cel, source: str, told: str) -> None:
    with pytest.raises(ExpressionFailed) as refusal:
        cel.compile(source).evaluate(CONTEXT)
    assert told in str(refusal.value)
    assert "\n" not in refusal.value.reason


def test_references_are_what_an_expression_reads_and_where(cel: Cel) -> None:
    source = "steps.a.result.rows.filter(r, r.id in input.ids).map(x, {'k': x.id, 'n': steps['b-c'].result.n})"
    found = [(".".join(each.path), source[each.position :][:5]) for each in cel.compile(source).references]
    assert found == [("steps.a.result.rows", "steps"), ("input.ids", "input"), ("steps.b-c.result.n", "steps")]


@pytest.mark.parametrize("text", ["'input.a'", '"""steps.x"""', "r'\\' + 'input.b'", "1 // input.c", "b'x'"])
def test_what_stands_in_texts_and_comments_is_no_reference(cel: Cel, text: str) -> None:
    assert cel.compile(text).references == ()


NAMES = st.sampled_from(["a", "b", "in_", "_x", "size"])


@given(st.lists(NAMES, min_size=1, max_size=4), st.recursive(st.integers(-9, 9), lambda v: st.dictionaries(NAMES, v)))
def test_names_with_dots_have_the_same_value_with_and_without_the_library(names: list[str], value: Any) -> None:
    source = ".".join(names)
    short = chain(source)
    assert short is not None
    long = Cel()._compiled(source)  # noqa: SLF001  # past the short way, which is what is compared
    assert outcome(short, {names[0]: value}) == outcome(long, {names[0]: value})
    assert short.references == long.references


def outcome(expression: Chain | CelExpression, context: dict[str, JsonValue]) -> object:
    try:
        return expression.evaluate(context)
    except ExpressionFailed:
        return ExpressionFailed


@pytest.mark.parametrize("source", ["true", "null", "a.in", "if.x", "a b", "a[0]", "a.b()", "a.", ".a", "1", "ä"])
def test_what_is_more_than_names_with_dots_goes_to_the_library(source: str) -> None:
    assert chain(source) is None


def test_the_same_text_is_compiled_once(cel: Cel) -> None:
    assert cel.compile("1 + 1") is cel.compile("1 + 1")
