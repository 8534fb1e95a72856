"""A ledger, an owner in another process, a client."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.door.owners import Owner
from wsaios import AsyncClient


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "work.db"


@pytest.fixture
def url(ledger: Path) -> str:
    return f"sqlite:///{ledger}"


@pytest.fixture
def absent(ledger: Path) -> Iterator[Owner]:
    """An owner that is not started yet."""
    owner = Owner(ledger)
    yield owner
    owner.close()


@pytest.fixture
def owner(absent: Owner) -> Owner:
    return absent.start()


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(url) as made:
        yield made
