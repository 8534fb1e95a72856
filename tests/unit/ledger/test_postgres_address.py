"""What names a ledger on PostgreSQL, and what messages say of it."""

import shlex

import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.ledger.postgres.address import address_of, dump_command, is_postgres


@pytest.mark.parametrize(
    "url, name, schema",
    [
        ("postgresql://me:secret@db.example:5433/work", "postgresql://me@db.example:5433/work", "wsaios"),
        ("postgres://db/work?schema=jobs", "postgresql://db/work?schema=jobs", "jobs"),
        ("postgresql:///work", "postgresql:///work", "wsaios"),
        ("postgresql://me:s%40c@[::1]:5432/work?sslmode=require", "postgresql://me@[::1]:5432/work", "wsaios"),
    ],
)
def test_a_url_is_named_without_its_password(url: str, name: str, schema: str) -> None:
    address = address_of(url)
    assert (address.name, address.schema) == (name, schema)
    assert "schema=" not in address.dsn


def test_options_of_the_connection_are_passed_on() -> None:
    dsn = address_of("postgresql://me:secret@db/work?sslmode=require&schema=jobs").dsn
    assert dsn == "postgresql://me:secret@db/work?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db:port/work",
        "postgresql://me:secret@[db/work",
        "postgresql://me:secret@db/work?schema=Jobs",
        "postgresql://me:secret@db/work?schema=pg_temp",
        "postgresql://me:secret@db/work#part",
        "mysql://me:secret@db/work",
    ],
)
def test_what_is_no_place_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="ledger") as caught:
        address_of(url)
    assert "secret" not in str(caught.value)


def test_a_path_is_no_url_of_postgres() -> None:
    assert is_postgres("postgres://db/work")
    assert not is_postgres("work.db")
    assert not is_postgres("sqlite:///postgresql")
    assert not is_postgres("postgresql")


@pytest.mark.parametrize(
    "url, words",
    [
        (
            "postgresql://me:s%40c@db:5433/work?sslmode=require&schema=jobs&password=secret",
            ["--schema=jobs", "postgresql://me@db:5433/work?sslmode=require"],
        ),
        ("postgres:///work", ["--schema=wsaios", "postgresql:///work"]),
    ],
)
def test_the_command_that_copies_a_ledger_has_no_password(url: str, words: list[str]) -> None:
    program, schema, form, file, place = shlex.split(dump_command(url, "my copy.dump"))
    assert [program, form, file] == ["pg_dump", "--format=custom", "--file=my copy.dump"]
    assert [schema, place] == words
