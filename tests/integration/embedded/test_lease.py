"""An owner whose ledger is lent for a time: it prolongs that, and starts nothing when it may have lost it."""

import asyncio

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Scheduler, errors


class Lease:
    """Stands for the lease of a scheduler's ledger."""

    def __init__(self, scheduler: Scheduler) -> None:
        ledger = scheduler._parts.ledger  # noqa: SLF001  # the lease is put where only the driver looks
        ledger.lease_s = 0.02
        ledger.holds = self.holds  # type: ignore[method-assign]  # a stand-in
        ledger.renew = self.renew  # type: ignore[method-assign]  # a stand-in
        self.sure = True
        self.errors: list[Exception] = []
        self.renewed = 0
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def holds(self) -> bool:
        return self.sure

    def renew(self) -> None:
        self.renewed += 1
        self._loop.call_soon_threadsafe(self.asked.set)
        if self.errors:
            raise self.errors.pop(0)
        self.sure = True


async def test_an_idle_owner_prolongs_its_lease(scheduler: Scheduler) -> None:
    lease = Lease(scheduler)
    async with scheduler:
        await asyncio.wait_for(lease.asked.wait(), 10)
        assert lease.renewed > 0
        assert scheduler._parts.loop.running()  # noqa: SLF001  # it goes on, and nobody asked anything of it


async def test_an_idle_owner_that_lost_the_ledger_stands_down(scheduler: Scheduler) -> None:
    lease = Lease(scheduler)
    async with scheduler:
        lease.errors = [errors.Fenced("the ledger", 1)]
        loop = scheduler._parts.loop  # noqa: SLF001  # what nobody outside may see before it asks
        assert loop._driver is not None  # noqa: SLF001
        await asyncio.wait_for(loop._driver, 10)  # noqa: SLF001
        assert isinstance(loop.ended, errors.Fenced)
        with pytest.raises(errors.NotRunning):
            await scheduler.submit("one")


async def test_after_a_pause_nothing_starts_before_the_ledger_was_asked(scheduler: Scheduler) -> None:
    lease = Lease(scheduler)
    scheduler.add_handler("one", lambda: lease.renewed)
    async with scheduler:
        lease.sure = False
        assert await (await scheduler.submit("one")).result(timeout_s=10) > 0
        assert lease.sure


async def test_when_nobody_knows_nothing_starts_and_the_work_runs_once_later(scheduler: Scheduler) -> None:
    lease = Lease(scheduler)
    gate = Gate()
    scheduler.add_handler("gate", gate)
    gate.open()
    async with scheduler:
        lease.sure = False
        lease.errors = [errors.LedgerUnavailable("the ledger", "the server does not answer")] * 2
        task = await scheduler.submit("gate", {"name": "once"})
        assert await task.result(timeout_s=10) == "once"
        assert (await scheduler.status(task.id)).attempt == 1
    assert gate.came == ["once"]


async def test_a_server_that_is_away_for_long_is_waited_for(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(scheduler)
    monkeypatch.setattr("wsaios.scheduler.loop._REBUILD_WAITS_S", (0.0,))
    monkeypatch.setattr("wsaios.scheduler.loop._LONGEST_WAIT_S", 0.001)
    ledger = scheduler._parts.ledger  # noqa: SLF001  # the server
    reopen, away = ledger.reopen, [errors.LedgerUnavailable("the ledger", "the server is away")] * 30

    def try_again(now_us: int) -> object:
        if away:
            raise away.pop()
        return reopen(now_us)

    ledger.reopen = try_again  # type: ignore[method-assign, assignment]  # a stand-in
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        lease.errors = [errors.LedgerUnavailable("the ledger", "the server is away")]
        await asyncio.wait_for(lease.asked.wait(), 10)
        assert await (await scheduler.submit("one")).result(timeout_s=10) == 1
        assert not away
