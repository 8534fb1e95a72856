"""Every ledger there is, under the same questions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.ledger.desk import Another, ClientLedger, Desk, shard
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.simulation.ledger import SimLedger
from wsaios.simulation.ledger_store import Tables


def _ledgers(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Another]:
    made: list[ClientLedger] = []
    tables = Tables()
    url = request.getfixturevalue("postgres").fresh() if kind == "postgres" else ""

    def another() -> ClientLedger:
        ledger: ClientLedger
        if kind == "sim":
            ledger = SimLedger(tables)
        elif kind == "postgres":
            ledger = PostgresLedger(url, lock_wait_s=0.1, lease_s=1.0)
        else:
            ledger = SqliteLedger(folder / "work.db" if kind == "file" else ":memory:", lock_wait_s=0.1)
        made.append(ledger)
        return ledger

    yield another
    for ledger in made:
        ledger.close()


@pytest.fixture(params=["file", "memory", "postgres", "sim"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Another]:
    """Makes ledgers of one kind."""
    yield from _ledgers(request.param, tmp_path, request)


@pytest.fixture(params=["file", "postgres", "sim"])
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Another]:
    """Makes ledgers that all see the same data, one owner after the other."""
    yield from _ledgers(request.param, tmp_path, request)


@pytest.fixture
def desk(another: Another) -> Desk:
    """An open ledger with shard 1."""
    made = Desk(another())
    made.write(shards=[shard(1)])
    return made
