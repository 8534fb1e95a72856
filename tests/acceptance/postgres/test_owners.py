"""Owners of a ledger on PostgreSQL come and go, in good order or not; nothing is lost and nothing counts twice."""

import signal
import time

from tests.acceptance.postgres.owners import all_ended, ask, owner
from tests.acceptance.postgres.worker import LEASE_S
from tests.servers.postgres import PostgresServer
from wsaios.kernel.states import State

ROWS = 400
OUTCOMES = "SELECT id, convert_from(result, 'UTF8'), body::text FROM outcome"
SUCCEEDED = {State.SUCCEEDED: ROWS}


async def test_a_killed_owner_is_followed_at_once_on_the_same_machine(durable_postgres: PostgresServer) -> None:
    url = durable_postgres.fresh()
    with owner(url, ROWS, 0.2) as first:
        first.hear("batch")
        first.tell(signal.SIGKILL)
        first.end()
        left = await ask(durable_postgres, url, "SELECT count(*) FROM live")
        assert left[0][0] > 0
        with owner(url, 0, 0.01) as second:
            second.hear("owner")
            assert await all_ended(durable_postgres, url, ROWS) == SUCCEEDED
            second.tell(signal.SIGTERM)
            second.end()
    assert await ask(durable_postgres, url, "SELECT epoch, lease_until_us, clean FROM owner") == [(2, None, True)]


async def test_a_dead_owner_on_another_machine_is_followed_when_its_lease_is_over(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with owner(url, ROWS, 30.0) as first:
        first.hear("batch")
        first.tell(signal.SIGKILL)
        first.end()
        await ask(postgres, url, "UPDATE owner SET host = 'elsewhere'")
        began_s = time.monotonic()
        with owner(url) as second:
            second.hear("owner")
            assert time.monotonic() - began_s >= LEASE_S / 2
            assert await all_ended(postgres, url, ROWS) == SUCCEEDED


async def test_a_second_owner_is_told_who_the_first_is(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with owner(url) as first:
        first.hear("owner")
        with owner(url) as second:
            said = second.hear("LedgerOwned")
            assert f"pid {first.process.pid} " in said
        # An idle owner keeps what it has for longer than a lease.
        time.sleep(LEASE_S * 1.5)
        with owner(url) as third:
            third.hear("LedgerOwned")


async def test_an_owner_that_stops_makes_room_at_once(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with owner(url, ROWS, 0.5) as first:
        first.hear("batch")
        first.tell(signal.SIGTERM)
        first.end()
        with owner(url) as second:
            second.hear("owner")
            assert await all_ended(postgres, url, ROWS) == SUCCEEDED


async def test_an_owner_that_stood_still_commits_nothing_any_more(durable_postgres: PostgresServer) -> None:
    url = durable_postgres.fresh()
    with owner(url, ROWS, 2.0) as first:
        first.hear("batch")
        first.tell(signal.SIGSTOP)
        time.sleep(LEASE_S)
        with owner(url) as second:
            second.hear("owner")
            assert await all_ended(durable_postgres, url, ROWS) == SUCCEEDED
            before = await ask(durable_postgres, url, OUTCOMES)
            first.tell(signal.SIGCONT)
            first.hear("wsaios error: another owner took the ledger")
            assert all(f", {second.process.pid}]" in result.replace(",", ", ") for _, result, _ in before)
            after = await ask(durable_postgres, url, OUTCOMES)
            assert sorted(after) == sorted(before)
            assert await ask(durable_postgres, url, "SELECT epoch FROM owner") == [(2,)]


async def test_an_owner_outlives_a_restart_of_the_server(durable_postgres: PostgresServer) -> None:
    url = durable_postgres.fresh()
    with owner(url, ROWS, 0.5) as one:
        one.hear("batch")
        durable_postgres.crash()
        time.sleep(LEASE_S)
        durable_postgres.start()
        assert await all_ended(durable_postgres, url, ROWS) == SUCCEEDED
        one.tell(signal.SIGTERM)
        one.end()


async def test_an_owner_outlives_the_end_of_its_sessions(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'wsaios %'"
    with owner(url, ROWS, 0.3) as one:
        one.hear("batch")
        for _ in range(6):
            await ask(postgres, url, end)
            time.sleep(0.5)
        assert await all_ended(postgres, url, ROWS) == SUCCEEDED
