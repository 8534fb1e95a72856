"""Everything that can be wrong with a definition is told, all of it at once, with its line and column."""

import pytest

from tests.unit.planning.workflow.texts import flaws, marked, plan
from wsaios.kernel.errors import InvalidDefinition
from wsaios.kernel.flaw import FlawKind

HEAD = "name: n\nsteps:\n"
STEP = '{"id": "a", "handler": "m:f"'


@pytest.mark.parametrize(
    "text, kind, name, suggestion, told",
    [
        (
            "name: n\n⟦step:\n- {id: a, handler: f}\nsteps: [{id: a, model: m}]",
            "unknown-field",
            "step",
            "steps",
            "field",
        ),
        (HEAD + "- {id: a, handler: f, ⟦retries: 3}", "unknown-field", "retries", "max_attempts", "no field 'retries'"),
        (HEAD + "- {id: a, ⟦handlr: f, model: m}", "unknown-field", "handlr", "handler", "no field 'handlr'"),
        (HEAD + "- ⟦{handler: f}", "missing-field", "id", "", "step number 1 needs 'id'"),
        (HEAD + "- ⟦{id: a}", "missing-field", "", "", "needs one of handler, http, model"),
        (HEAD + "- {id: a, handler: f, ⟦model: m}", "type", "model", "", "has handler and model; it does one"),
        (HEAD + "- {id: a, handler: ⟦3}", "type", "handler", "", "must be a text, not a number"),
        (HEAD + "- {id: a, handler: f, max_attempts: ⟦0}", "type", "max_attempts", "", "at least 1"),
        (HEAD + "- {id: a, handler: f, timeout_s: ⟦soon}", "type", "timeout_s", "", "must be a number, not a text"),
        (HEAD + "- {id: a, handler: f, on_failure: ⟦stop}", "type", "on_failure", "", "one of fail, continue"),
        (HEAD + "- {id: ⟦9a, handler: f}", "type", "id", "", "must begin with a letter"),
        (HEAD + "- {id: a, handler: f, ⟦max_parallel: 2}", "type", "max_parallel", "", "goes with foreach"),
        (HEAD + "- {id: a, wait_for: {event: e}, ⟦foreach: '[1]'}", "type", "foreach", "", "nothing to do for each"),
        (HEAD + '- {id: a, lane: ⟦"x\\ny", handler: f}', "type", "lane", "", "printable"),
        (HEAD + "- {id: a, handler: f}\n- {id: ⟦a, handler: f}", "duplicate-id", "a", "", "step number 1 already"),
        (
            HEAD + "- {id: ab, handler: f}\n- {id: b, handler: f, depends_on: [⟦a]}",
            "unknown-dependency",
            "a",
            "ab",
            "'b'",
        ),
        (HEAD + "- {id: a, handler: f, depends_on: ⟦[a]}", "cycle", "a", "", "each other: a → a"),
        (HEAD + "- {id: a, handler: f, ⟦handler: g}", "duplicate-key", "handler", "", "there already"),
        (HEAD + "- {id: a, handler: f, args: {⟦1: x}}", "type", "1", "", "put it in quotes"),
        (HEAD + "- {id: a, handler: f, when: input.x ⟦y}", "expression", "y", "", "not expected here"),
        (HEAD + "- {id: a, handler: f, when: '⟦${1 > 0}'}", "expression", "$", "", "write it without ${ }"),
        (HEAD + "- {id: a, handler: f, args: {x: ['y ${1 +⟦}']}}", "expression", "", "", "ends too early"),
        (HEAD + "- {id: a, handler: f, args: {x: 'y ⟦${run.id'}}", "expression", "${", "", "not closed"),
        (
            HEAD + "- {id: a, handler: f, args: {x: '${ ⟦inputs.y }'}}",
            "reference",
            "inputs",
            "input",
            "no 'inputs' here",
        ),
        (HEAD + "- {id: a, handler: f, args: {x: '${⟦item}'}}", "reference", "item", "", "only in a step with foreach"),
        (HEAD + "- {id: a, handler: f, when: ⟦event.ok}", "reference", "event", "", "only in a step with wait_for"),
        (
            HEAD + "- {id: a, wait_for: {event: e, filter: ⟦event.ok}}",
            "reference",
            "ok",
            "data.ok",
            "what it carries is in event.data",
        ),
        (
            HEAD + "- {id: a, handler: f, wait_for: {event: e}, args: {x: '${⟦event}'}}",
            "reference",
            "event",
            "event.data",
            "what it carries is in event.data",
        ),
        (HEAD + "- {id: a, handler: f, when: 1 > 0 && ⟦run.idd == ''}", "reference", "idd", "id", "a run has no"),
        (HEAD + "- {id: a, handler: f, when: ⟦steps.b.result}", "reference", "b", "", "no step has the id"),
        (HEAD + "- {id: a, handler: f, when: size(⟦steps) > 1}", "reference", "steps", "", "name the step"),
        (HEAD + "- {id: a, handler: f}\noutput: ${⟦steps.a.reslt}", "reference", "reslt", "result", "a step has no"),
        ("input: {n: {}}\n" + HEAD + "- {id: a, handler: f, when: ⟦input.m > 1}", "reference", "m", "", "declared"),
        ("input: {n: {type: integer, default: ⟦x}}\n" + HEAD + "- {id: a, handler: f}", "type", "n", "", "default of"),
        ("input: {n: {type: ⟦int}}\n" + HEAD + "- {id: a, handler: f}", "type", "type", "", "one of string, integer"),
    ],
)
def test_a_flaw_is_told_with_its_place_and_its_name(
    text: str, kind: FlawKind, name: str, suggestion: str, told: str
) -> None:
    clean, places = marked(text)
    found = flaws(clean)
    expected = [(kind, *place) for place in places]
    assert [(each.kind, each.line, each.column) for each in found] == expected, list(map(str, found))
    assert found[0].name == name
    assert found[0].suggestion == suggestion
    assert told in str(found[0])
    assert str(found[0]).startswith(f"flow.yaml:{found[0].line}:{found[0].column}: ")


@pytest.mark.parametrize(
    "text, told",
    [
        ("a: [1,\n  b: ⟦}", "not YAML"),
        ("⟦\ta: 1", "not YAML"),
        ("a: ⟦!!python/object:os.system x", "tag"),
        ("a: ⟦.nan", "not a number that JSON can carry"),
        ("a: [1, ⟦-.inf]", "not a number that JSON can carry"),
        ("a: ⟦1e999", "not a number that JSON can carry"),
        ("a: &x [⟦*x]", "contains itself"),
        ("a: ⟦*x", "anchor 'x' is not there"),
        ("a: b\n⟦---\nc: d", "a second document"),
        ("? ⟦[1]\n: 2", "must be a text"),
        ("⟦- 1", "a definition is a mapping, not a list"),
        ("⟦", "a definition is a mapping, not null"),
        ('a: "\\ud8⟦00"', "not YAML"),
    ],
)
def test_what_is_no_yaml_that_json_can_carry_is_told(text: str, told: str) -> None:
    clean, places = marked(text)
    found = flaws(clean)
    assert told in str(found[0])
    assert found[0].line == places[0][0]
    if "ud8" not in text:
        assert (found[0].line, found[0].column) == places[0]


@pytest.mark.parametrize(
    "text, kind, told",
    [
        ('{"name": "n",\n "steps": [],⟦}', "syntax", "property name"),
        ('{"name": "n",\n "steps": ⟦[]}', "type", "at least 1 element"),
        ('{"name": "n",\r\n "steps": ⟦[]}', "type", "at least 1 element"),
        ('{"name": ⟦NaN}', "syntax", "NaN is not a JSON number"),
        ('{"name": "⟦\\ud800"}', "syntax", "half a character"),
        ('{"name": 1⟦e999}', "syntax", "out of range"),
        ('{"name": "n", "steps": [' + STEP + ', "args": {"x": 1, ⟦"x": 2}}]}', "duplicate-key", "'x'"),
        ('{"name": "n", "steps": [' + STEP + "}, ⟦7]}", "type", "step number 2 must be a mapping"),
        (
            '{"näme": "ü🎉",\n"name": "n", "steps": [' + STEP + ', "args": {"ü": "🎉 ${ ⟦item }"}}]}',
            "reference",
            "item",
        ),
        ("⟦[1, 2]", "type", "not a list"),
    ],
)
def test_flaws_of_json_have_their_place_too(text: str, kind: FlawKind, told: str) -> None:
    clean, places = marked(text)
    found = [each for each in flaws(clean, "json") if each.name != "näme"]
    assert [(each.kind, each.line, each.column) for each in found] == [(kind, *places[0])], list(map(str, found))
    assert told in str(found[0])


def test_all_flaws_are_told_at_once_in_the_order_of_the_text() -> None:
    text, places = marked(
        """\
name: n
⟦inptu: {x: {}}
steps:
  - id: a
    handler: ⟦fetsh
    depends_on: ⟦[b]
    max_attempts: ⟦none
    args: {x: "${⟦item}", y: "${1 +⟦}"}
  - id: b
    handler: fetch
    ⟦handler: fetch
    depends_on: [a, ⟦c]
  - ⟦handler: fetch
  - id: ⟦a
    model: m
output: ${⟦steps.z.result}"""
    )
    found = flaws(text, handlers={"fetch", "store"})
    assert [(each.line, each.column) for each in found] == places, list(map(str, found))
    assert {each.kind for each in found} == {
        *("unknown-field", "unknown-handler", "cycle", "type", "reference", "expression", "duplicate-key"),
        *("unknown-dependency", "missing-field", "duplicate-id"),
    }
    assert {each.suggestion for each in found} >= {"input", "fetch"}


def test_a_cycle_is_shown_as_a_way_along_depends_on() -> None:
    text = HEAD + "- {id: a, handler: f, depends_on: [b]}\n- {id: b, handler: f, depends_on: [c, d]}\n"
    text += "- {id: c, handler: f, depends_on: [a]}\n- {id: d, handler: f}\n- {id: x, handler: f, depends_on: [y, a]}\n"
    text += "- {id: y, handler: f, depends_on: [x]}"
    assert [each.message for each in flaws(text)] == [
        "steps depend on each other: a → b → c → a",
        "steps depend on each other: x → y → x",
    ]


def test_a_step_reads_only_what_it_waits_for() -> None:
    steps = "- {id: a, handler: f}\n- {id: b, handler: f, depends_on: [a]}\n- {id: c, handler: f, depends_on: [b]}\n"
    assert plan(HEAD + steps + "- {id: d, handler: f, depends_on: [c], when: steps.a.result > 1}").order == [0, 1, 2, 3]
    found = flaws(HEAD + steps + "- {id: d, handler: f, depends_on: [a], when: steps.c.result > 1}")
    assert [(each.line, each.column, each.name) for each in found] == [(6, 46, "c")]
    assert "step 'd' does not depend on 'c', neither directly nor by others" in str(found[0])
    assert "cannot read itself" in str(flaws(HEAD + "- {id: a, handler: f, when: steps.a.result > 1}")[0])


def test_handlers_are_compared_only_where_they_are_known() -> None:
    text = HEAD + "- {id: a, handler: fetsh}\n- {id: b, handler: 'module:function'}"
    assert plan(text).name == "n"
    assert [each.suggestion for each in flaws(text, handlers=["fetch"])] == ["fetch"]


def test_an_id_with_a_dash_is_read_by_index() -> None:
    text = HEAD + "- {id: a-b, handler: f}\n- {id: c, handler: f, depends_on: [a-b], args: {x: %s}}"
    assert plan(text % "'${steps[\"a-b\"].result}'").order == [0, 1]
    assert 'written steps["a-b"]' in str(flaws(text % "'${steps.a.result}'")[0])


def test_a_byte_that_is_not_utf_8_is_told() -> None:
    found = flaws(b"name: n\nsteps: \xff")
    assert (found[0].line, found[0].column) == (2, 8)


def test_where_fields_without_end_are_wrong_a_thousand_are_told_and_that_there_are_more() -> None:
    found = flaws(HEAD + "".join(f"- {{id: s{number}, handler: f, odd: 1}}\n" for number in range(1_200)))
    assert [each.kind for each in found] == ["limit", *["unknown-field"] * 1_000]
    assert found[-1].line == 1_002


def test_the_message_shows_the_first_hundred_and_counts_the_rest() -> None:
    text = HEAD + "".join(f"- {{id: s{number}, handler: f, depends_on: [t{number}]}}\n" for number in range(150))
    with pytest.raises(InvalidDefinition) as refusal:
        plan(text)
    lines = str(refusal.value).splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("flow.yaml: 150 flaws in this definition", 102, "… and 50 more")
