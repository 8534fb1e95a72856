"""No expression takes long or makes much, whatever is in it and whatever it reads."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wsaios.expressions import Cel
from wsaios.expressions.cost import MAX_LENGTH, MAX_MACROS, Price, weigh
from wsaios.expressions.scan import scan
from wsaios.kernel.errors import ExpressionFailed, InvalidExpression
from wsaios.kernel.json_value import JsonValue

ROWS: list[JsonValue] = [{"id": number, "name": f"n{number}", "parts": [1, 2, 3]} for number in range(1_000)]
CONTEXT: dict[str, JsonValue] = {"rows": ROWS, "ids": list(range(500)), "text": "x" * 100_000, "rate": 2}


@pytest.fixture(scope="module")
def cel() -> Cel:
    return Cel()


@pytest.mark.parametrize(
    "source, told",
    [
        (f"{'1 + ' * MAX_LENGTH}1", "characters"),
        ("[1]" + ".map(x, x)" * (MAX_MACROS + 1), "17 macros (map)"),
        ("rows.map(a, rows.map(b, rows.map(c, rows.map(d, d))))", "nested 4 deep"),
        (" || ".join(["text.matches('a')"] * 5), "5 regular expressions"),
        ("rows.all(r, r.name.matches(text))", "literal"),
        ("rows.all(r, r.name.matches('a{9}'))", "literal"),
    ],
)
def test_what_no_values_make_cheap_is_refused_when_it_is_compiled(cel: Cel, source: str, told: str) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        cel.compile(source)
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    "source",
    [
        "rows.map(a, rows.map(b, b))",
        "rows.all(a, rows.all(b, ids.exists(c, c == a.id + b.id)))",
        "rows.map(a, rows)",
        "rows.map(a, text)",
        "[1].map(x, [x, x]).map(x, [x, x]).map(x, [x, x]).map(x, [[x, x, x, x, x, x, x, x, x, x], ids])",
        "[1]" + ".map(x, [x, x, x, x, x, x, x, x, x])" * 12 + ".size()",
        "[text]" + ".map(x, x + x)" * 15,
        "[ids]" + ".map(x, x + x)" * 15 + ".size()",
        "ids.map(a, ids).map(b, ids.map(c, b))",
        "text" + " + text" * 200,
        "(rows + rows + rows + rows).map(a, a)",
        "rows.filter(r, r.name.matches('\\\\w\\\\w\\\\w\\\\w\\\\w'))",
    ],
)
def test_what_would_cost_too_much_over_these_values_is_refused_before_it_begins(cel: Cel, source: str) -> None:
    expression = cel.compile(source)
    with pytest.raises(ExpressionFailed, match="let a handler do it"):
        expression.evaluate(CONTEXT)


@pytest.mark.parametrize(
    "source",
    [
        "rows.map(r, r.id * rate)",
        "rows.map(r, {'id': r.id, 'name': r.name, 'first': r.parts[0], 'rate': rate})",
        "rows.map(r, r.parts.map(p, p + 1))",
        "rows.filter(r, r.name.startsWith('n9') && r.id in [91, 92, 93])",
        "rows.filter(r, r.name.matches('^n9'))",
        "rows.exists(r, r.id == 999) && ids.all(i, i >= 0)",
        "ids.all(a, ids.exists(b, a == b))",
        "size(text + text)",
        "rows.filter(r, r.id % 2 == 0).map(r, r.name)",
    ],
)
def test_what_people_write_over_a_thousand_rows_is_taken(cel: Cel, source: str) -> None:
    assert cel.compile(source).evaluate(CONTEXT) not in (None, False)


def test_only_what_an_expression_reads_counts(cel: Cel) -> None:
    large: dict[str, JsonValue] = {"a": {"few": [1], "many": [0] * 2_000_000}}
    assert cel.compile("a.few.map(x, x + 1)").evaluate(large) == [2]
    with pytest.raises(ExpressionFailed, match="more than 1,000,000 values"):
        cel.compile("a.many.size() + 1").evaluate(large)


def test_the_values_that_are_counted_stay_as_they_are(cel: Cel) -> None:
    context: dict[str, JsonValue] = {"a": {"rows": [[1, 2], {"b": [3]}]}}
    cel.compile("a.rows.map(r, r).size() + 1").evaluate(context)
    assert context == {"a": {"rows": [[1, 2], {"b": [3]}]}}


def test_the_bound_can_be_set_lower(cel: Cel) -> None:
    source = "rows.filter(r, r.id > 5).size()"
    assert cel.compile(source).evaluate(CONTEXT) == 994
    with pytest.raises(ExpressionFailed, match="could take too long"):
        Cel(max_steps=100_000).compile(source).evaluate(CONTEXT)


SMALL: dict[str, JsonValue] = {"l": [[1, 2], [3], [4, 5, 6, 7]], "m": [8, 9]}


@st.composite
def lists(draw: st.DrawFn, names: tuple[str, ...] = ("l", "m"), depth: int = 0) -> str:
    """An expression whose value is a list, of macros, sums and literals that are put into each other."""
    kind = draw(st.sampled_from(["name", "name", "sum", "literal", "map", "map", "filter"]))
    if kind == "name" or depth > 3:
        return draw(st.sampled_from(names))
    inner = lists(names, depth + 1)
    if kind == "sum":
        return f"({draw(inner)} + {draw(inner)})"
    if kind == "literal":
        return f"[{', '.join(draw(st.lists(inner, min_size=1, max_size=3)))}]"
    variable = f"x{depth}"
    over = draw(inner)
    if kind == "filter":
        return f"{over}.filter({variable}, {draw(st.sampled_from(['true', 'size(l) > 2']))})"
    return f"{over}.map({variable}, {draw(lists((*names, variable), depth + 1))})"


def size_of(value: JsonValue) -> int:
    return 1 + sum(map(size_of, value)) if isinstance(value, list) else 1


@given(lists())
def test_no_value_is_larger_than_the_bound_that_was_computed_for_it(source: str) -> None:
    seen = scan(source)
    price = Price(seen, weigh(seen.references, SMALL), SMALL)
    assume(price.largest < 200_000)
    try:
        value = Cel().compile(source).evaluate(SMALL)
    except (ExpressionFailed, InvalidExpression):
        return
    assert size_of(value) <= price.largest
