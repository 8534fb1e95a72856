"""What is filled in, and what is left as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.expressions import Cel
from wsaios.kernel.errors import InvalidExpression
from wsaios.planning.workflow.template import Hole, expressions_in, filled, holes, prepared

CONTEXT: dict[str, Any] = {"input": {"n": 3, "text": "x", "list": [1, {"a": None}], "evil": "${input.n} $${ ${"}}


def fill(value: Any) -> Any:
    return filled(prepared(value, Cel().compile), CONTEXT)


@pytest.mark.parametrize(
    "text, value",
    [
        ("plain", "plain"),
        ("", ""),
        ("${input.n}", 3),
        ("${ input.list }", [1, {"a": None}]),
        ("${input.n > 2}", True),
        ("n is ${input.n}", "n is 3"),
        ("${input.n}${input.text}", "3x"),
        (" ${input.n}", " 3"),
        ("list: ${input.list}", 'list: [1,{"a":null}]'),
        ("$${input.n}", "${input.n}"),
        ("$${", "${"),
        ("cost: $5 {a}", "cost: $5 {a}"),
        ("${'}' + \"}\" + r'\\' + '{'}", "}}\\{"),
        ("${{'a': {'b': input.n}}.a.b}", 3),
        ("${'''it's }'''}", "it's }"),
    ],
)
def test_a_text_is_filled(text: str, value: object) -> None:
    found = fill(text)
    assert found == value
    assert type(found) is type(value)


def test_whatever_was_put_in_is_never_looked_through_again() -> None:
    assert fill("${input.evil}") == CONTEXT["input"]["evil"]
    assert fill("<${input.evil}>") == f"<{CONTEXT['input']['evil']}>"


def test_values_are_filled_at_any_depth_and_keys_are_no_templates() -> None:
    value = {"${input.n}": [{"a": "${input.n}"}, ["${input.text}!", 1, None, True]]}
    assert fill(value) == {"${input.n}": [{"a": 3}, ["x!", 1, None, True]]}


@pytest.mark.parametrize("text", ["${", "a ${input.n", "${{}", "${'}'"])
def test_a_hole_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression, match="not closed"):
        holes(text)


@given(st.lists(st.sampled_from(["${input.n}", "${ 'a}' }", "$${", "text", "}", "{", "$ ", " "]), max_size=8))
def test_the_parts_of_a_text_are_all_of_it_and_holes_know_their_place(parts: list[str]) -> None:
    text = "".join(parts)
    found = [part for part in holes(text) if isinstance(part, Hole)]
    expected = [part.strip("${ }") for part in parts if part.startswith("${")]
    assert [hole.source.rstrip("}") for hole in found] == [each.rstrip("}") for each in expected]
    assert all(text.startswith(hole.source, hole.position) for hole in found)


def test_expressions_are_found_wherever_they_are() -> None:
    value = prepared({"a": ["${input.n}", "x ${input.text} ${input.list}"], "b": 1}, Cel().compile)
    assert [each.source for each in expressions_in(value)] == ["input.n", "input.text", "input.list"]
