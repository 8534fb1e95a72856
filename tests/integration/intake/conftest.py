"""A ledger on PostgreSQL, an owner in another process, a client."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.door.owners import Owner
from tests.servers.postgres import PostgresServer
from wsaios import AsyncClient


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.fresh()


@pytest.fixture
def absent(url: str) -> Iterator[Owner]:
    """An owner that is not started yet."""
    owner = Owner(url)
    yield owner
    owner.close()


@pytest.fixture
def owner(absent: Owner) -> Owner:
    return absent.start()


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(url) as made:
        yield made
