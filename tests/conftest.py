"""What holds for every test: no ledger named from outside, and property tests without a time limit of their own."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.servers.postgres import PostgresServer, served

# Timing on a shared machine says nothing about behaviour; pytest's own timeout catches what hangs.
hypothesis.settings.register_profile("wsaios", deadline=None, print_blob=True)
hypothesis.settings.load_profile("wsaios")


@pytest.fixture(autouse=True)
def _no_ledger_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSAIOS_LEDGER", raising=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that does not wait for its disk, one for all tests of this process."""
    yield from served(durable=False)


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server as it should be run, for tests of what survives."""
    yield from served(durable=True)
