"""Functions that were handed to threads ahead of their slots: they are taken back when that turns out wrong."""

import asyncio
import time

import pytest

from wsaios import Batch, Limit, Rate, Scheduler

SLOW_S = 0.05
ROWS = 120
SOON_S = 20.0


class Mixed:
    """Rows that are short at first, and slow from then on; when each began."""

    def __init__(self) -> None:
        self.began: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.began.append(time.monotonic())
        time.sleep(seconds)

    def since(self, moment: float) -> int:
        return sum(began > moment for began in self.began)


async def handed_out(scheduler: Scheduler, mixed: Mixed) -> Batch:
    """Rows that were taken for short ones, nearly all of them at hand, and the first slow one at work."""
    scheduler.add_handler("mixed", mixed)
    short = await scheduler.submit_many("mixed", ({"seconds": 0.0} for _ in range(400)))
    await short.wait(timeout_s=SOON_S)
    batch = await scheduler.submit_many("mixed", ({"seconds": SLOW_S} for _ in range(ROWS)))
    async with asyncio.timeout(SOON_S):
        while len(mixed.began) <= 400:  # noqa: ASYNC110  # a thread tells nobody
            await asyncio.sleep(0.001)
    return batch


def scheduler_of(url: str, **options: object) -> Scheduler:
    return Scheduler(url, lanes={"thread": 1}, **options)  # type: ignore[arg-type]


async def test_a_better_task_waits_for_one_of_those_that_take_longer_than_they_did(url: str) -> None:
    mixed, urgent = Mixed(), Mixed()
    async with scheduler_of(url) as scheduler:
        scheduler.add_handler("urgent", urgent)
        batch = await handed_out(scheduler, mixed)
        began = time.monotonic()
        await (await scheduler.submit("urgent", {"seconds": 0.0}, priority=100)).result(timeout_s=SOON_S)
        assert mixed.since(began) < ROWS // 4
        await scheduler.cancel(batch.id)


async def test_another_short_handler_in_the_lane_keeps_nothing_that_takes_longer(url: str) -> None:
    mixed, other, urgent = Mixed(), Mixed(), Mixed()
    async with scheduler_of(url) as scheduler:
        scheduler.add_handler("other", other)
        scheduler.add_handler("urgent", urgent)
        short = await scheduler.submit_many("other", ({"seconds": 0.0} for _ in range(400)))
        await short.wait(timeout_s=SOON_S)
        batch = await handed_out(scheduler, mixed)
        began = time.monotonic()
        await (await scheduler.submit("urgent", {"seconds": 0.0}, priority=100)).result(timeout_s=SOON_S)
        assert mixed.since(began) < ROWS // 4
        await scheduler.cancel(batch.id)


@pytest.mark.parametrize("what", ["all", "lane:thread", "batch"])
async def test_a_pause_holds_what_has_not_begun(url: str, what: str) -> None:
    mixed = Mixed()
    async with scheduler_of(url) as scheduler:
        batch = await handed_out(scheduler, mixed)
        paused = batch.id if what == "batch" else what
        await scheduler.pause(paused)
        moment = time.monotonic()
        await asyncio.sleep(SLOW_S * 8)
        assert mixed.since(moment) <= 2
        await scheduler.cancel(batch.id)
        await scheduler.resume(paused)


async def test_a_stop_begins_nothing_more_and_what_had_not_begun_runs_later(url: str) -> None:
    mixed = Mixed()
    first = scheduler_of(url)
    await first.start()
    batch = await handed_out(first, mixed)
    moment = time.monotonic()
    await first.stop()
    assert mixed.since(moment) <= 3
    begun = len(mixed.began) - 400

    async with scheduler_of(url) as second:
        second.add_handler("mixed", mixed)
        view = await second.wait(batch.id, timeout_s=SOON_S)
        assert view.ended == {"succeeded": ROWS}
    assert len(mixed.began) - 400 <= ROWS + 1
    assert begun < ROWS


async def test_what_a_limit_bounds_is_not_handed_out_early(url: str) -> None:
    mixed = Mixed()
    async with scheduler_of(url, limits=[Limit("handler:asks", rates={"requests": Rate(20, 0.5)})]) as scheduler:
        asks = Mixed()
        scheduler.add_handler("asks", asks)
        await (await scheduler.submit_many("asks", ({"seconds": 0.0} for _ in range(10)))).wait(timeout_s=SOON_S)
        batch = await handed_out(scheduler, mixed)
        asked = await scheduler.submit_many("asks", ({"seconds": 0.0} for _ in range(50)), priority=10)
        await asked.wait(timeout_s=SOON_S)
        for place, began in enumerate(asks.began):
            assert sum(began <= other < began + 0.45 for other in asks.began[place:]) <= 20
        await scheduler.cancel(batch.id)


async def test_what_has_not_begun_is_never_overdue(url: str) -> None:
    mixed = Mixed()
    async with scheduler_of(url) as scheduler:
        scheduler.add_handler("short", mixed, timeout_s=0.001)
        await (await scheduler.submit_many("short", ({"seconds": 0.0} for _ in range(300)))).wait(timeout_s=SOON_S)
        hangs = await scheduler.submit("short", {"seconds": 0.3}, timeout_s=10.0)
        behind = [await scheduler.submit("short", {"seconds": 0.0}, max_attempts=3) for _ in range(30)]
        await hangs.result(timeout_s=SOON_S)
        for task in behind:
            await task.result(timeout_s=SOON_S)
        assert {(await task.status()).state for task in (hangs, *behind)} == {"succeeded"}
