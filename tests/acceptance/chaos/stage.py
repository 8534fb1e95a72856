"""Where a scenario plays: a ledger, schedulers that work on it, and what the ledger says of their work."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import asyncpg

from tests.integration.door.owners import Owner
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import FaultProxy, proxied

_ENDS: Final = "SELECT id, ended_us FROM outcome"


class Stage:
    """One ledger and its schedulers."""

    def __init__(self, url: str, told: str, server: PostgresServer | None, proxy: FaultProxy | None) -> None:
        """`url` is what schedulers and clients use, `told` where the ledger is read past the proxy and the product."""
        self.url = url
        self.server = server
        self.proxy = proxy
        self.owners: list[Owner] = []
        self._told = told
        self.told_server, _, self.schema = told.partition("?schema=")

    async def add_owner(self) -> Owner:
        """Another scheduler process."""
        owner = Owner(self.url)
        await asyncio.to_thread(owner.start)
        self.owners.append(owner)
        return owner

    async def kill(self, place: int = 0) -> None:
        """SIGKILL one, and start another one in its stead."""
        owner = self.owners[place]
        await asyncio.to_thread(owner.kill)
        await asyncio.to_thread(owner.begin)
        await asyncio.to_thread(owner.await_line, "ready")

    def owning(self) -> int:
        """The place of the process that owns the ledger; 0 when that is none of them."""
        pid = self._rows("SELECT pid FROM owner")[0][0] if self.server is not None else 0
        return next((place for place, owner in enumerate(self.owners) if owner.process.pid == pid), 0)

    def ends(self) -> dict[int, int]:
        """When each task ended, µs UTC, by its id."""
        return dict(self._rows(_ENDS))

    def results(self) -> list[str]:
        """What every task returned, as JSON; each call returns its own number."""
        text = "convert_from(result, 'UTF8')" if self.server is not None else "CAST(result AS TEXT)"
        return [str(row[0]) for row in self._rows(f"SELECT {text} FROM outcome WHERE result IS NOT NULL")]

    def live(self) -> int:
        """How many have not ended."""
        left = "(SELECT count(*) FROM intake)" if self.server is not None else "0"
        return int(self._rows(f"SELECT (SELECT count(*) FROM live) + {left}")[0][0])

    def close(self) -> None:
        """End every scheduler."""
        for owner in self.owners:
            owner.process.send_signal(signal.SIGCONT)
            owner.close()

    def _rows(self, statement: str) -> list[Any]:
        if self.server is None:
            connection = apsw.Connection(self._told, flags=apsw.SQLITE_OPEN_READONLY)
            try:
                return list(connection.execute(statement))
            finally:
                connection.close()
        return asyncio.run(self.fetch(statement))

    async def fetch(self, statement: str) -> list[Any]:
        """What the server answers, past proxy and product."""
        connection = await asyncpg.connect(self.told_server, server_settings={"search_path": self.schema})
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Stage]:
    """A ledger in a file."""
    stage = Stage(f"sqlite:///{folder}/work.db", f"{folder}/work.db", None, None)
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def on_postgres(server: PostgresServer) -> Iterator[Stage]:
    """A ledger on a server, reached through a proxy."""
    told = server.fresh()
    with proxied(server.port) as proxy:
        stage = Stage(told.replace(f":{server.port}/", f":{proxy.port}/"), told, server, proxy)
        try:
            yield stage
        finally:
            stage.close()
