"""The engine as a whole, beyond what every engine must do."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

from tests.unit.engines.local.running import LANES, running
from wsaios.engines.local import Handlers, LocalEngine
from wsaios.engines.local.register import REMEMBERED
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Attempt, AttemptRef, Ended, Receipt, Report, Verdict, Work


async def nothing() -> None:
    """Return."""


def test_an_engine_that_was_not_started_takes_nothing() -> None:
    async def submit() -> Sequence[Receipt]:
        engine = LocalEngine(Handlers(), LANES)
        engine.cancel([AttemptRef(1, 1)])
        assert engine.capacity() == {}
        assert await engine.probe([AttemptRef(1, 1)]) == {AttemptRef(1, 1): "unknown"}
        assert await engine.drain(0)
        await engine.stop()
        return await engine.submit([Work("a", "default", [Attempt(1, 1, 1, 0, b"{}", "default")])])

    assert asyncio.run(submit()) == [Receipt.REJECTED]


async def test_a_handler_in_a_lane_of_the_other_kind_fails_and_says_which_it_needs() -> None:
    async with running() as served:
        served.handlers.add("coroutine", nothing)
        served.handlers.add("plain", lambda: None)
        for name, lane, kind in (("coroutine", "thread", "async"), ("plain", "default", "thread")):
            work = served.work(name)
            work.lane = lane
            (end,) = await served.ends(work)
            assert end.verdict == Verdict.GIVEN_UP
            assert end.failure is not None
            assert end.failure.kind == "WrongLane"
            assert f"kind {kind!r}" in end.failure.message
        assert served.engine.capacity() == {"default": 4, "thread": 2}


async def test_a_sink_that_is_a_coroutine_is_run() -> None:
    got: asyncio.Queue[Report] = asyncio.Queue()

    async def sink(reports: Sequence[Report]) -> None:
        await asyncio.sleep(0)
        for report in reports:
            got.put_nowait(report)
        raise RuntimeError("nobody minds")

    handlers = Handlers()
    handlers.add("nothing", nothing)
    engine = LocalEngine(handlers, LANES)
    await engine.start(sink)
    await engine.submit([Work("nothing", "default", [Attempt(1, 1, 1, 0, b"{}", "default")])])
    assert isinstance(await asyncio.wait_for(got.get(), 60), Ended)
    await engine.stop()


async def test_a_handler_that_is_registered_later_is_known() -> None:
    async with running() as served:
        work = Work("later", "default", [Attempt(1, 1, 1, 0, b"{}", "default")])
        assert await served.engine.submit([work]) == [Receipt.REJECTED]
        served.handlers.add("later", nothing)
        assert (await served.ends(work))[0].verdict == Verdict.SUCCEEDED


async def test_what_ended_long_ago_is_forgotten() -> None:
    async with running() as served:
        served.handlers.add("nothing", nothing)
        first = served.work("nothing")
        await served.ends(first)
        for _ in range(3):
            await served.submit(*[served.work("nothing") for _ in range(REMEMBERED)])
            assert await served.engine.drain(60)
        before = len(served.reports)
        await served.submit(first)
        assert await served.engine.drain(60)
        assert len(served.reports) == before + 1


async def test_time_limits_that_were_not_needed_leave_nothing_behind() -> None:
    async with running() as served:
        served.handlers.add("nothing", nothing)
        for _ in range(20):
            await served.submit(*[served.work("nothing", timeout_s=3_600.0) for _ in range(500)])
            assert await served.engine.drain(60)
        gc.collect()
        kept = sum(isinstance(thing, Run) for thing in gc.get_objects())
        assert kept < 2_000


async def test_stop_ends_coroutines_and_their_clean_up_runs() -> None:
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async with running() as served:
        served.handlers.add("work", work)
        await served.submit(served.work("work"))
        await begun.wait()
        await served.engine.stop()
        assert cleaned.is_set()
        assert served.reports == []


async def test_stop_returns_although_a_coroutine_goes_on() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    async with running() as served:
        served.handlers.add("work", work)
        await served.submit(served.work("work"))
        await begun.wait()
        await served.engine.stop()
        go_on.set()
        await asyncio.sleep(0)
        assert served.reports == []


async def test_a_handler_may_stop_its_own_engine() -> None:
    stopped = asyncio.Event()
    async with running() as served:

        async def stop() -> None:
            await served.engine.stop()
            stopped.set()

        served.handlers.add("stop", stop)
        await served.submit(served.work("stop"))
        await asyncio.wait_for(stopped.wait(), 60)
        assert served.reports == []
