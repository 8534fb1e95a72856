"""Servers that measures need beside themselves: started when the first one asks, stopped at the end."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.processes import Failed
from tests.servers.postgres import MISSING, PostgresServer, programs


class Place(NamedTuple):
    """The address of a new ledger, and the folder whose disk its commits wait for."""

    url: str
    folder: Path


class Servers:
    """One PostgreSQL at most, durable as it comes from its packages, on a free port of 127.0.0.1."""

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
        server, folder = self._postgres
        return Place(server.fresh(), folder)
