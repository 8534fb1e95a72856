"""A way to the server that is gone without a word is noticed; what is only slow is waited for."""

import asyncio
import threading
from collections.abc import Iterator

import asyncpg
import pytest

from tests.conformance.ledger.desk import Desk, shard, task
from tests.servers.fault_proxy import Fault, FaultProxy
from tests.servers.postgres import PostgresServer
from wsaios.kernel.errors import LedgerUnavailable
from wsaios.ledger.postgres import attention
from wsaios.ledger.postgres.address import address_of
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.postgres.session import Session

END_S = 30.0
ENOUGH = 2_000_000


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[FaultProxy]:
    proxy = FaultProxy(lambda: postgres.port)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def url(postgres: PostgresServer, proxy: FaultProxy) -> str:
    return postgres.fresh().replace(f":{postgres.port}/", f":{proxy.port}/")


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "SILENT_S", 0.6)
    monkeypatch.setattr(attention, "_ASK_S", 0.5)


def in_a_hole(proxy: FaultProxy, for_s: float) -> threading.Thread:
    proxy.set(Fault(black_hole=True))
    healing = threading.Timer(for_s, proxy.heal)
    healing.start()
    return healing


@pytest.mark.usefixtures("_impatient")
@pytest.mark.timeout(END_S)
def test_a_commit_that_fell_into_a_black_hole_fails_once_the_server_can_be_asked(url: str, proxy: FaultProxy) -> None:
    ledger = PostgresLedger(url)
    desk = Desk(ledger)
    desk.write(shards=[shard(1)])
    healing = in_a_hole(proxy, 1.0)
    with pytest.raises(LedgerUnavailable, match="connection to the server is lost"):
        desk.add(task(1))
    healing.join()
    desk.reopen()
    desk.write(shards=[shard(1)])
    desk.add(task(1))
    assert ledger.check() == []
    ledger.close()


@pytest.mark.usefixtures("_impatient")
@pytest.mark.timeout(END_S)
def test_a_look_that_fell_into_a_black_hole_is_repeated(url: str, proxy: FaultProxy) -> None:
    desk = Desk(PostgresLedger(url))
    reads = desk.ledger.reads()
    assert reads.task_view(1) is None
    healing = in_a_hole(proxy, 1.0)
    assert reads.task_view(1) is None
    healing.join()
    desk.ledger.close()


@pytest.mark.usefixtures("_impatient")
async def test_a_statement_that_takes_long_is_waited_for(postgres: PostgresServer) -> None:
    session = await Session.open(address_of(postgres.fresh()), {}, "upkeep")
    await session.script("SELECT pg_sleep(2)")
    assert not session.closed()
    await session.close()


@pytest.mark.usefixtures("_impatient")
async def test_a_large_statement_on_a_slow_way_is_waited_for(url: str, proxy: FaultProxy) -> None:
    session = await Session.open(address_of(url), {}, "upkeep")
    await session.script("CREATE TEMPORARY TABLE big (text text)")
    proxy.set(Fault(bytes_per_s=1_000_000))
    await session.script(f"INSERT INTO big VALUES ('{'x' * ENOUGH}')")
    assert not session.closed()
    await session.close()


@pytest.mark.usefixtures("_impatient")
async def test_a_server_that_cannot_be_asked_is_waited_for(url: str, proxy: FaultProxy) -> None:
    session = await Session.open(address_of(url), {}, "upkeep")
    proxy.set(Fault(black_hole=True))
    asked = asyncio.ensure_future(session.script("SELECT 1"))
    assert not (await asyncio.wait((asked,), timeout=1.5))[0]
    proxy.heal()
    with pytest.raises(asyncpg.PostgresConnectionError):
        await asked
    assert session.closed()


@pytest.mark.usefixtures("_impatient")
async def test_a_client_waits_for_a_server_that_cannot_be_asked_only_so_long(url: str, proxy: FaultProxy) -> None:
    session = await Session.open(address_of(url), {}, "intake")
    session.attention.patience_s = 1.0
    proxy.set(Fault(black_hole=True))
    with pytest.raises(asyncpg.PostgresConnectionError):
        await session.script("SELECT 1")
    assert session.closed()
