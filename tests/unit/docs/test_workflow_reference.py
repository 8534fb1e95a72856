"""The reference of definitions names every field, function and bound there is."""

import re
from typing import Final

from tests.acceptance.docs.documents import DOCS
from wsaios.expressions.cel import FUNCTIONS
from wsaios.expressions.cost import MAX_LENGTH, MAX_MACROS, MAX_NESTING
from wsaios.planning.workflow import check, yaml_text
from wsaios.planning.workflow.rules import RUN_FIELDS, STEP_FIELDS
from wsaios.planning.workflow.schema import SCHEMA

TEXT: Final = (DOCS / "reference" / "workflows.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> set[str]:
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_tables_have_the_fields_of_the_schema() -> None:
    assert first_column("The workflow") == set(SCHEMA["properties"])
    assert first_column("A step") == set(SCHEMA["$defs"]["step"]["properties"])
    assert words(section("A step")) >= {
        *SCHEMA["$defs"]["http"]["properties"],
        *SCHEMA["$defs"]["wait_for"]["properties"],
    }
    assert words(section("Input")) == set(SCHEMA["$defs"]["declaration"]["properties"])


def test_names_functions_and_bounds_are_those_of_the_code() -> None:
    names = first_column("Expressions")
    assert {name for name in names if name.startswith("run.")} == {f"run.{each}" for each in RUN_FIELDS}
    assert {name.rpartition(".")[2] for name in names if name.startswith("steps.")} == set(STEP_FIELDS)
    functions = section("Expressions").split("Functions: ")[1].split(". No type")[0]
    assert words(functions) | {"has"} == FUNCTIONS
    assert f"{MAX_LENGTH:,} characters, {MAX_MACROS} macros and {MAX_NESTING}" in TEXT
    bounds = f"{yaml_text.MAX_BYTES >> 20} MiB, {yaml_text.MAX_VALUES:,} values and {yaml_text.MAX_DEPTH} levels"
    assert bounds in TEXT
    assert f"{check.MAX_BYTES >> 20} MiB" in TEXT
