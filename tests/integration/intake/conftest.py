"""A ledger on PostgreSQL, and what stands around it as around one in a file: an owner in another process, a client."""

import pytest

from tests.integration.door.conftest import absent, client, owner
from tests.servers.postgres import PostgresServer

__all__ = ["absent", "client", "owner"]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.fresh()


@pytest.fixture
def ledger(url: str) -> str:
    """What an owner is told."""
    return url
