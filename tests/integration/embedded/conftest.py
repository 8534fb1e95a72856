"""A scheduler on a ledger of its own, and gates that let tests decide when handlers go on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wsaios import Scheduler


class Gate:
    """A coroutine handler that waits to be let through, and tells who came."""

    def __init__(self) -> None:
        self.came: list[object] = []
        self._open = asyncio.Event()
        self._arrived = asyncio.Condition()

    async def __call__(self, name: object = None) -> object:
        self.came.append(name)
        async with self._arrived:
            self._arrived.notify_all()
        await self._open.wait()
        return name

    def open(self) -> None:
        """Let everyone through from now on."""
        self._open.set()

    async def seen(self, count: int) -> None:
        """Wait until so many came."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.came) >= count)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a ledger that does not exist yet."""
    return f"sqlite:///{tmp_path}/work.db"


@pytest.fixture
async def scheduler(url: str) -> AsyncIterator[Scheduler]:
    """A scheduler that is not started, stopped at the end."""
    made = Scheduler(url, lanes={"default": 4, "thread": 2}, grace_s=2)
    yield made
    await made.stop()
