"""What is read of a process and of its ledger from outside while it works."""

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import parse_qs, urlsplit

import asyncpg

from benchmarks.figures import MIB

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TABLES: Final = """
SELECT coalesce(sum(t.n_dead_tup), 0)::float8, coalesce(sum(pg_total_relation_size(t.relid)), 0)::float8,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::float8
FROM pg_stat_user_tables t WHERE t.schemaname = $1"""

Readings = dict[str, float]


class LedgerGauge(Protocol):
    """Reads what a ledger takes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(self) -> Readings:
        """How it stands now."""
        ...


def of_process(pid: int) -> Readings:
    """Its memory, descriptors, threads and processor time.

    Raises:
        OSError: it is gone.
    """
    place = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (place / "status").read_text(encoding="utf-8").splitlines())
    times = (place / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return {
        "rss_mib": int(status["VmRSS"].split()[0]) * 1024 / MIB,
        "descriptors": float(len(list((place / "fd").iterdir()))),
        "threads": float(status["Threads"]),
        "cpu_s": (int(times[11]) + int(times[12])) / _TICKS,
    }


class SqliteGauge:
    """The sizes of the files of a ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def read(self) -> Readings:
        """Sizes; a file that is not there has none."""
        files = {"wal_mib": Path(f"{self._path}-wal"), "ledger_mib": self._path}
        return {key: file.stat().st_size / MIB if file.exists() else 0.0 for key, file in files.items()}


class PostgresGauge:
    """Dead tuples and sizes of the tables in a ledger's schema, over one connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = parts._replace(query="").geturl()
        self._schema = parse_qs(parts.query)["schema"][0]
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._connection = self._runner.run(asyncpg.connect(self._server))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def read(self) -> Readings:
        """What the server's statistics say, which are up to a second old."""
        dead, size, connections = self._runner.run(self._connection.fetchrow(_TABLES, self._schema))
        return {"dead_tuples": dead, "tables_mib": size / MIB, "connections": connections - 1}
