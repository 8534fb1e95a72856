"""A ledger on PostgreSQL is made, brought up to date, or refused."""

import asyncio
import json
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
from typer.testing import CliRunner

from tests.conformance.ledger.desk import NOW_US, Desk, outcome, shard, task
from tests.servers.postgres import PostgresServer
from wsaios.cli import app
from wsaios.kernel.errors import LedgerBroken, LedgerTooNew, LedgerUnavailable
from wsaios.kernel.ledger import Commit
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.postgres.session import Session, named
from wsaios.ledger.sqlite.ledger import SqliteLedger
from wsaios.ledger.statements import migrations

KNOWN = len(migrations("postgres"))


async def _sql(ledger: PostgresLedger, text: str) -> Any:
    """Speak to the database past our own code."""
    session = await Session.open(ledger._address, named("opening"), "upkeep")  # noqa: SLF001  # the same schema
    try:
        return await session._connection.fetch(text)  # noqa: SLF001
    finally:
        await session.close()


async def test_a_newer_ledger_is_refused(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh())
    ledger.open(1, "first")
    ledger.close()
    await _sql(ledger, f"INSERT INTO migration VALUES ({KNOWN + 1})")
    with pytest.raises(LedgerTooNew, match=f"schema {KNOWN + 1}"):
        ledger.open(1, "second")
    with pytest.raises(LedgerTooNew):
        ledger.reads()
    with pytest.raises(LedgerTooNew):
        ledger.check()


async def test_a_schema_of_another_program_is_refused_and_left_alone(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh())
    schema = ledger._address.schema  # noqa: SLF001
    await _sql(ledger, f"CREATE SCHEMA {schema}")
    await _sql(ledger, f"CREATE TABLE {schema}.theirs (a int)")
    with pytest.raises(LedgerBroken, match="another program"):
        ledger.open(1, "me")
    with pytest.raises(LedgerBroken, match="another program"):
        ledger.reads()
    tables = await _sql(ledger, f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
    assert [name for (name,) in tables] == ["theirs"]


def test_reads_of_what_is_not_there_say_so(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerUnavailable, match="no such ledger"):
        PostgresLedger(postgres.fresh()).reads()


LOOKS = (("task", "list"), ("task", "show", "task_1000000000000"), ("ledger", "check"))


def _told(url: str, verb: tuple[str, ...]) -> tuple[str, str]:
    done = CliRunner().invoke(app, [*verb, "--json", "--ledger", url])
    error = json.loads(done.stdout)["error"]
    assert done.exit_code == 2
    return error["type"], error["message"].partition(": ")[2]


@pytest.mark.parametrize("verb", [*LOOKS, ("policy", "fcfs")], ids=" ".join)
def test_programs_are_told_the_same_of_both_databases(
    postgres: PostgresServer, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    reason = "there is no such ledger; a scheduler makes it when it starts"
    for url in (postgres.fresh(), f"sqlite:///{tmp_path}/work.db"):
        assert _told(url, verb) == ("LedgerUnavailable", reason)


@pytest.mark.parametrize("verb", LOOKS, ids=" ".join)
async def test_programs_are_told_the_same_of_an_older_schema(
    postgres: PostgresServer, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    url, file = postgres.fresh(), tmp_path / "work.db"
    ledger = PostgresLedger(url)
    for made in (ledger, SqliteLedger(str(file))):
        made.open(1, "me")
        made.close()
    await _sql(ledger, f"DELETE FROM migration WHERE version = {KNOWN}")
    apsw.Connection(str(file)).pragma("user_version", len(migrations("sqlite")) - 1)
    for each, known in ((url, KNOWN), (str(file), len(migrations("sqlite")))):
        reason = f"it has schema {known - 1}, this version reads {known}; start a scheduler on it once"
        assert await asyncio.to_thread(_told, each, verb) == ("LedgerUnavailable", reason)


async def test_an_empty_schema_that_was_made_before_is_taken(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh())
    await _sql(ledger, f"CREATE SCHEMA {ledger._address.schema}")  # noqa: SLF001
    assert ledger.open(1, "me").epoch == 1
    ledger.close()


async def test_an_interrupted_migration_leaves_nothing(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = migrations("postgres")
    broken = "CREATE TABLE added (a int); CREATE TABLE added (a int);"
    monkeypatch.setattr("wsaios.ledger.postgres.schema.migrations", lambda _: [*steps, broken])
    ledger = PostgresLedger(postgres.fresh())
    with pytest.raises(LedgerUnavailable, match="added"):
        ledger.open(1, "me")
    with pytest.raises(LedgerUnavailable, match=f"schema {KNOWN}, this version reads {KNOWN + 1}"):
        ledger.reads()
    monkeypatch.setattr("wsaios.ledger.postgres.schema.migrations", lambda _: [*steps, "CREATE TABLE added (a int);"])
    opening = ledger.open(1, "me")
    ledger.commit(Commit(opening.epoch, 1, releases=[1]))
    ledger.close()
    assert await _sql(ledger, "SELECT max(version) FROM migration") == [(KNOWN + 1,)]


async def test_no_one_changes_an_outcome(postgres: PostgresServer) -> None:
    desk = Desk(PostgresLedger(postgres.fresh()))
    desk.write(shards=[shard(1)])
    desk.end(outcome(desk.add(task(7))[0]))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="written once"):
        await _sql(desk.ledger, "UPDATE outcome SET state = 7")  # type: ignore[arg-type]  # a desk knows the port only
    desk.ledger.close()


async def test_contradictions_are_said_with_their_counts(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh())
    desk = Desk(ledger)
    desk.write(shards=[shard(1)])
    desk.add(task(1), task(2))
    desk.ledger.close()
    await _sql(ledger, "DELETE FROM payload WHERE id = 2")
    await _sql(ledger, "INSERT INTO release VALUES (1)")
    await _sql(ledger, "UPDATE shard SET tasks = tasks + 1")
    assert ledger.check() == [
        "1 shards count their tasks wrongly",
        "1 live tasks have no arguments",
        "1 parents are to be released but did not end",
    ]


async def test_every_statement_fits_the_schema_and_goes_by_index(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh())
    ledger.open(NOW_US, "me")
    session = await Session.open(ledger._address, {}, "owner")  # noqa: SLF001
    statements = named("commit", "answers", "opening", "reads", "upkeep", "copy")
    await session.script(statements["copy_mark_make"].text)
    few = {
        "owner",
        "shard",
        "batch",
        "migration",
        "pg_class",
        "pg_namespace",
        "pg_database",
        "release",
        "copying",
        "intake_id",
    }
    for name, (text, parameters) in statements.items():
        whole = name.startswith(("check_", "totals_")) or name in ("facts_all", "copy_counts")
        if whole or not text.startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT")):
            continue
        await session.script(f"PREPARE looked_at AS {text}")
        given = f"({', '.join(['NULL'] * len(parameters))})" if parameters else ""
        rows = await session._connection.fetch(f"EXPLAIN EXECUTE looked_at{given}")  # noqa: SLF001
        plan = [str(row[0]) for row in rows]
        await session.script("DEALLOCATE looked_at")
        scanned = {line.split(" on ")[1].split()[0] for line in plan if "Seq Scan on" in line}
        assert scanned <= few, f"{name} reads a whole table: {plan}"
    await session.close()
    ledger.close()
