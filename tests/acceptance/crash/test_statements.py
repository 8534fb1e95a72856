"""Outcomes are inserted plainly, never changed, and only replay and pruning take them out."""

import re

from wsaios.ledger.statements import statements

NAMED = statements("sqlite", "commit", "answers", "opening", "reads", "upkeep")
SQL = {name: " ".join(text.split()) for name, text in NAMED.items()}


def test_one_statement_writes_outcomes_and_it_neither_replaces_nor_updates() -> None:
    writing = {name: text for name, text in SQL.items() if re.search(r"INTO outcome\b", text, re.IGNORECASE)}

    assert list(writing) == ["outcomes_add"]
    assert writing["outcomes_add"].startswith("INSERT INTO outcome (")
    assert not re.search(r"\bOR (REPLACE|IGNORE)\b|ON CONFLICT", writing["outcomes_add"], re.IGNORECASE)


def test_no_statement_updates_an_outcome() -> None:
    assert [name for name, text in SQL.items() if re.search(r"UPDATE( OR \w+)? outcome\b", text, re.IGNORECASE)] == []


def test_nothing_is_replaced_anywhere() -> None:
    assert [name for name, text in SQL.items() if re.search(r"\bOR REPLACE\b|^REPLACE\b", text, re.IGNORECASE)] == []


def test_only_replay_and_pruning_take_outcomes_out() -> None:
    deleting = {name for name, text in SQL.items() if re.search(r"DELETE FROM outcome\b", text, re.IGNORECASE)}

    assert deleting == {"outcomes_recall", "outcomes_remove"}
