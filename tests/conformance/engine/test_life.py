"""Probing, draining, stopping, starting again."""

from __future__ import annotations

import asyncio

from tests.conformance.engine.rig import Rig, refs
from wsaios.kernel.engine import AttemptRef, Receipt, Verdict


async def test_a_probe_tells_what_runs(exact: Rig, lane: str) -> None:
    held = await exact.submit(exact.work("hold", lane, "held"))
    await exact.began("held")
    done = await exact.submit(exact.work("echo", lane, 1))
    await exact.ends(done)
    unknown = AttemptRef(0, 7)
    found = await exact.engine.probe([*held, *done, unknown])
    assert found == {held[0]: "running", done[0]: "unknown", unknown: "unknown"}
    exact.release()


async def test_what_a_probe_calls_unknown_has_been_reported_if_it_ran(exact: Rig, lane: str) -> None:
    waiting = set(await exact.submit(*[exact.work("echo", lane, number) for number in range(50)]))
    while waiting:
        found = await exact.engine.probe(list(waiting))
        gone = {ref for ref, state in found.items() if state == "unknown"}
        assert all(exact.final(ref) is not None for ref in gone)
        waiting -= gone
        await asyncio.sleep(0)


async def test_draining_waits_for_what_runs(exact: Rig, lane: str) -> None:
    wanted = await exact.submit(exact.work("hold", lane, "held"))
    assert not await exact.engine.drain(0.01)
    exact.release()
    assert await exact.engine.drain(60)
    assert exact.final(wanted[0]) is not None


async def test_draining_an_idle_engine_returns_at_once(exact: Rig) -> None:
    assert await exact.engine.drain(0)


async def test_everything_is_reported_when_draining_returns(rig: Rig, lane: str) -> None:
    wanted = await rig.submit(*[rig.work("echo", lane, number) for number in range(500)])
    rig.calm()
    assert await rig.engine.drain(60)
    assert all(rig.final(ref) is not None for ref in wanted[::25])


async def test_nothing_is_reported_after_stop(rig: Rig, lane: str) -> None:
    works = [rig.work("hold", lane, number) for number in range(4)]
    await rig.submit(*works, rig.work("stubborn", lane, "stubborn"))
    await rig.engine.stop()
    before = list(rig.reports)
    rig.release()
    rig.engine.cancel(refs(works[0]))
    assert await rig.engine.submit([rig.work("echo", lane, 1)]) == [Receipt.REJECTED]
    await rig.engine.stop()
    assert rig.reports == before
    await rig.engine.start(rig.sink)
    rig.reports.clear()


async def test_an_engine_can_be_started_again(exact: Rig, lane: str) -> None:
    await exact.ends(await exact.submit(exact.work("echo", lane, 1)))
    await exact.engine.stop()
    await exact.engine.start(exact.sink)
    (end,) = await exact.ends(await exact.submit(exact.work("echo", lane, 2)))
    assert (end.verdict, end.result) == (Verdict.SUCCEEDED, b"2")


async def test_slots_are_free_again_when_all_is_over(exact: Rig, lane: str) -> None:
    full = dict(exact.engine.capacity())
    wanted = await exact.submit(*[exact.work("hold", lane, number) for number in range(full[lane])])
    assert exact.engine.capacity()[lane] == 0
    exact.release()
    await exact.ends(wanted)
    assert dict(exact.engine.capacity()) == full
