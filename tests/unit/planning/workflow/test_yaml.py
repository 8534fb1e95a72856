"""YAML as far as JSON can carry it, and texts that are made to hurt."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.workflow.texts import flaws
from wsaios.kernel.errors import MissingExtra
from wsaios.planning.workflow.finding import Findings
from wsaios.planning.workflow.json_text import locate_json, read_json
from wsaios.planning.workflow.yaml_text import MAX_BYTES, MAX_VALUES, locate_yaml, read_yaml

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).filter(
    # The writer knows YAML 1.1 only, and leaves unquoted what is a number in YAML 1.2.
    lambda text: re.fullmatch(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+", text) is None
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def value_of(text: str) -> object:
    findings = Findings()
    value = read_yaml(text, findings)
    assert findings == []
    return value


@pytest.mark.parametrize(
    "text, value",
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on: off", {"on": "off"}),
        ("2026-01-02", "2026-01-02"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("[true, False, null, ~, 'true', \"1\"]", [True, False, None, None, "true", "1"]),
        ("[0o17, 0x1F, 017, -5, +3, 1.5, .5, 1e3, 1.]", [15, 31, 17, -5, 3, 1.5, 0.5, 1000.0, 1.0]),
        ("a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a:", {"a": None}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("!!str 5", "5"),
        ("- ''\n-", ["", None]),
    ],
)
def test_values_are_those_of_the_core_schema(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert repr(found) == repr(value)


@given(VALUES)
def test_what_is_written_as_yaml_or_json_is_read_as_it_was(value: object) -> None:
    assert repr(value_of(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True))) == repr(
        yaml.safe_load(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True))
    )
    findings = Findings()
    assert repr(read_json(json.dumps(value), findings)) == repr(value)
    assert findings == []


@given(VALUES)
def test_every_part_of_a_text_is_found_where_it_stands(value: object) -> None:
    paths = dict(every(value, ()))
    text = json.dumps(value, ensure_ascii=False, indent=1)
    spans = locate_json(text, paths)
    assert spans.keys() == paths.keys()
    for path, (key, span) in spans.items():
        assert json.loads(text[span.start : span.end]) == paths[path]
        if path and isinstance(path[-1], str):
            assert json.loads(text[key.start : key.end]) == path[-1]
    document = yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True, default_flow_style=True, width=10_000)
    found = locate_yaml(document, paths)
    assert found.keys() == paths.keys()
    for path, (_, span) in found.items():
        assert yaml.safe_load(document[span.start : span.end]) == paths[path]


def every(value: object, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], object]]:
    found = [(path, value)]
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += every(item, (*path, key))
    return found


def laughs(levels: int, width: int = 10) -> str:
    lines = ["a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines)


def nested_aliases(levels: int) -> str:
    return "\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, levels))])


@pytest.mark.parametrize(
    "text, told",
    [
        (laughs(9), f"more than {MAX_VALUES:,} values"),
        (laughs(200), f"more than {MAX_VALUES:,} values"),
        (laughs(3, 2_000), f"more than {MAX_VALUES:,} values"),
        (nested_aliases(300), "nested more than 100 levels"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "nested more than 100 levels"),
        ("a: " + "{b: " * 20_000, "nested more than 100 levels"),
        ("a: &a {b: *a}", "contains itself"),
        ("a: " + "9" * 5_000, "a number of 5,000 digits"),
        ("x" * (MAX_BYTES + 1), "are the most in YAML"),
    ],
    ids=["laughs", "more-laughs", "wide-laughs", "aliases", "lists", "mappings", "ring", "digits", "size"],
)
def test_a_bomb_is_refused_before_it_goes_off(text: str, told: str) -> None:
    found = flaws(text)
    assert any(told in str(each) for each in found), found[:3]
    assert len(found) == 1


def test_a_deep_json_is_refused() -> None:
    deep = '{"name": "n", "steps": [{"id": "a", "handler": "f", "args": {"x": %s1%s}}]}'
    assert "levels deep" in str(flaws(deep % ("[" * 200, "]" * 200), "json")[0])
    declared = '{"name": "n", "input": {"x": %s}, "steps": [{"id": "a", "handler": "f"}]}'
    for declaration in ('{"default": %s}' % ("[" * 400 + "]" * 400), '{"items": ' * 300 + "{}" + "}" * 300):
        assert "levels deep" in str(flaws(declared % declaration, "json")[0])
    assert "nested too deeply" in str(flaws(deep % ("[" * 50_000, "]" * 50_000), "json")[0])


def test_a_pyyaml_without_libyaml_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader")
    with pytest.raises(MissingExtra) as caught:
        value_of("a: 1")
    assert caught.value.command == (
        "pip install '/path/to/the/clone[workflows]' && pip install --force-reinstall --only-binary :all: PyYAML"
    )
    assert str(caught.value) == f"PyYAML with libyaml is not installed; run: {caught.value.command}"
