"""A ledger that fails under a live scheduler: callers are told, nothing is lost, the core is built anew."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Context, Scheduler, errors
from wsaios.kernel.ledger import Commit, Committed
from wsaios.kernel.task import Delivery


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
@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
async def test_an_outcome_whose_commit_failed_is_written_with_the_next_one(
    scheduler: Scheduler, applied: bool, delivery: Delivery
) -> None:
    ran: list[int] = []

    def count() -> int:
        ran.append(1)
        return len(ran)

    scheduler.add_handler("count", count)
    async with scheduler:
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.ended), applied=applied)
        task = await scheduler.submit("count", delivery=delivery)
        result = await task.result(timeout_s=10)
        status = await task.status()
    assert faults.hit == 1
    assert (result, status.state, status.attempt, len(ran)) == (1, "succeeded", 1, 1)


async def test_what_runs_goes_on_when_the_core_is_rebuilt(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        faults = Faults(scheduler)
        tasks = [await scheduler.submit("gate", {"name": 1}, delivery="at_most_once")]
        tasks.append(await scheduler.submit("gate", {"name": 2}))
        await gate.seen(2)
        for applied in (False, True):
            faults.break_next(lambda batch: bool(batch.accepted), applied=applied)
            with pytest.raises(errors.Unacknowledged):
                await scheduler.submit("gate", {"name": 3})
        gate.open()
        for task in tasks:
            await task.result(timeout_s=10)
            assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]
    assert faults.hit == 2
    assert [gate.came.count(name) for name in (1, 2)] == [1, 1]


async def test_what_runs_is_not_started_again_when_a_renewal_of_the_lease_fails(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        task = await scheduler.submit("gate", {"name": 1}, delivery="at_most_once")
        await gate.seen(1)
        parts = scheduler._parts  # noqa: SLF001  # the fault is put where only the driver calls
        renew, renewals = parts.ledger.renew, iter([errors.LedgerUnavailable(parts.ledger.name, "the line was cut")])

        def broken() -> None:
            for error in renewals:
                raise error
            renew()

        parts.ledger.renew = broken  # type: ignore[method-assign]  # a fault between driver and ledger
        assert not await parts.loop._still_owns()  # noqa: SLF001  # what is done every third of a lease
        await scheduler.flush()
        gate.open()
        assert await task.result(timeout_s=10) == 1
        assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]
    assert gate.came == [1]


@pytest.mark.parametrize("applied", [False, True])
async def test_a_cancel_whose_commit_failed_ends_what_runs_if_it_was_written_after_all(
    scheduler: Scheduler, applied: bool
) -> None:
    ended: list[str] = []
    began, go = asyncio.Event(), asyncio.Event()

    @scheduler.handler("waits")
    async def waits() -> None:
        began.set()
        try:
            await go.wait()
            ended.append("by itself")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with scheduler:
        faults = Faults(scheduler)
        task = await scheduler.submit("waits")
        await began.wait()
        faults.break_next(lambda batch: bool(batch.ended), applied=applied)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.cancel(task.id)
        await scheduler.flush()
        if applied:
            async with asyncio.timeout(10):
                while not ended:  # noqa: ASYNC110  # a cancelled call tells nobody
                    await asyncio.sleep(0.005)
        go.set()
        await asyncio.wait([asyncio.ensure_future(task.result(timeout_s=10))])
        status = await task.status()
    assert (status.state, ended) == (("cancelled", ["cancelled"]) if applied else ("succeeded", ["by itself"]))


async def test_a_call_that_waits_to_go_on_keeps_its_place_when_the_core_is_rebuilt(url: str) -> None:
    scheduler, gate = Scheduler(url, lanes={"default": 1}, grace_s=5), Gate()
    scheduler.add_handler("gate", gate)
    pieces: list[int] = []
    over, began = asyncio.Event(), asyncio.Event()

    @scheduler.handler("long", preemptible=True)
    async def long(context: Context) -> int:
        began.set()
        while not over.is_set():
            await asyncio.sleep(0.001)
            await context.checkpoint()
            pieces.append(1)
        return len(pieces)

    async with scheduler:
        faults = Faults(scheduler)
        bulk = await scheduler.submit("long", priority=-60)
        await began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        faults.break_next(lambda batch: bool(batch.accepted), applied=False)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.submit("gate", {"name": 2})
        await scheduler.flush()
        before = len(pieces)
        later = await scheduler.submit("gate", {"name": 3}, priority=60)
        gate.open()
        await asyncio.gather(urgent.result(timeout_s=10), later.result(timeout_s=10))
        async with asyncio.timeout(10):
            while len(pieces) <= before + 1:  # noqa: ASYNC110  # a call in a lane tells nobody how far it is
                await asyncio.sleep(0.005)
        over.set()
        assert await bulk.result(timeout_s=10) == len(pieces)
        assert [line.to_state for line in await bulk.history()] == ["ready", "running", "succeeded"]
        core = scheduler._parts.loop.core  # noqa: SLF001  # nothing leaks
        assert core is not None
        assert not core.executor.slots.taken()


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
