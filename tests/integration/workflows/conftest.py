"""Schedulers on either database, with handlers that say what they did."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from wsaios import Scheduler, Settings
from wsaios.kernel.views import StepView
from wsaios.scheduler.runs import Runs
from wsaios.sdk.handles import Run


class Site:
    """A ledger, and schedulers on it that know the same handlers; `calls` are those that were made."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[tuple[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail: set[object] = set()
        self._made: list[Scheduler] = []

    async def open(self, **settings: Any) -> Scheduler:
        """A scheduler that has started."""
        scheduler = Scheduler(self.url, settings=Settings(grace_s=0.1, lease_s=1.0, **settings))
        self._made.append(scheduler)
        scheduler.add_handler("echo", self._echo)
        scheduler.add_handler("plain", self._plain)
        scheduler.add_handler("held", self._held)
        await scheduler.start()
        return scheduler

    async def close(self) -> None:
        """Stop them all."""
        self.gate.set()
        for scheduler in self._made:
            await scheduler.stop()

    async def _echo(self, value: Any = None) -> Any:
        self.calls.append(("echo", value))
        if value in self.fail:
            raise ValueError(f"no {value}")
        return value

    def _plain(self, values: list[Any]) -> Any:
        self.calls.append(("plain", values))
        return sum(value for value in values if value is not None)

    async def _held(self, value: Any = None) -> Any:
        self.calls.append(("held", value))
        await self.gate.wait()
        return value


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/work.db"
    return str(request.getfixturevalue("postgres").fresh())


@pytest.fixture
async def site(url: str) -> AsyncIterator[Site]:
    """One of its own."""
    made = Site(url)
    yield made
    await made.close()


def runs_of(scheduler: Scheduler) -> Runs:
    """What its core has of runs."""
    core = scheduler._parts.loop.core  # noqa: SLF001  # nothing else says what is left over in memory
    assert core is not None
    return core.runs


async def states(run: Run) -> dict[str, str]:
    """Where its steps stand."""
    return {step.id: step.state for step in await run.steps()}


async def until(run: Run, true: Callable[[dict[str, StepView]], object]) -> dict[str, StepView]:
    """Its steps as soon as something is true of them."""
    while True:
        steps = {step.id: step for step in await run.steps()}
        if true(steps):
            return steps
        await asyncio.sleep(0.01)
