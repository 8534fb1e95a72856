"""A scheduler on a ledger of its own, gates that let tests decide when handlers go on, and calls that take long."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from wsaios import Context, LaneSpec, Scheduler, Settings, policies

QUICK = policies.Mlfq(quanta_ms=(2.0, 4.0, 8.0), boost_s=60.0)


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


def narrow(url: str, *lanes: LaneSpec, **settings: Any) -> Scheduler:
    """A scheduler with one slot for coroutines, unless `lanes` says otherwise."""
    chosen = (LaneSpec("default", 1), *lanes)
    return Scheduler(url, settings=Settings(lanes=chosen, grace_s=5, **settings))


class Long:
    """A coroutine that computes in pieces until it is told to end."""

    def __init__(self) -> None:
        self.over = False
        self.pieces = 0
        self.began = asyncio.Event()

    async def __call__(self, context: Context) -> int:
        self.began.set()
        while not self.over:
            until = time.perf_counter() + 0.0005
            while time.perf_counter() < until:
                pass
            self.pieces += 1
            await context.checkpoint()
        return self.pieces


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # a call in a lane tells nobody how far it is
            await asyncio.sleep(0.005)


async def quick(number: int) -> int:
    return number


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
