"""Statements in files: named, described, and all of them good SQL."""

from importlib.resources import files

import apsw
import pytest

from wsaios.ledger.statements import migrations, statements

NAMES = [entry.name.removesuffix(".sql") for entry in (files("wsaios.ledger") / "sqlite" / "queries").iterdir()]


def test_every_statement_is_loaded_without_its_comments() -> None:
    found = statements("sqlite", "commit", "answers")
    assert found["commit_begin"] == "BEGIN IMMEDIATE;"
    assert not any("--" in text for text in found.values())
    assert "ready_after" in found


def test_one_name_stands_for_one_statement() -> None:
    with pytest.raises(ValueError, match="commit_begin"):
        statements("sqlite", "commit", "commit")
    assert len(statements("sqlite", *NAMES)) > 50


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_says_its_purpose_and_its_parameters(name: str) -> None:
    text = (files("wsaios.ledger") / "sqlite" / "queries" / f"{name}.sql").read_text("utf-8")
    for part in text.split("-- name: ")[1:]:
        head, *lines = part.splitlines()
        comment = " ".join(line for line in lines if line.startswith("-- "))
        assert comment, f"{head} has no purpose line"
        body = [line for line in lines if not line.startswith("--")]
        given = {word.strip("(),;") for line in body for word in line.replace("(", " ").split() if word.startswith(":")}
        unnamed = [word for word in given if word.removeprefix(":") not in comment]
        assert not unnamed, f"{head} does not describe {unnamed}"


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_fits_the_schema(name: str) -> None:
    connection = apsw.Connection(":memory:")
    for step in migrations("sqlite"):
        connection.execute(step)
    found = dict(statements("sqlite", name))
    # The mark of half a copy is in no migration.
    connection.execute(found.pop("copy_mark_make", "") or statements("sqlite", "copy")["copy_mark_make"])
    for title, text in found.items():
        plan = connection.execute(f"EXPLAIN {text}", _Anything()).fetchall()
        assert plan, title
    connection.close()


class _Anything(dict[str, object]):
    """Binds every parameter that a statement has."""

    def __missing__(self, key: str) -> object:
        return None


def test_migrations_are_numbered_without_gaps() -> None:
    assert len(migrations("sqlite")) >= 1
    assert "CREATE TABLE owner" in migrations("sqlite")[0]
