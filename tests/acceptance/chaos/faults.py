"""What goes wrong: each fault lasts as long as it is told to, and is over when its function returns."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, Final, NamedTuple

import apsw
import asyncpg

from tests.acceptance.chaos.ledgers import Place
from tests.acceptance.chaos.processes import Client, Workers, sleep_until
from tests.servers.fault_proxy import Fault, FaultProxy
from tests.servers.postgres import PostgresServer

RATE: Final = 100.0
_BURST: Final = 1000
_READERS: Final = 4
_OURS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'wsaios %' ORDER BY random()"
_SCAN: Final = """
    SELECT count(*), sum(length(payload.data)), max(outcome.ended_us)
    FROM outcome JOIN payload ON payload.id = outcome.id
"""


class Stage(NamedTuple):
    """Everything that a fault may touch; a ledger in a file has no server and no proxy."""

    place: Place
    workers: Workers
    client: Client
    server: PostgresServer | None
    proxy: FaultProxy | None


Cause = Callable[[Stage, float], None]


def nothing(_: Stage, for_s: float) -> None:
    """Nothing goes wrong; what a scenario is compared with."""
    time.sleep(for_s)


def restart(stage: Stage, for_s: float) -> None:
    """The server is stopped, which ends every session, and starts again so much later."""
    assert stage.server is not None
    stage.server.stop()
    time.sleep(for_s)
    stage.server.start()


def crash(stage: Stage, for_s: float) -> None:
    """The server ends at once, as by a fault of its machine, and starts again so much later."""
    assert stage.server is not None
    stage.server.crash()
    time.sleep(for_s)
    stage.server.start()


def terminate(stage: Stage, for_s: float) -> None:
    """Twice a second one of the product's sessions is ended, whichever."""
    asyncio.run(_terminate(stage, for_s))


def exhaust(stage: Stage, for_s: float) -> None:
    """Strangers take every connection that the server has, while the product's are ended once a second."""
    asyncio.run(_exhaust(stage, for_s))


def kill_one(stage: Stage, for_s: float) -> None:
    """The scheduler that owns the ledger is killed, and is not started again before the fault is over."""
    stage.workers.held_back = True
    stage.workers.kill(stage.place.owner() if stage.place.kind == "postgres" else None)
    time.sleep(for_s)
    stage.workers.held_back = False


def kill_again(stage: Stage, for_s: float) -> None:
    """Again and again the scheduler that works is killed, and started anew at once."""
    until_s = time.monotonic() + for_s
    pause_s = min(20.0, max(1.5, for_s / 6))
    while True:
        # Between two owners nobody has that pid.
        with suppress(ProcessLookupError):
            stage.workers.kill(stage.place.owner() if stage.place.kind == "postgres" else None)
        if time.monotonic() + pause_s > until_s:
            return
        time.sleep(pause_s)


def idle_in_transaction(stage: Stage, for_s: float) -> None:
    """A stranger opens a transaction, reads all that has ended, and does nothing more."""
    asyncio.run(_idle(stage, for_s))


def readers(stage: Stage, for_s: float) -> None:
    """Strangers read the whole ledger without a pause, each in one transaction that stays open."""
    if stage.place.kind == "postgres":
        asyncio.run(_read_there(stage, for_s))
    else:
        _read_file(stage, for_s)


def load(stage: Stage, for_s: float) -> None:
    """Five times as much is submitted."""
    stage.client.rate(5 * RATE)
    time.sleep(for_s)
    stage.client.rate(RATE)


def bursts(stage: Stage, for_s: float) -> None:
    """A thousand tasks at once, every few seconds."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        stage.client.burst(_BURST)
        sleep_until(min(until_s, time.monotonic() + max(2.0, for_s / 5)))


def wrong(fault: Fault) -> Cause:
    """This is wrong with the network."""

    def cause(stage: Stage, for_s: float) -> None:
        assert stage.proxy is not None
        stage.proxy.set(fault)
        time.sleep(for_s)
        stage.proxy.heal()

    return cause


def cut_again(stage: Stage, for_s: float) -> None:
    """Once a second every connection is reset."""
    assert stage.proxy is not None
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        stage.proxy.cut()
        sleep_until(min(until_s, time.monotonic() + 1.0))


async def _terminate(stage: Stage, for_s: float) -> None:
    admin, until_s, ended = await _stranger(stage), time.monotonic() + for_s, 0
    while time.monotonic() < until_s:
        ended += len(await admin.fetch(f"SELECT pg_terminate_backend(pid) FROM ({_OURS} LIMIT 1) AS one"))
        await asyncio.sleep(0.5)
    await admin.close()
    assert ended, "the product had no session that could be ended"


async def _exhaust(stage: Stage, for_s: float) -> None:
    admin, held, ended = await _stranger(stage), [], 0
    until_s, next_s = time.monotonic() + for_s, 0.0
    while time.monotonic() < until_s:
        try:
            held.append(await _stranger(stage))
        except asyncpg.TooManyConnectionsError:
            if time.monotonic() > next_s:
                next_s = time.monotonic() + 1.0
                ended += len(await admin.fetch(f"SELECT pg_terminate_backend(pid) FROM ({_OURS}) AS every"))
            else:
                await asyncio.sleep(0.01)
    for connection in (*held, admin):
        await connection.close()
    assert ended, "the server did not run out of connections"


async def _idle(stage: Stage, for_s: float) -> None:
    async with _reading(await _stranger(stage)) as connection:
        await connection.fetch(_SCAN)
        await asyncio.sleep(for_s)


async def _read_there(stage: Stage, for_s: float) -> None:
    until_s = time.monotonic() + for_s

    async def read() -> None:
        async with _reading(await _stranger(stage)) as connection:
            while time.monotonic() < until_s:
                await connection.fetch(_SCAN)

    await asyncio.gather(*(read() for _ in range(_READERS)))


class _reading:  # noqa: N801  # a context manager
    """One transaction that sees one moment, and the end of its connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def __aenter__(self) -> Any:
        await self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def _stranger(stage: Stage) -> Any:
    assert stage.server is not None
    settings = {"search_path": stage.place.direct.partition("?schema=")[2]}
    return await asyncpg.connect(stage.server.url(), server_settings=settings)


@contextmanager
def _held(stage: Stage) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(str(stage.place.path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.execute("BEGIN")
        list(connection.execute(_SCAN))
        yield connection
        connection.execute("ROLLBACK")


def _read_file(stage: Stage, for_s: float) -> None:
    until_s = time.monotonic() + for_s
    with ExitStack() as stack:
        connections = [stack.enter_context(_held(stage)) for _ in range(_READERS)]
        while time.monotonic() < until_s:
            for connection in connections:
                list(connection.execute(_SCAN))
