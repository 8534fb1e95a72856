"""Processes that handlers fork in a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.processes import forking
from tests.integration.processes.test_workers import appeared, gone, lost
from tests.unit.engines.local.running import Running, running
from wsaios.kernel.task import LaneSpec


@asynccontextmanager
async def workers() -> AsyncIterator[Running]:
    async with running(lanes={"pool": LaneSpec("pool", 1, "process")}, grace_s=0.2) as served:
        for name in ("pool", "end", "bear"):
            served.handlers.add(name, getattr(forking, name), lane="pool")
        yield served


async def test_a_handler_may_use_a_pool() -> None:
    async with workers() as served:
        for _ in range(10):
            assert await served.value("pool", n=5) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_a_forked_process(number: signal.Signals) -> None:
    async with workers() as served:
        for _ in range(10):
            assert await served.value("end", number=number) == -number


@pytest.mark.parametrize("aside", [False, True])
async def test_a_worker_that_dies_is_missed_although_a_forked_process_lives(tmp_path: Path, aside: bool) -> None:
    async with workers() as served:
        await served.submit(served.work("bear", {"mark": str(tmp_path / "mark"), "aside": aside}))
        worker, child = map(int, (await appeared(tmp_path / "mark")).split())
        os.kill(worker, signal.SIGKILL)
        await served.until(lambda: bool(lost(served)))
        assert len(lost(served)) == 1
        await gone(child)
