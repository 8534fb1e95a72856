"""What goes wrong between a ledger and its server, in words that say what to do."""

import socket
import time

import asyncpg
import pytest

from tests.conformance.ledger.desk import NOW_US, Desk, shard, task
from tests.servers.postgres import GUARDED, PostgresServer
from wsaios import AsyncClient, Scheduler
from wsaios.kernel.errors import LedgerBroken, LedgerUnavailable
from wsaios.kernel.ledger import LiveAfter
from wsaios.ledger.postgres.address import address_of
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.postgres.session import Session, named
from wsaios.ledger.postgres.side import PostgresSide

ALL = LiveAfter(0, 1 << 62, 99)


async def _end_sessions(server: PostgresServer, purpose: str) -> int:
    connection = await asyncpg.connect(server.url())
    rows = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", f"wsaios {purpose}"
    )
    await connection.close()
    return len(rows)


def test_a_server_that_is_not_there_says_what_to_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LedgerUnavailable, match="check host and port") as caught:
        PostgresLedger(f"postgresql://me:secret@127.0.0.1:{port}/work").open(1, "me")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_database_that_is_not_there_says_how_to_make_it(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerUnavailable, match="createdb"):
        PostgresLedger(postgres.url("nowhere")).open(1, "me")


def test_a_wrong_password_is_not_shown(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerUnavailable, match="check user and password") as caught:
        PostgresLedger(postgres.url(user="nobody_" + GUARDED, password="wr0ng")).open(1, "me")  # noqa: S106
    assert "wr0ng" not in str(caught.value)


async def test_a_user_without_rights_is_told_what_to_grant(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url())
    await connection.execute("CREATE ROLE powerless LOGIN")
    await connection.close()
    with pytest.raises(LedgerUnavailable, match="grant"):
        PostgresLedger(f"{postgres.url(user='powerless')}?schema=theirs").open(1, "me")


async def test_a_url_as_providers_give_it_is_connected_to(postgres: PostgresServer) -> None:
    url = postgres.fresh(
        sslmode="prefer",
        channel_binding="prefer",
        connect_timeout="10",
        keepalives="1",
        keepalives_idle="30",
        gssencmode="disable",
        application_name="shop",
        client_encoding="utf8",
        target_session_attrs="read-write",
        options="-c%20statement_timeout%3D12345ms",
    )
    session = await Session.open(address_of(url), named("opening"), "owner")
    shown = [await session._connection.fetchval(f"SHOW {name}") for name in ("statement_timeout", "application_name")]  # noqa: SLF001
    await session.close()
    assert shown == ["12345ms", "wsaios owner"]
    ledger = PostgresLedger(url)
    assert ledger.open(1, "me").epoch == 1
    ledger.close()


def test_options_that_the_driver_refuses_are_named_as_such(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerUnavailable, match=r"check the URL and the variables PG.*No such TLS version: 9"):
        PostgresLedger(postgres.fresh(sslmode="require", ssl_min_protocol_version="9")).open(1, "me")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_keep_every_text_is_refused(postgres: PostgresServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    await connection.close()
    url = postgres.url(name)
    said = f"is encoded in {encoding}, and a ledger needs UTF8; make one with: createdb --encoding=UTF8"
    side = PostgresSide(url, "me")
    with pytest.raises(LedgerUnavailable, match=said):
        await Scheduler(url).start()
    with pytest.raises(LedgerUnavailable, match=said):
        PostgresLedger(url).check()
    async with AsyncClient(url) as client:
        with pytest.raises(LedgerUnavailable, match=said):
            await client.submit("echo", {"value": "漢"})
        with pytest.raises(LedgerUnavailable, match=said):
            await client.overview()
    with pytest.raises(LedgerUnavailable, match=said):
        side.enter(make=True)
    side.close()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'wsaios'") == 0
    await connection.close()


async def test_a_session_that_was_ended_is_replaced_by_reopen(postgres: PostgresServer) -> None:
    desk = Desk(PostgresLedger(postgres.fresh()))
    desk.write(shards=[shard(1)])
    desk.add(task(1))
    await _end_sessions(postgres, "owner")
    with pytest.raises(LedgerUnavailable, match="see whether it runs"):
        desk.add(task(2))
    with pytest.raises(LedgerUnavailable, match="reopen"):
        desk.add(task(2))
    assert desk.reopen().epoch == 2
    desk.add(task(2))
    assert [row.id for row in desk.ask(ALL).tasks] == [1, 2]
    desk.ledger.close()


async def test_reads_go_on_after_their_session_was_ended(postgres: PostgresServer) -> None:
    desk = Desk(PostgresLedger(postgres.fresh()))
    reads = desk.ledger.reads()
    assert reads.totals().live == {}
    assert await _end_sessions(postgres, "reader") == 1
    assert reads.totals().live == {}
    desk.ledger.close()


async def test_a_commit_outlives_the_server(durable_postgres: PostgresServer) -> None:
    desk = Desk(PostgresLedger(durable_postgres.fresh()))
    desk.write(shards=[shard(1)])
    desk.add(task(1))
    durable_postgres.crash()
    with pytest.raises(LedgerUnavailable):
        desk.add(task(2))
    with pytest.raises(LedgerUnavailable):
        desk.reopen()
    durable_postgres.start()
    assert desk.reopen().ready_shards == [1]
    assert [row.id for row in desk.ask(ALL).tasks] == [1]
    desk.ledger.close()


async def test_it_works_in_a_thread_where_a_loop_runs(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh())
    assert ledger.open(NOW_US, "me").epoch == 1
    assert ledger.reads().totals().live == {}
    ledger.close()


async def test_a_row_that_cannot_be_read_says_so(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    desk = Desk(PostgresLedger(url))
    desk.write(shards=[shard(1)])
    desk.add(task(1))
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f"UPDATE {url.partition('schema=')[2]}.live SET body = '[\"x\"]'")
    await connection.close()
    with pytest.raises(LedgerBroken, match="a row cannot be read"):
        desk.ask(ALL)
    desk.ledger.close()


def test_an_owner_knows_how_long_it_surely_owns(postgres: PostgresServer) -> None:
    ledger = PostgresLedger(postgres.fresh(), lease_s=0.2)
    assert not ledger.holds()
    ledger.open(NOW_US, "me")
    assert ledger.holds()
    time.sleep(0.2)
    assert not ledger.holds()
    ledger.renew()
    assert ledger.holds()
    ledger.close()
    assert not ledger.holds()
