"""Ledgers that fail at the worst moments under a live scheduler: what a core that is built anew must not forget."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.embedded.conftest import Gate
from tests.integration.embedded.test_faults import Faults
from wsaios import Context, Limit, Rate, Scheduler, errors
from wsaios.kernel.ledger import Commit, Committed
from wsaios.kernel.states import State


class Away:
    """A ledger that is away: nothing can be committed, opened again or read until it is back."""

    def __init__(self, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ledger = scheduler._parts.ledger  # noqa: SLF001  # the fault is put where only the driver calls
        self._is = False
        self.seen = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        prepare = self._ledger.prepare
        monkeypatch.setattr(self._ledger, "prepare", lambda batch: self._or(prepare(batch)))
        monkeypatch.setattr(self._ledger, "reopen", self._or(self._ledger.reopen))
        reads = scheduler._parts.service._reads  # noqa: SLF001  # the same
        monkeypatch.setattr(reads, "ends", self._or(reads.ends))

    def goes(self) -> None:
        self._is = True

    def comes(self) -> None:
        self._is = False

    def _or(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def tried(*arguments: Any) -> Any:
            if self._is:
                self._loop.call_soon_threadsafe(self.seen.set)
                raise errors.LedgerUnavailable(self._ledger.name, "it is away")
            return call(*arguments)

        return tried


def failing(scheduler: Scheduler, plan: list[bool]) -> None:
    """The next commits fail, one after the other: True, after they were written; False, before."""
    ledger = scheduler._parts.ledger  # noqa: SLF001  # as above
    prepare = ledger.prepare

    def broken(batch: Commit) -> Callable[[], Committed]:
        write = prepare(batch)
        if not plan:
            return write
        written = plan.pop(0)

        def fails() -> Committed:
            if written:
                write()
            raise errors.LedgerUnavailable(ledger.name, "gone for a moment")

        return fails

    ledger.prepare = broken  # type: ignore[method-assign]  # a fault between driver and ledger


async def test_what_never_ran_is_not_lost_when_two_commits_in_a_row_fail(scheduler: Scheduler) -> None:
    ran: list[int] = []

    @scheduler.handler("work", delivery="at_most_once")
    async def work(n: int) -> int:
        ran.append(n)
        return n

    async with scheduler:
        await (await scheduler.submit("work", {"n": 0})).result(timeout_s=10)
        failing(scheduler, [True, False])
        answers = await asyncio.gather(*(scheduler.submit("work", {"n": n}) for n in (1, 2, 3)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {errors.Unacknowledged}
        async with asyncio.timeout(10):
            while sum((await scheduler._parts.service.totals()).ended.values()) < 4:  # noqa: ASYNC110, SLF001  # nobody has their ids
                await asyncio.sleep(0.01)
        totals = await scheduler._parts.service.totals()  # noqa: SLF001  # what the ledger itself counts
    assert totals.ended == {State.SUCCEEDED: 4}
    assert sorted(ran) == [0, 1, 2, 3]


async def test_a_micro_batch_that_timed_out_is_halved_although_that_commit_failed(url: str) -> None:
    scheduler = Scheduler(url, lanes={"default": 1})
    calls: list[list[int]] = []

    @scheduler.handler("rows", batch_size=4, max_wait_s=0.05, timeout_s=0.3, max_attempts=1)
    async def rows(given: list[dict[str, int]]) -> list[int]:
        calls.append([row["n"] for row in given])
        if calls[-1][0] == 0 and len(given) > 1:
            await asyncio.sleep(5)
        return [1] * len(given)

    async with scheduler:
        tasks = await asyncio.gather(*(scheduler.submit("rows", {"n": number}) for number in range(4)))
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.ended or batch.updated), applied=False)
        assert [await task.result(timeout_s=20) for task in tasks] == [1] * 4
    assert faults.hit == 1
    assert calls[0] == [0, 1, 2, 3]
    assert all(len(call) <= 2 for call in calls[1:])


async def test_a_watcher_is_told_of_a_change_whose_first_commit_failed(scheduler: Scheduler) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    async with scheduler:
        scheduler.state.watch("x*", lambda _key, _old, new: loop.call_soon_threadsafe(told.put_nowait, new))
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.facts), applied=False)
        scheduler.state.set("x", 2)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.flush()
        await scheduler.flush()
        async with asyncio.timeout(10):
            assert await told.get() == 2


async def test_who_waits_waits_through_an_outage(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)

    @scheduler.handler("parent")
    async def parent() -> Any:
        child = await scheduler.submit("gate", {"name": 1})
        await gate.seen(1)
        away.goes()
        scheduler.state.set("x", 1)
        await gone()
        return await child.result(timeout_s=20)

    async def gone() -> None:
        await away.seen.wait()
        while scheduler._parts.loop.core is not None:  # noqa: ASYNC110, SLF001  # nobody is told of that
            await asyncio.sleep(0.001)

    async with scheduler:
        away = Away(scheduler, monkeypatch)
        task = await scheduler.submit("parent", max_attempts=1)
        await gone()
        waiting = asyncio.ensure_future(task.result(timeout_s=20))
        ordering = asyncio.ensure_future(scheduler.order_by("fcfs"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        away.comes()
        gate.open()
        assert await waiting == 1
        assert (await ordering).policy.key is not None
        assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]


async def test_a_stop_does_not_wait_for_a_ledger_that_is_away(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a server: it is tried for as long as it is away.
    monkeypatch.setattr("wsaios.scheduler.loop._REBUILD_WAITS_S", (0.0, *[0.1] * 600))
    scheduler, gate = Scheduler(url, grace_s=0.3), Gate()
    scheduler.add_handler("gate", gate)
    await scheduler.start()
    task = await scheduler.submit("gate", {"name": 1})
    await gate.seen(1)
    away = Away(scheduler, monkeypatch)
    away.goes()
    scheduler.state.set("x", 1)
    await away.seen.wait()
    async with asyncio.timeout(10):
        await scheduler.stop()
    gate.open()
    async with Scheduler(url) as second:
        second.add_handler("gate", gate)
        assert await second.result(task.id, timeout_s=10) == 1


async def test_a_ledger_that_takes_no_commit_for_a_second_is_given_that_time(scheduler: Scheduler) -> None:
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        ledger = scheduler._parts.ledger  # noqa: SLF001  # as above
        prepare, until_s, failed = ledger.prepare, time.monotonic() + 1.0, []

        def full(batch: Commit) -> Callable[[], Committed]:
            write = prepare(batch)

            def tried() -> Committed:
                if time.monotonic() < until_s:
                    failed.append(1)
                    raise errors.LedgerUnavailable(ledger.name, "the disk is full")
                return write()

            return tried

        ledger.prepare = full  # type: ignore[method-assign]  # a fault between driver and ledger
        with pytest.raises(errors.Unacknowledged):
            await scheduler.submit("one")
        while True:
            try:
                task = await scheduler.submit("one")
                break
            except errors.Unacknowledged:
                assert len(failed) < 8
        assert await task.result(timeout_s=10) == 1


@pytest.mark.parametrize("plan", [[False], [True], [True, False], [True, True]])
async def test_a_start_that_never_left_gives_back_what_it_took_of_a_rate(url: str, plan: list[bool]) -> None:
    scheduler = Scheduler(url, limits=[Limit("handler:one", rates={"requests": Rate(1, 3600)})])
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        failing(scheduler, plan)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.submit("one", idempotency_key="k")
        while True:
            try:
                task = await scheduler.submit("one", idempotency_key="k")
                break
            except errors.Unacknowledged:
                assert not plan
        assert await task.result(timeout_s=10) == 1
        assert [view.used for view in await scheduler.limit()] == [{"requests": 1.0}]
        second = await scheduler.submit("one")
        assert (await second.why()).waits_for == "limit"
    assert not plan


async def test_a_start_that_was_kept_back_gives_back_what_it_took_of_a_rate(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = Scheduler(url)
    scheduler.add_handler("one", lambda: 1, rates={"requests": Rate(1, 3600)})
    async with scheduler:
        ledger = scheduler._parts.ledger  # noqa: SLF001  # as above
        renew, cuts = ledger.renew, iter([errors.LedgerUnavailable(ledger.name, "the line was cut")])

        def cut() -> None:
            for error in cuts:
                raise error
            renew()

        monkeypatch.setattr(ledger, "holds", lambda: False)
        monkeypatch.setattr(ledger, "renew", cut)
        task = await scheduler.submit("one")
        assert await task.result(timeout_s=10) == 1
        told = [(line.to_state, line.reason) for line in await task.history()]
        assert ("ready", "the core was rebuilt before it ran") in told


@pytest.mark.parametrize("applied", [False, True])
async def test_what_a_call_used_beyond_its_cost_counts_once_although_that_commit_failed(
    url: str, applied: bool
) -> None:
    limits = [Limit("handler:asks", rates={"tokens": Rate(100, 3600)})]
    scheduler = Scheduler(url, limits=limits)

    @scheduler.handler("asks", costs={"tokens": 10})
    async def asks(context: Context) -> None:
        context.used(tokens=90)

    async with scheduler:
        faults = Faults(scheduler)
        faults.break_next(lambda batch: bool(batch.ended), applied=applied)
        await (await scheduler.submit("asks")).result(timeout_s=10)
        await scheduler.flush()
        assert [view.used for view in await scheduler.limit()] == [{"tokens": 90.0}]
    assert faults.hit == 1
    async with Scheduler(url) as second:
        assert [view.used for view in await second.limit()] == [{"tokens": 90.0}]


async def test_a_change_of_a_limit_that_failed_forgets_nothing_of_what_was_taken(url: str) -> None:
    scheduler = Scheduler(url, limits=[Limit("handler:one", rates={"requests": Rate(1, 20)})])
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        await (await scheduler.submit("one")).result(timeout_s=10)
        (known,) = await scheduler.limit()
        faults = Faults(scheduler)
        faults.break_next(lambda batch: any(fact[0] == "limit" for fact in batch.facts), applied=False)
        # By then what was taken has left a time that is so short.
        await asyncio.sleep(0.7)
        with pytest.raises(errors.Unacknowledged):
            await scheduler.limit(Limit("handler:one", rates={"requests": Rate(5, 0.001)}))
        assert await scheduler.limit() == [known]
    assert faults.hit == 1
