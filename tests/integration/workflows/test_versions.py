"""Workflows by name: what was published, who gets which version, and what a run that began keeps."""

import pytest

from tests.integration.workflows.conftest import Site, until
from wsaios import AsyncClient, Workflow
from wsaios.kernel.errors import InvalidInput, UnknownWorkflow
from wsaios.kernel.ledger import DefinitionOf

SOON = 20.0


def flow(says: str) -> Workflow:
    made = Workflow("named", output="${steps.say.result}")
    made.step("ask", wait_for={"event": "go"})
    made.step("say", handler="echo", args={"value": says}, depends_on="ask")
    return made


async def test_new_runs_get_the_latest_and_those_that_began_keep_theirs(site: Site) -> None:
    scheduler = await site.open()
    assert await scheduler.publish(flow("one"), note="the first", who="ann") == 1
    old = await scheduler.run_workflow("named")
    assert await scheduler.publish(flow("two")) == 2
    assert await scheduler.publish(flow("two")) == 2
    new = await scheduler.run_workflow("named")
    assert await scheduler.signal("go") == 2
    assert (await old.result(SOON), await new.result(SOON)) == ("one", "two")
    found = await scheduler.published("named")
    assert [(each.number, each.note, each.who) for each in found.versions] == [(1, "the first", "ann"), (2, "", "")]
    assert found.route == {2: 100}


async def test_a_route_shares_new_runs_and_goes_back(site: Site) -> None:
    scheduler = await site.open()
    for says in ("one", "two"):
        await scheduler.publish(flow(says))
    await scheduler.route("named", {1: 50, 2: 50})
    runs = [await scheduler.run_workflow("named") for _ in range(24)]
    assert {(await run.status()).version for run in runs} == {flow("one").check().version, flow("two").check().version}
    assert (await scheduler.route("named", {1: 100, 2: 0})).route == {1: 100}
    assert (await (await scheduler.run_workflow("named")).status()).version == flow("one").check().version
    with pytest.raises(UnknownWorkflow, match="no version 3; there are v1, v2"):
        await scheduler.route("named", {3: 100})
    with pytest.raises(InvalidInput, match="not 90"):
        await scheduler.route("named", {1: 90})
    with pytest.raises(InvalidInput, match="names no version"):
        await scheduler.route("named", {})
    with pytest.raises(UnknownWorkflow):
        await scheduler.route("nobody", {1: 100})
    assert (await scheduler.published("named")).route == {1: 100}


async def test_what_was_published_outlives_its_owner_and_its_runs(site: Site) -> None:
    first = await site.open()
    await first.publish(flow("one"))
    await first.stop()
    async with AsyncClient(site.url) as client:
        assert await client.publish(flow("two"), note="from afar") == 2
        second = await site.open()
        version = flow("two").check().version
        assert (await client.published("named")).route == {2: 100}
        run = await client.run_workflow("named")
        assert (await client.route("named", {1: 100})).route == {1: 100}
        with pytest.raises(UnknownWorkflow):
            await client.run_workflow("nobody")
        await until(run, lambda steps: steps["ask"].state == "waiting")
        await run.signal("go")
        assert await run.result(SOON) == "two"
        parts = second._parts  # noqa: SLF001  # pruning comes by itself only every ten minutes
        await parts.loop.upkeep(parts.ledger.prune, parts.clock.now_us() + 1, 1_000, None)
        assert await client.runs() == []
        reads = parts.ledger.reads()
        assert reads.asked(DefinitionOf(version)).definitions[0].name == "named"
