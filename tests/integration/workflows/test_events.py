"""Events that are emitted reach the steps of runs that wait for them, on both databases."""

import asyncio

from tests.integration.workflows.conftest import Site, states, until
from wsaios import AsyncClient, Workflow

SOON = 20.0


def approval() -> Workflow:
    flow = Workflow("approval", input={"level": {"type": "integer"}}, output="${steps.approve.result}")
    flow.step("first", handler="echo", args={"value": "${input.level}"})
    wait_for = {"event": "approved", "filter": "event.data.level >= steps.first.result"}
    flow.step("approve", handler="echo", args={"value": "${event.data.by}"}, wait_for=wait_for, depends_on="first")
    return flow


async def test_an_event_reaches_each_step_whose_filter_takes_it_and_the_triggers(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.triggers.on_event("approved", "plain", {"values": ["${ event.data.level }"]}, name="heard")
    await scheduler.emit("approved", {"level": 9, "by": "too early"})
    low, high = [await scheduler.run_workflow(approval(), input={"level": level}) for level in (1, 5)]
    for run in (low, high):
        await until(run, lambda steps: steps["approve"].state == "waiting")
    await scheduler.emit("approved", {"level": 3, "by": "ann"})
    assert await low.result(SOON) == "ann"
    assert (await states(high))["approve"] == "waiting"
    await scheduler.emit("approved", {"level": 5, "by": "bob"})
    assert await high.result(SOON) == "bob"
    assert (await scheduler.triggers.get("heard")).fired == 3
    assert ("echo", "too early") not in site.calls


async def test_events_of_clients_reach_runs_with_and_without_a_scheduler_also_behind_a_restart(site: Site) -> None:
    first = await site.open()
    runs = [await first.run_workflow(approval(), input={"level": level}) for level in (1, 2, 3)]
    for run in runs:
        await until(run, lambda steps: steps["approve"].state == "waiting")
    async with AsyncClient(site.url) as client:
        await client.emit("approved", {"level": 1, "by": "beside"})
        assert await runs[0].result(SOON) == "beside"
        await first.stop()
        await client.emit("approved", {"level": 2, "by": "alone"})
        second = await site.open()
        await client.emit("approved", {"level": 3, "by": "after"})
        results = await asyncio.gather(*(second.run_result(run.id, timeout_s=SOON) for run in runs))
    assert results == ["beside", "alone", "after"]


async def test_an_event_that_is_sent_again_in_the_same_moment_is_one_event(site: Site) -> None:
    scheduler = await site.open()
    await scheduler.triggers.on_event("came", "echo", name="heard")
    emit = scheduler._parts.service.triggers.emit  # noqa: SLF001  # only a client whose connection broke says it again
    for again in (False, True):
        token = f"sent {again}"
        told = await asyncio.gather(*(emit("came", {}, token, again=each) for each in (again, True, True)))
        assert len(set(told)) == 1
        assert await emit("came", {}, token, again=True) == told[0]
    assert (await scheduler.triggers.get("heard")).fired == 2
