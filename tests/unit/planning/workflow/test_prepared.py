"""What a run asks of a step, of its input and of its output."""

from typing import Any

import pytest

from tests.unit.planning.workflow.texts import CEL, plan
from wsaios.kernel.errors import ExpressionFailed, InvalidInput
from wsaios.kernel.task import Options
from wsaios.planning.workflow.inputs import bound
from wsaios.planning.workflow.plan import Plan, plan_of
from wsaios.planning.workflow.prepared import Output, Prepared

FLOW = plan(
    """\
name: flow
input:
  folder: {type: string, default: docs}
  most: {type: integer, minimum: 1}
  any: {default: [1]}
steps:
  - {id: list, handler: files, args: {folder: "${input.folder}", fixed: [1, {a: null}]}, max_attempts: 5, timeout_s: 2}
  - id: each
    handler: work
    depends_on: [list]
    foreach: steps.list.result.filter(f, f.size <= input.most)
    when: size(steps.list.result) > 0
    args: {file: "${item}", label: "${index} of ${run.id}"}
  - id: ask
    depends_on: [each]
    wait_for: {event: approval, filter: event.data.run == run.id && steps.list.state == 'succeeded', timeout_s: 60}
  - id: tell
    depends_on: [ask, each]
    http: {url: "https://example.org/${input.folder}", method: POST, json: {all: "${steps.each.result}"}}
output: {pages: "${steps.each.result}", said: "${steps.tell.state}"}
"""
)
CONTEXT: dict[str, Any] = {
    "input": {"folder": "docs", "most": 2},
    "run": {"id": "run_1"},
    "steps": {
        "list": {"result": [{"size": 1}, {"size": 3}], "state": "succeeded"},
        "each": {"result": [7], "state": "succeeded"},
        "tell": {"result": None, "state": "skipped"},
    },
}


def step(name: str) -> Prepared:
    return Prepared(FLOW.steps[FLOW.index[name]], CEL)


def test_a_step_knows_whose_results_it_reads() -> None:
    assert [sorted(step(each.id).reads) for each in FLOW.steps] == [[], ["list"], ["list"], ["each"]]
    assert Output(FLOW.definition.output, CEL).reads == {"each", "tell"}


def test_arguments_condition_and_items_are_those_of_the_definition() -> None:
    assert step("list").arguments(CONTEXT) == {"folder": "docs", "fixed": [1, {"a": None}]}
    assert step("list").items(CONTEXT) is None
    assert step("list").runs(CONTEXT)
    assert step("each").runs(CONTEXT)
    assert step("each").items(CONTEXT) == [{"size": 1}]
    assert step("each").arguments({**CONTEXT, "item": {"size": 1}, "index": 0}) == {
        "file": {"size": 1},
        "label": "0 of run_1",
    }
    assert step("ask").takes({**CONTEXT, "event": step("ask").heard({"run": "run_1"})})
    assert not step("ask").takes({**CONTEXT, "event": step("ask").heard({"run": "run_2"})})
    assert step("tell").arguments(CONTEXT) == {
        "url": "https://example.org/docs",
        "method": "POST",
        "json": {"all": [7]},
        "allow_private": False,
    }
    assert Output(FLOW.definition.output, CEL).value(CONTEXT) == {"pages": [7], "said": "skipped"}


def test_a_value_of_the_wrong_type_is_told_and_not_guessed() -> None:
    wrong = {**CONTEXT, "steps": {"list": {"result": {"a": {"size": 1}}, "state": "succeeded"}}}
    other = plan("name: n\nsteps:\n- {id: a, handler: f, when: run.id, foreach: input.x}\ninput: {x: {}}")
    with pytest.raises(ExpressionFailed, match="when needs true or false, not str"):
        Prepared(other.steps[0], CEL).runs(CONTEXT)
    with pytest.raises(ExpressionFailed, match="foreach needs a list, not dict"):
        Prepared(other.steps[0], CEL).items({"input": {"x": {}}})
    with pytest.raises(ExpressionFailed):
        step("each").items(wrong)


def test_options_are_those_of_tasks() -> None:
    assert FLOW.steps[0].options == Options(max_attempts=5, timeout_s=2.0)
    assert FLOW.steps[1].options is None


def test_input_is_checked_and_completed() -> None:
    definition = FLOW.definition
    found = bound(definition, {"most": 3})
    assert found == {"folder": "docs", "most": 3, "any": [1]}
    assert isinstance(found["any"], list)
    found["any"].append(2)
    assert bound(definition, {"most": 3})["any"] == [1]


@pytest.mark.parametrize(
    "given, told",
    [
        ({}, ["'most' is missing"]),
        (None, ["'most' is missing"]),
        ({"most": 0, "foldr": 1}, ["'foldr' is not declared", "'most': 0 is less than"]),
        ({"most": "3"}, ["'most':"]),
        ({"most": 1, "any": float("nan")}, ["nan"]),
    ],
)
def test_all_that_is_wrong_with_an_input_is_told(given: dict[str, Any] | None, told: list[str]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        bound(FLOW.definition, given)
    assert [each for each in told if each not in str(refusal.value)] == []


def test_a_plan_is_its_content() -> None:
    again = plan_of(FLOW.content)
    assert again == FLOW
    assert (again.order, again.depth) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert again.children == [[1], [2, 3], [3], []]
    assert again.ends == [3]


def diamond() -> Plan:
    steps = "- {id: a, handler: f}\n- {id: b, handler: f, depends_on: [a]}\n- {id: c, handler: f, depends_on: [a]}\n"
    steps += "- {id: d, handler: f, depends_on: [c]}\n- {id: e, handler: f, depends_on: [b, d]}\n"
    return plan(f"name: n\nsteps:\n{steps}")


def test_steps_may_be_taken_by_the_longest_way_to_the_end() -> None:
    assert diamond().order == [0, 1, 2, 3, 4]
    assert diamond().critical_first() == [0, 2, 1, 3, 4]
    assert diamond().critical_first([1.0, 9.0, 1.0, 1.0, 1.0]) == [0, 1, 2, 3, 4]
