"""Plain functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import sys
import threading
import weakref
from typing import Any

import pytest

from tests.unit.engines.local.running import Running, running
from wsaios.engines.local import thread_lane
from wsaios.kernel.engine import AtHand, Ended, Freed, Unbegun, Verdict
from wsaios.kernel.task import LaneSpec

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")
ONE = {"one": LaneSpec("one", 1, "thread")}
PATIENCE_S = 60


def threads(lane: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"wsaios-{lane}-")]


class Gate:
    """A handler that blocks its thread, one gate for each name."""

    def __init__(self, served: Running, lane: str) -> None:
        self.begun: dict[str, threading.Event] = {}
        self.open: dict[str, threading.Event] = {}
        served.handlers.add("gate", self.call, lane=lane)
        served.handlers.add("free", lambda: None, lane=lane)

    def call(self, name: str) -> str:
        self.begun[name].set()
        self.open[name].wait(PATIENCE_S)
        return name

    def work(self, served: Running, name: str, timeout_s: float | None = None) -> Any:
        self.begun[name], self.open[name] = threading.Event(), threading.Event()
        return served.work("gate", {"name": name}, timeout_s=timeout_s)

    async def wait(self, name: str) -> None:
        assert await asyncio.to_thread(self.begun[name].wait, PATIENCE_S)


async def one_left(pool: list[threading.Thread]) -> None:
    """Wait until a thread of the pool is gone, which is the last thing that happens when a stuck one comes back."""
    joins = [asyncio.create_task(asyncio.to_thread(thread.join)) for thread in pool]
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait(joins, return_when=asyncio.FIRST_COMPLETED)


async def test_threads_start_as_works_come_up_to_the_slots() -> None:
    lanes = {"pool": LaneSpec("pool", 3, "thread")}
    async with running(lanes=lanes) as served:
        gate = Gate(served, "pool")
        assert threads("pool") == []
        await served.ends(served.work("free"))
        assert len(threads("pool")) == 1
        await served.ends(served.work("free"))
        assert len(threads("pool")) == 1
        works = [gate.work(served, str(number)) for number in range(5)]
        wanted = await served.submit(*works)
        for number in range(3):
            await gate.wait(str(number))
        assert len(threads("pool")) == 3
        assert not gate.begun["3"].is_set()
        for event in gate.open.values():
            event.set()
        await served.until(lambda: all(served.of(Ended, ref) for ref in wanted))
        assert len(threads("pool")) == 3
        assert all(thread.daemon for thread in threads("pool"))


async def test_threads_leave_when_the_engine_stops() -> None:
    async with running(lanes={"leaving": LaneSpec("leaving", 2, "thread")}) as served:
        Gate(served, "leaving")
        await served.ends(*[served.work("free") for _ in range(10)])
        left = threads("leaving")
        assert left
    for thread in left:
        await asyncio.to_thread(thread.join, PATIENCE_S)
        assert not thread.is_alive()


async def test_works_begin_in_the_order_in_which_they_came() -> None:
    order: list[int] = []

    def note(number: int) -> None:
        order.append(number)

    async with running(lanes=ONE) as served:
        served.handlers.add("note", note, lane="one")
        await served.ends(*[served.work("note", {"number": number}) for number in range(200)])
    assert order == list(range(200))


async def test_every_attempt_has_a_fresh_copy_of_the_context_of_start() -> None:
    def change() -> str:
        before = VARIABLE.get()
        VARIABLE.set("changed")
        return before

    VARIABLE.set("start")
    async with running(lanes=ONE) as served:
        VARIABLE.set("submit")
        served.handlers.add("change", change, lane="one")
        assert [await served.value("change") for _ in range(3)] == ["start"] * 3


async def test_a_stuck_thread_is_replaced_and_its_slot_serves_on() -> None:
    async with running(lanes=ONE) as served:
        gate = Gate(served, "one")
        (end,) = await served.ends(gate.work(served, "stuck", timeout_s=0.02))
        assert (end.verdict, end.freed) == (Verdict.TIMED_OUT, False)
        await served.until(lambda: bool(served.of(Freed, (end.task, end.fence))))
        assert served.engine.stuck == {"one": 1}
        assert served.engine.capacity() == {"one": 1}
        assert (await served.ends(served.work("free")))[0].verdict == Verdict.SUCCEEDED
        assert len(threads("one")) == 2
        both = threads("one")
        gate.open["stuck"].set()
        await one_left(both)
        (again,) = await served.ends(served.work("free"))
        assert again.verdict == Verdict.SUCCEEDED
        assert served.engine.stuck == {"one": 0}
        assert len(served.of(Freed, (end.task, end.fence))) == 1
        assert len(served.of(Ended, (end.task, end.fence))) == 1


async def test_one_thread_leaves_when_a_stuck_one_comes_back() -> None:
    lanes = {"back": LaneSpec("back", 1, "thread")}
    async with running(lanes=lanes) as served:
        gate = Gate(served, "back")
        await served.ends(gate.work(served, "stuck", timeout_s=0.02))
        await served.ends(served.work("free"))
        both = threads("back")
        assert len(both) == 2
        gate.open["stuck"].set()
        await one_left(both)
        assert len(threads("back")) == 1
        assert (await served.ends(served.work("free")))[0].verdict == Verdict.SUCCEEDED


async def test_beyond_the_bound_a_stuck_thread_keeps_its_slot_until_it_ends() -> None:
    lanes = {"bound": LaneSpec("bound", 1, "thread")}
    async with running(lanes=lanes, max_stuck=1) as served:
        gate = Gate(served, "bound")
        (first,) = await served.ends(gate.work(served, "first", timeout_s=0.02))
        await served.until(lambda: bool(served.of(Freed, (first.task, first.fence))))
        (second,) = await served.ends(gate.work(served, "second", timeout_s=0.02))
        assert served.engine.stuck == {"bound": 2}
        assert served.engine.capacity() == {"bound": 0}
        assert served.of(Freed, (second.task, second.fence)) == []
        gate.open["second"].set()
        await served.until(lambda: bool(served.of(Freed, (second.task, second.fence))))
        assert served.engine.capacity() == {"bound": 1}
        assert served.engine.stuck == {"bound": 1}
        gate.open["first"].set()


async def test_a_lane_that_loses_slots_says_so_once_until_all_stuck_threads_came_back() -> None:
    told: list[dict[str, object]] = []

    def warn(event: str, **fields: object) -> None:
        told.append(fields)
        assert "context.cancelled" in event

    async with running(lanes={"lost": LaneSpec("lost", 2, "thread")}, max_stuck=0, warn=warn) as served:
        gate = Gate(served, "lost")
        first, second = (gate.work(served, name, timeout_s=0.02) for name in ("first", "second"))
        ends = await served.ends(first, second)
        assert told == [{"lane": "lost", "handler": "gate", "stuck": 1, "slots_left": 1}]
        gate.open["first"].set()
        await served.until(lambda: bool(served.of(Freed, (ends[0].task, ends[0].fence))))
        (third,) = await served.ends(gate.work(served, "third", timeout_s=0.02))
        assert len(told) == 1
        gate.open["second"].set()
        gate.open["third"].set()
        for end in (ends[1], third):
            await served.until(lambda end=end: bool(served.of(Freed, (end.task, end.fence))))  # type: ignore[misc]
        await served.ends(gate.work(served, "fourth", timeout_s=0.02))
        assert told[1:] == [{"lane": "lost", "handler": "gate", "stuck": 1, "slots_left": 1}]
        for event in gate.open.values():
            event.set()


async def test_the_time_of_a_work_runs_from_its_beginning() -> None:
    async with running(lanes=ONE | {"default": LaneSpec("default", 1)}) as served:
        served.handlers.add("never", asyncio.Event().wait)
        gate = Gate(served, "one")
        first = gate.work(served, "first")
        second = gate.work(served, "second", timeout_s=0.05)
        wanted = await served.submit(first, second)
        await gate.wait("first")
        (timer,) = await served.ends(served.work("never", timeout_s=0.12))
        assert timer.verdict == Verdict.TIMED_OUT
        assert not served.of(Ended, wanted[1])
        gate.open["second"].set()
        gate.open["first"].set()
        await served.until(lambda: bool(served.of(Ended, wanted[1])))
        assert served.of(Ended, wanted[1])[0].verdict == Verdict.SUCCEEDED


async def test_a_thread_that_waits_keeps_nothing_of_its_last_work_alive() -> None:
    class Thing:
        """Something that can be watched."""

    watched: list[weakref.ref[Thing]] = []

    def make() -> None:
        thing = Thing()
        watched.append(weakref.ref(thing))
        raise ValueError(thing)

    async with running(lanes=ONE) as served:
        served.handlers.add("make", make, lane="one")
        await served.end("make")
        gc.collect()
        assert watched[0]() is None


async def test_a_micro_batch_that_is_out_of_time_is_halved_no_further() -> None:
    calls: list[int] = []
    open_ = threading.Event()

    def work(rows: list[dict[str, Any]]) -> list[Any]:
        calls.append(len(rows))
        open_.wait(PATIENCE_S)
        raise ValueError("late")

    async with running(lanes=ONE) as served:
        served.handlers.add("work", work, batched=True, lane="one")
        ends = await served.ends(served.work("work", {}, {}, {}, timeout_s=0.02))
        assert {end.verdict for end in ends} == {Verdict.TIMED_OUT}
        both = threads("one")
        open_.set()
        await one_left(both)
        assert served.engine.stuck == {"one": 0}
    assert calls == [3]


async def test_a_process_that_a_function_forks_ends_where_it_comes_back_out() -> None:
    def fork(how: str) -> int:
        if child := os.fork():
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if how == "raise":
            raise ValueError(how)
        if how == "exit":
            sys.exit(4)
        return -1

    def rows(given: list[dict[str, Any]]) -> list[int]:
        return [fork("return") for _ in given]

    async with running(lanes=ONE) as served:
        served.handlers.add("fork", fork, lane="one")
        served.handlers.add("rows", rows, batched=True, lane="one")
        ends = [await served.ends(served.work("fork", {"how": how})) for how in ("return", "raise", "exit")]
        assert [end.result for (end,) in ends] == [b"0", b"1", b"4"]
        assert [end.result for end in await served.ends(served.work("rows", {}, {}))] == [b"0", b"0"]


async def test_short_calls_may_wait_beyond_the_slots_and_long_ones_may_not() -> None:
    async with running(lanes=ONE) as served:
        gate = Gate(served, "one")
        # On a machine that is busy a call may take longer than what may wait.
        while not any(isinstance(report, AtHand) and report.rows for report in served.reports):
            await served.ends(served.work("free"))
        assert {report.handler for report in served.reports if isinstance(report, AtHand)} == {"free"}
        work = gate.work(served, "long")
        threading.Timer(0.05, gate.open["long"].set).start()
        await served.ends(work)
        assert not [report for report in served.reports if isinstance(report, AtHand) and report.handler == "gate"]


async def test_what_waits_beyond_the_slots_is_given_back_when_no_call_ends() -> None:
    async with running(lanes=ONE) as served:
        gate = Gate(served, "one")
        while not any(isinstance(report, AtHand) and report.rows for report in served.reports):
            await served.ends(served.work("free"))
        (held, *behind) = await served.submit(gate.work(served, "held"), *(served.work("free") for _ in range(10)))
        await served.until(lambda: all(served.of(Unbegun, ref) for ref in behind))
        assert served.of(Unbegun, held) == []
        told = [report for report in served.reports if isinstance(report, AtHand)]
        assert told[-1] == AtHand("one", "free", 0)
        assert served.reports.index(told[-1]) < served.reports.index(served.of(Unbegun, behind[0])[0])
        gate.open["held"].set()
        await served.until(lambda: bool(served.of(Ended, held)))
        assert served.engine.capacity() == {"one": 1}
        assert (await served.end("free")).verdict == Verdict.SUCCEEDED


async def test_threads_that_had_nothing_to_do_leave_down_to_one_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_lane, "_IDLE_S", 0.2)
    lanes = {"idle": LaneSpec("idle", 4, "thread")}

    async def busy(count: int) -> None:
        works = [gate.work(served, f"{count}.{number}") for number in range(count)]
        wanted = await served.submit(*works)
        for name in gate.begun:
            await gate.wait(name)
        for event in gate.open.values():
            event.set()
        await served.until(lambda: all(served.of(Ended, ref) for ref in wanted))
        gate.begun.clear()
        gate.open.clear()

    async def left(count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(threads("idle")) != count:  # noqa: ASYNC110  # a thread that leaves tells nobody
                await asyncio.sleep(0.01)

    async with running(lanes=lanes) as served:
        gate = Gate(served, "idle")
        await busy(4)
        assert len(threads("idle")) == 4
        held = gate.work(served, "held")
        (ref,) = await served.submit(held)
        await left(1)
        gate.open["held"].set()
        await served.until(lambda: bool(served.of(Ended, ref)))
        gate.begun.clear()
        await busy(3)
        assert len(threads("idle")) == 3
        await left(1)
        assert (await served.end("free")).verdict == Verdict.SUCCEEDED
