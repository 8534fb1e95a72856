"""What goes wrong: each fault lasts for so many seconds, and is over when its coroutine returns."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import apsw
import asyncpg
from asyncpg.exceptions._base import PostgresError

from tests.acceptance.chaos.load import Load
from tests.acceptance.chaos.stage import Stage
from tests.servers.proxy import FaultProxy

Fault = Callable[[Stage, Load, float], Awaitable[None]]
_OURS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'wsaios%'"
_READERS: Final = 4
_SERVERS: Final = ThreadPoolExecutor(1, "servers")
_BURST: Final = 500


async def restart(stage: Stage, _: Load, for_s: float) -> None:
    """The server is down."""
    assert stage.server is not None
    await _serving(stage.server.stop)
    await asyncio.sleep(for_s)
    await _serving(stage.server.start)


async def crash(stage: Stage, _: Load, for_s: float) -> None:
    """The server dies, and comes back."""
    assert stage.server is not None
    await _serving(stage.server.crash)
    await asyncio.sleep(for_s)
    await _serving(stage.server.start)


async def terminated(stage: Stage, _: Load, for_s: float) -> None:
    """Every session is ended, twice a second."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        await stage.fetch(_OURS)
        await asyncio.sleep(0.5)


async def exhausted(stage: Stage, _: Load, for_s: float) -> None:
    """Strangers take every connection that the server has, and ours are ended."""
    assert stage.server is not None
    strangers = []
    ender = await asyncpg.connect(stage.server.url())
    until_s = time.monotonic() + for_s
    await ender.fetch(_OURS)
    while time.monotonic() < until_s:
        with suppress(PostgresError, OSError):
            strangers.append(await asyncpg.connect(stage.server.url(), timeout=2))
            continue
        await asyncio.sleep(0.05)
    for stranger in strangers:
        await stranger.close()
    await ender.close()


async def killed(stage: Stage, _: Load, for_s: float) -> None:
    """The owner dies by SIGKILL."""
    await stage.kill(await asyncio.to_thread(stage.owning))
    await asyncio.sleep(for_s / 4)


async def killed_again(stage: Stage, _: Load, for_s: float) -> None:
    """Whoever owns the ledger dies, every two seconds."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        await stage.kill(await asyncio.to_thread(stage.owning))
        await asyncio.sleep(2.0)


async def idle_in_transaction(stage: Stage, _: Load, for_s: float) -> None:
    """A stranger leaves a transaction open."""
    async with AsyncExitStack() as held:
        connection = await _stranger(stage, held)
        await connection.fetch("SELECT count(*) FROM live")
        await asyncio.sleep(for_s)


async def readers(stage: Stage, _: Load, for_s: float) -> None:
    """Strangers read everything, again and again, each in one long transaction."""
    if stage.server is None:
        await asyncio.to_thread(_read_file, stage.url.removeprefix("sqlite:///"), for_s)
        return
    async with AsyncExitStack() as held:
        connections = [await _stranger(stage, held) for _ in range(_READERS)]
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            await asyncio.gather(*(each.fetch("SELECT count(*), max(body::text) FROM outcome") for each in connections))
            await asyncio.sleep(0.05)


async def sustained(_: Stage, load: Load, for_s: float) -> None:
    """Three times the load."""
    rate, load.rate = load.rate, load.rate * 3
    await asyncio.sleep(for_s)
    load.rate = rate


async def bursts(_: Stage, load: Load, for_s: float) -> None:
    """Hundreds of calls at once, every second."""
    for _second in range(max(1, int(for_s))):
        load.burst(_BURST)
        await asyncio.sleep(1.0)


async def latency(stage: Stage, _: Load, for_s: float) -> None:
    """Every message takes 50 ms longer each way."""
    _proxy(stage).latency_s = 0.05
    await asyncio.sleep(for_s)
    _proxy(stage).heal()


async def cut(stage: Stage, _: Load, for_s: float) -> None:
    """Every connection is reset, once a second."""
    for _second in range(max(1, int(for_s))):
        _proxy(stage).cut()
        await asyncio.sleep(1.0)


async def hole(stage: Stage, _: Load, for_s: float) -> None:
    """What is sent is swallowed, and nobody hears of it."""
    _proxy(stage).hole = True
    await asyncio.sleep(for_s)
    _proxy(stage).heal()


async def slow(stage: Stage, _: Load, for_s: float) -> None:
    """The network carries 64 kB/s."""
    _proxy(stage).bytes_per_s = 64_000
    await asyncio.sleep(for_s)
    _proxy(stage).heal()


ON_POSTGRES: Final[dict[str, Fault]] = {
    "server restarted": restart,
    "server crashed": crash,
    "sessions ended, 2/s": terminated,
    "connections exhausted": exhausted,
    "one of two killed": killed,
    "killed again and again": killed_again,
    "idle in transaction": idle_in_transaction,
    "long readers": readers,
    "three times the load": sustained,
    "bursts": bursts,
    "latency": latency,
    "connections cut": cut,
    "black hole": hole,
    "slow network": slow,
}
ON_SQLITE: Final[dict[str, Fault]] = {
    "killed": killed,
    "killed again and again": killed_again,
    "long readers": readers,
    "three times the load": sustained,
    "bursts": bursts,
}
TWO_OWNERS: Final = {"one of two killed", "killed again and again"}


def _proxy(stage: Stage) -> FaultProxy:
    assert stage.proxy is not None
    return stage.proxy


async def _serving(call: Callable[[], None]) -> None:
    # The server ends with the thread that started it.
    await asyncio.get_running_loop().run_in_executor(_SERVERS, call)


async def _stranger(stage: Stage, held: AsyncExitStack) -> Any:
    connection = await asyncpg.connect(stage.told_server, server_settings={"search_path": stage.schema})
    held.push_async_callback(connection.close)
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    return connection


def _read_file(path: str, for_s: float) -> None:
    connections = [apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY) for _ in range(_READERS)]
    for each in connections:
        each.execute("BEGIN")
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        for each in connections:
            each.execute("SELECT count(*), max(body) FROM outcome").fetchall()
        time.sleep(0.05)
    for each in connections:
        each.close()
