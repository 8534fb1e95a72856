"""Both databases are asked the same questions, by the same names."""

import re
from importlib.resources import files

import pytest

from wsaios.ledger.postgres.days import BY_DAY
from wsaios.ledger.postgres.session import named
from wsaios.ledger.statements import migrations, statements
from wsaios.ledger.transfer import TABLES

FAMILIES = ("commit", "answers", "opening", "reads", "upkeep", "copy")
ON_SERVERS = (*FAMILIES, "intake", "attention")
# SQLite looks into its own pages and at its JSON, and tells everything about a task in one row; on PostgreSQL types see
# to the JSON, lock and lease are in the database, and what ended stands in partitions by day.
# Copied rows are written there with COPY, which no statement says.
SQLITE_ONLY = {
    "check_pages",
    "check_json",
    "task_view",
    "copy_forget_log",
    *(f"copy_add_{table.name}" for table in TABLES),
}
POSTGRES_ONLY = {
    # Of outcomes by day only those days are looked at that can have them.
    "ends_of_steps",
    "arguments_and_result",
    "copy_ids_raise",
    "day_count",
    "day_drop",
    "day_fold",
    "day_make",
    "day_over",
    "days_known",
    "history_of",
    "intake_remove",
    "lock_break",
    "lock_holder",
    "lock_release",
    "lock_take",
    "owner_now",
    "reads_begin",
    "reads_end",
    "schema_advanced",
    "schema_make",
    "schema_there",
    "schema_version",
    "tables_there",
}


def test_the_same_question_has_the_same_name() -> None:
    sqlite, postgres = (set(statements(side, *FAMILIES)) for side in ("sqlite", "postgres"))
    assert sqlite - postgres == SQLITE_ONLY
    assert postgres - sqlite == POSTGRES_ONLY


def test_every_table_but_the_owners_row_is_copied_with_all_its_columns() -> None:
    text = "\n".join(migrations("sqlite"))
    made = {
        name: tuple(re.findall(r"^    ([a-z_]+) +(?:INTEGER|TEXT|BLOB)", columns, re.MULTILINE))
        for name, columns in re.findall(r"^CREATE TABLE (\w+) \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    }
    del made["owner"]
    for name, column in re.findall(r"^ALTER TABLE (\w+) ADD COLUMN (\w+)", text, re.MULTILINE):
        made[name] += (column,)
    assert {table.name: tuple(sorted(table.columns)) for table in TABLES} == {
        name: tuple(sorted(columns)) for name, columns in made.items()
    }


def test_both_schemas_have_the_same_tables() -> None:
    made = []
    for side in ("sqlite", "postgres"):
        text = (files("wsaios.ledger") / side / "migrations" / "0001_ledger.sql").read_text("utf-8")
        made.append(set(re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE)))
    assert made[1] - made[0] == {"migration", *(f"{name}_rest" for name in BY_DAY)}
    assert made[0] <= made[1]


@pytest.mark.parametrize("family", ON_SERVERS)
def test_every_statement_says_its_purpose_and_its_parameters(family: str) -> None:
    text = (files("wsaios.ledger") / "postgres" / "queries" / f"{family}.sql").read_text("utf-8")
    known = named(family)
    for part in text.split("-- name: ")[1:]:
        head, *lines = part.splitlines()
        comment = " ".join(line for line in lines if line.startswith("-- "))
        assert comment, f"{head} has no purpose line"
        unnamed = [name for name in known[head].parameters if name not in comment]
        assert not unnamed, f"{head} does not describe {unnamed}"


def test_parameters_are_numbered_and_casts_are_left_alone() -> None:
    statement = named("answers")["ready_after"]
    assert statement.parameters == ("shard", "key", "id", "limit")
    assert "(key, id) > ($2::bigint, $3::bigint)" in statement.text
