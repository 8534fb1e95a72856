"""Servers that measures need beside themselves: started when the first one asks, stopped at the end."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import asyncpg
from asyncpg.exceptions._base import PostgresError

from benchmarks.processes import Failed
from tests.servers.postgres import MISSING, PostgresServer, programs
from tests.servers.redis import MISSING as NO_REDIS
from tests.servers.redis import RedisServer


class Place(NamedTuple):
    """The address of a new store, the folder whose disk its commits wait for, and the server's process (0: none)."""

    url: str
    folder: Path
    pid: int = 0


class Servers:
    """One PostgreSQL at most, durable as it comes from its packages, and Redis; on free ports of 127.0.0.1."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._postgres: tuple[PostgresServer, Path] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def postgres(self) -> Place:
        """A ledger of nobody else.

        Raises:
            Failed: no such server is installed.
        """
        server, folder = self._running()
        return Place(server.fresh(), folder, server.pid)

    @contextmanager
    def database(self, name: str) -> Iterator[Place]:
        """A database of nobody else, gone afterwards.

        Raises:
            Failed: no such server is installed, or it refuses.
        """
        server, folder = self._running()
        try:
            asyncio.run(_told(server.url(), f"CREATE DATABASE {name}"))
        except (OSError, PostgresError) as error:
            raise Failed(f"PostgreSQL made no database {name}: {error}") from error
        try:
            yield Place(server.url(name), folder, server.pid)
        finally:
            # A signal to all of us may have ended the server already; its folder goes with it.
            with suppress(OSError, PostgresError):
                asyncio.run(_told(server.url(), f"DROP DATABASE {name} WITH (FORCE)"))

    @contextmanager
    def redis(self) -> Iterator[Place]:
        """A server of nobody else, with an append-only file that is synced once a second; gone afterwards.

        Raises:
            Failed: no such server is installed, or it does not start.
        """
        with tempfile.TemporaryDirectory(prefix="wsaios-redis-") as folder:
            try:
                server = RedisServer(Path(folder))
                server.start()
            except FileNotFoundError as error:
                raise Failed(NO_REDIS) from error
            except RuntimeError as error:
                raise Failed(str(error)) from error
            try:
                yield Place(server.url, Path(folder), server.pid)
            finally:
                server.stop()

    def _running(self) -> tuple[PostgresServer, Path]:
        if self._postgres is None:
            if programs() is None:
                raise Failed(MISSING)
            # Not where the other ledgers are: the server may run as another user, who must reach its folder.
            folder = Path(tempfile.mkdtemp(prefix="wsaios-postgres-"))
            self._open.callback(shutil.rmtree, folder, ignore_errors=True)
            server = PostgresServer(folder, durable=True)
            server.make()
            server.start()
            self._open.callback(server.stop)
            self._postgres = server, folder
        return self._postgres


async def _told(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
