"""The ledger under the fault: where the product finds it, and where the judge does."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from tests.acceptance.crash.postgres_rows import ask, made
from tests.servers.fault_proxy import FaultProxy
from tests.servers.postgres import PostgresServer
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger

_OUTCOMES: Final[Mapping[str, str]] = {
    "sqlite": """
        SELECT CAST(payload.data AS TEXT), outcome.state, outcome.ended_us, CAST(outcome.result AS TEXT)
        FROM outcome JOIN payload ON payload.id = outcome.id""",
    "postgres": """
        SELECT convert_from(payload.data, 'UTF8'), outcome.state, outcome.ended_us, convert_from(outcome.result, 'UTF8')
        FROM outcome JOIN payload ON payload.id = outcome.id""",
}
_LEFT: Final[Mapping[str, str]] = {
    "sqlite": "SELECT count(*) FROM live",
    "postgres": "SELECT (SELECT count(*) FROM live) + (SELECT count(*) FROM intake)",
}


class End(NamedTuple):
    """How a task ended."""

    n: int
    state: int
    at_us: int
    result: Any


class Place:
    """One ledger; `url` is for the product and leads through the proxy, `direct` is for the test."""

    def __init__(self, kind: str, url: str, direct: str) -> None:
        self.kind = kind
        self.url = url
        self.direct = direct

    @property
    def path(self) -> Path:
        """The file of a ledger on SQLite."""
        return Path(self.direct.removeprefix("sqlite:///"))

    def rows(self, statement: str) -> list[Any]:
        """What plain SQL says, past all code of the product."""
        if self.kind == "postgres":
            return ask(self.direct, statement)
        with closing(apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            connection.set_busy_timeout(10_000)
            return list(connection.execute(statement))

    def left(self) -> int:
        """How many tasks have not ended."""
        return int(self.rows(_LEFT[self.kind])[0][0])

    def ends(self) -> list[End]:
        """Every task that ended."""
        return [
            End(json.loads(given)["n"], state, at_us, None if result is None else json.loads(result))
            for given, state, at_us, result in self.rows(_OUTCOMES[self.kind])
        ]

    def contradictions(self) -> list[str]:
        """What the product's own search finds."""
        return (PostgresLedger(self.direct) if self.kind == "postgres" else SqliteLedger(self.path)).check()

    def owner(self) -> int:
        """The pid of the scheduler that owns a ledger on PostgreSQL; 0: there is none yet."""
        rows = self.rows("SELECT pid FROM owner") if made(self.direct) else []
        return int(rows[0][0]) if rows else 0


@contextmanager
def in_a_file(folder: Path) -> Iterator[Place]:
    """A ledger on SQLite."""
    url = f"sqlite:///{folder}/work.db"
    yield Place("sqlite", url, url)


@contextmanager
def behind(server: PostgresServer) -> Iterator[tuple[Place, FaultProxy]]:
    """A ledger on PostgreSQL, and the proxy before its server."""
    proxy = FaultProxy(lambda: server.port)
    proxy.start()
    try:
        direct = server.fresh()
        yield Place("postgres", direct.replace(f":{server.port}/", f":{proxy.port}/"), direct), proxy
    finally:
        proxy.stop()
