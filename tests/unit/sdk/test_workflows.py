"""The builder, YAML and JSON say the same; the schema and the structs mean the same."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wsaios import Workflow
from wsaios.expressions import Cel
from wsaios.kernel.errors import InputError, InvalidDefinition
from wsaios.planning.workflow.check import Format, check_text
from wsaios.planning.workflow.definition import Definition, Http, Step, WaitFor, canonical
from wsaios.planning.workflow.plan import Plan
from wsaios.planning.workflow.schema import SCHEMA
from wsaios.sdk.workflows import read_plan

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="$"), max_size=8)
ARGUMENTS = st.dictionaries(
    TEXTS, st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | TEXTS, max_size=3
)


class Quoted(yaml.SafeDumper):
    """Puts texts in quotes: what PyYAML takes for a plain text may be a number in YAML 1.2."""


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    made = Workflow("flow", description=draw(TEXTS), input={"n": {"type": "integer", "default": 1}})
    ids: list[str] = []
    for number in range(draw(st.integers(1, 6))):
        options: dict[str, Any] = {}
        if draw(st.booleans()):
            options = {"foreach": "[input.n]", "max_parallel": draw(st.none() | st.integers(1, 9))}
        if draw(st.booleans()):
            options |= {"max_attempts": draw(st.integers(1, 5)), "timeout_s": draw(st.sampled_from([1, 2.5]))}
        work: Any = draw(st.sampled_from([{"handler": "m:f"}, {"model": "m"}, {"http": {"url": "https://x.org"}}]))
        depends_on = draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
        ids.append(made.step(f"s{number}", **work, args=draw(ARGUMENTS), depends_on=depends_on, **options))
    return made


@given(workflows())
def test_python_yaml_and_json_have_the_same_version(made: Workflow) -> None:
    plan = made.check()
    versions = {plan.version}
    versions.add(checked(made.to_json(), "json").version)
    versions.add(checked(yaml.dump(made.to_dict(), Dumper=Quoted, allow_unicode=True), "yaml").version)
    versions.add(checked(plan.content.decode(), "json").version)
    assert versions == {plan.version}


def checked(text: str, form: Format) -> Plan:
    return check_text(text.encode(), source="f", form=form, language=Cel())


def test_defaults_and_the_order_of_keys_make_no_other_version_and_content_does() -> None:
    plain = {"name": "n", "steps": [{"id": "a", "handler": "f"}]}
    full = {"steps": [{"on_failure": "fail", "priority": 0, "handler": "f", "args": {}, "id": "a"}], "name": "n"}
    other = {"name": "n", "steps": [{"id": "a", "handler": "f", "on_failure": "continue"}]}
    versions = [checked(json.dumps(each), "json").version for each in (plain, full, other)]
    assert versions[0] == versions[1] != versions[2]


def test_a_file_can_be_gone_on_from(tmp_path: Path) -> None:
    made = Workflow("n", input={"a": {}}, output="${steps.b.result}")
    made.step("b", handler="m:f", args={"x": "${input.a}"}, wait_for={"event": "e"}, on_failure="continue")
    (tmp_path / "n.json").write_text(made.to_json(), encoding="utf-8")
    again = Workflow.read(tmp_path / "n.json")
    assert again.check().version == made.check().version == read_plan(tmp_path / "n.json").version
    again.step("c", handler="m:f", depends_on="b")
    assert again.check().order == [0, 1]


def test_flaws_of_the_builder_have_the_line_of_the_step() -> None:
    made = Workflow("n")
    made.step("a", handler="fetsh", depends_on="b")
    made.step("b", model="m", args={"x": "${steps.a.result}"})
    with pytest.raises(InvalidDefinition) as refusal:
        made.check(handlers={"fetch"})
    here = Path(__file__).read_text(encoding="utf-8").splitlines()
    found = [(Path(each.source).name, here[each.line - 1].strip()[:14], each.kind) for each in refusal.value.flaws]
    assert found == [
        (Path(__file__).name, 'made.step("a",', "unknown-handler"),
        (Path(__file__).name, 'made.step("b",', "reference"),
    ]
    assert "did you mean 'fetch'" in str(refusal.value)


def test_what_json_cannot_carry_is_told_by_the_builder() -> None:
    made = Workflow("n")
    made.step("a", handler="f", args={"x": {1, 2}})
    with pytest.raises(InvalidDefinition, match="set is not a JSON value"):
        made.check()


@pytest.mark.parametrize(
    "name, told", [("none.yaml", "No such file"), ("x.txt", "must end in .yaml"), ("", "must end")]
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_plan(tmp_path / name if name else "")


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "max_attempts": st.integers(-1, 3) | st.just(2.0) | st.just("3"),
    "timeout_s": st.sampled_from([0, 0.001, 1, "1", None]),
    "on_failure": st.sampled_from(["fail", "continue", "stop", None]),
    "delivery": st.sampled_from(["at_most_once", "never"]),
    "priority": st.sampled_from([1, -5, 2**40, 1.5]),
    "lane": st.sampled_from(["x", "", 3]),
    "when": st.sampled_from(["1 > 0", "", True]),
    "args": st.sampled_from([{}, {"a": 1}, [], None]),
    "depends_on": st.sampled_from([[], ["a"], "a", [1], ["a", "a"]]),
    "http": st.sampled_from([{"url": "x"}, {}, {"url": "x", "method": "GO"}, {"url": "x", "headers": {}}]),
    "wait_for": st.sampled_from([{"event": "e"}, {}, {"event": "e", "timeout_s": -1}, "e"]),
    "model": st.just("m"),
    "odd": st.just(1),
}


@given(st.fixed_dictionaries({"id": st.just("a")}, optional=FIELDS))
def test_whatever_the_schema_takes_fits_the_structs(step: dict[str, Any]) -> None:
    value = {"name": "n", "steps": [step]}
    if jsonschema_rs.Draft202012Validator(SCHEMA).is_valid(value):
        definition = msgspec.convert(value, Definition, strict=False)
        assert jsonschema_rs.Draft202012Validator(SCHEMA).is_valid(json.loads(canonical(definition)))


def test_the_schema_has_the_fields_of_the_structs_and_is_one() -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    parts = {"step": Step, "http": Http, "wait_for": WaitFor}
    assert {name: set(SCHEMA["$defs"][name]["properties"]) for name in parts} == {
        name: set(kind.__struct_fields__) for name, kind in parts.items()
    }
    assert set(SCHEMA["properties"]) == set(Definition.__struct_fields__)
