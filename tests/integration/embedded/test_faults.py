"""A ledger that fails under a live scheduler: callers are told, nothing is lost, the core is built anew."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Scheduler, errors
from wsaios.kernel.ledger import Commit, Committed


class Faults:
    """Stands before the commit of a scheduler's ledger and breaks it when told."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._ledger = scheduler._parts.ledger  # noqa: SLF001  # the fault is put where only the driver calls
        self._prepare = self._ledger.prepare
        self._when: Callable[[Commit], bool] = lambda _: False
        self._applied = False
        self.hit = 0
        self.fails = threading.Event()
        self.fails.set()
        self.reached = asyncio.Event()
        self._ledger.prepare = self  # type: ignore[method-assign]  # a fault between driver and ledger

    def break_next(self, when: Callable[[Commit], bool], *, applied: bool) -> None:
        """Fail the next commit that fits, after it was applied or before."""
        self._when, self._applied = when, applied
        self.reached.clear()

    def __call__(self, batch: Commit) -> Callable[[], Committed]:
        write = self._prepare(batch)
        if not self._when(batch):
            return write
        self._when = lambda _: False
        self.hit += 1
        self.reached.set()

        def broken() -> Committed:
            self.fails.wait(10)
            if self._applied:
                write()
            raise errors.LedgerUnavailable(self._ledger.name, "the disk went away for a moment")

        return broken


@pytest.mark.parametrize("applied", [False, True])
async def test_a_failed_commit_is_told_and_the_next_call_works(scheduler: Scheduler, applied: bool) -> None:
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.accepted), applied=applied)
        with pytest.raises(errors.Unacknowledged, match="disk"):
            await scheduler.submit("one", idempotency_key="k")
        task = await scheduler.submit("one", idempotency_key="k")
        assert await task.result(timeout_s=10) == 1
        totals = await scheduler._parts.service.totals()  # noqa: SLF001  # what the ledger itself counts
    assert faults.hit == 1
    assert sum(totals.ended.values()) == 1


@pytest.mark.parametrize("applied", [False, True])
async def test_an_outcome_whose_commit_failed_is_made_again_or_kept(scheduler: Scheduler, applied: bool) -> None:
    ran: list[int] = []

    def count() -> int:
        ran.append(1)
        return len(ran)

    scheduler.add_handler("count", count)
    async with scheduler:
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.ended), applied=applied)
        task = await scheduler.submit("count")
        result = await task.result(timeout_s=10)
        status = await task.status()
    assert faults.hit == 1
    assert (result, status.state, status.attempt) == (len(ran), "succeeded", 1)
    assert len(ran) == (1 if applied else 2)


async def test_what_was_sent_behind_a_failed_commit_is_not_written(scheduler: Scheduler) -> None:
    async with scheduler:
        faults = Faults(scheduler)
        faults.fails.clear()
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        first = [asyncio.ensure_future(scheduler.submit("unknown")) for _ in range(200)]
        await faults.reached.wait()
        second = [asyncio.ensure_future(scheduler.submit("unknown")) for _ in range(200)]
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        await faults.reached.wait()
        faults.fails.set()
        answers = await asyncio.gather(*first, *second, return_exceptions=True)
        totals = await scheduler._parts.service.totals()  # noqa: SLF001  # what the ledger itself counts
    assert {type(answer) for answer in answers} == {errors.Unacknowledged}
    assert sum(totals.live.values()) == 0


async def test_a_rebuilt_core_keeps_slots_that_the_engine_still_fills(url: str) -> None:
    scheduler = Scheduler(url, lanes={"thread": 1}, grace_s=5)
    started, go = threading.Semaphore(0), threading.Event()
    inside = 0
    most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        started.release()
        go.wait(10)
        with lock:
            inside -= 1

    scheduler.add_handler("work", work)
    scheduler.add_handler("other", lambda: 1, lane="thread")
    async with scheduler:
        faults = Faults(scheduler)
        first = await scheduler.submit("work")
        await asyncio.to_thread(started.acquire, timeout=10)
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.submit("other")
        second = await scheduler.submit("other")
        assert (await second.status()).state == "ready"
        go.set()
        await first.result(timeout_s=10)
        await second.result(timeout_s=10)
    assert faults.hit == 1
    assert most == 1


async def test_a_pause_of_the_whole_and_goals_survive_a_rebuild(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        faults = Faults(scheduler)
        faults.break_next(lambda batch: any(fact[0] == "state" for fact in batch.facts), applied=False)
        await scheduler.pause("all")
        scheduler.state.set("kept", 1)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.flush()
        await scheduler.flush()
        task = await scheduler.submit("gate")
        assert (await task.why()).waits_for == "pause"
    second = Scheduler(scheduler.url)
    async with second:
        assert second.state.get("kept") == 1


async def test_a_ledger_that_stays_broken_ends_the_scheduler_and_tells_those_who_wait(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsaios.scheduler.loop._REBUILD_WAITS_S", (0.0, 0.01))
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        task = await scheduler.submit("unknown")
        waiting = asyncio.ensure_future(task.result())
        await scheduler.flush()
        faults = Faults(scheduler)
        ledger = scheduler._parts.ledger  # noqa: SLF001  # as above

        def broken(now_us: int) -> None:
            raise errors.LedgerUnavailable(ledger.name, "the disk stays away")

        monkeypatch.setattr(ledger, "reopen", broken)
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        with pytest.raises((errors.Unacknowledged, errors.LedgerUnavailable)):
            await scheduler.submit("one")
        with pytest.raises((errors.LedgerUnavailable, errors.NotRunning)):
            await waiting
        with pytest.raises(errors.NotRunning):
            await scheduler.submit("one")
