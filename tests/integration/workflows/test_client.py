"""Runs from another process: over the socket beside a file, through the intake on PostgreSQL."""

import asyncio

import pytest

from tests.integration.workflows.conftest import Site, until
from wsaios import AsyncClient, Client, Workflow
from wsaios.kernel.errors import (
    InvalidDefinition,
    InvalidInput,
    NoOwner,
    NotPossible,
    RunFailed,
    UnknownHandler,
    UnknownRun,
)

SOON = 20.0


def flow() -> Workflow:
    made = Workflow("far", input={"n": {"type": "integer", "default": 2}}, output="${steps.asked.result}")
    made.step("one", handler="echo", args={"value": "${input.n}"})
    made.step("asked", wait_for={"event": "go", "filter": "event.data == steps.one.result"}, depends_on="one")
    return made


async def test_a_client_begins_looks_at_and_acts_on_runs(site: Site) -> None:
    await site.open()
    async with AsyncClient(site.url) as client:
        run = await client.run_workflow(flow(), input={"n": 3}, tenant="acme", priority=4)
        await until(run, lambda steps: steps["asked"].state == "waiting")
        view = await client.run_status(run.id)
        assert (view.tenant, view.priority, view.input) == ("acme", 4, {"n": 3})
        assert [each.id for each in await client.runs(["running"])] == [run.id]
        with pytest.raises(NotPossible, match="filter"):
            await run.signal("go", 2)
        assert await client.signal("go", 3, run=run) == 1
        assert await run.result(SOON) == 3
        assert await run.retry(from_step="asked") == "running"
        assert await run.cancel() == "cancelled"
        with pytest.raises(RunFailed, match="cancelled"):
            await run.result(SOON)


async def test_what_a_client_sends_is_checked_by_the_scheduler(site: Site) -> None:
    await site.open()
    async with AsyncClient(site.url) as client:
        with pytest.raises(InvalidInput, match="'m' is not declared"):
            await client.run_workflow(flow(), input={"m": 3})
        unknown = Workflow("unknown")
        unknown.step("one", handler="nobody")
        with pytest.raises(UnknownHandler, match="nobody"):
            await client.run_workflow(unknown)
        with pytest.raises(InvalidDefinition):
            await client.run_workflow(Workflow("empty"))
        with pytest.raises(UnknownRun):
            await client.run_steps("run_0000000000001")
        assert await client.runs() == []


async def test_a_run_that_nobody_carries_on_waits_for_a_scheduler(site: Site) -> None:
    first = await site.open()
    await first.stop()
    async with AsyncClient(site.url) as client:
        run = await client.run_workflow(flow(), idempotency_key="once")
        again = await client.run_workflow(flow(), idempotency_key="once")
        assert (await run.status()).state == "running"
        assert again == run
        with pytest.raises(NoOwner):
            await run.cancel()
        await site.open()
        await until(run, lambda steps: steps["asked"].state == "waiting")
        await run.signal("go", 2)
        assert (await run.wait(SOON)).state == "succeeded"


async def test_a_program_without_an_event_loop_has_the_same_verbs(site: Site) -> None:
    await site.open()

    def program() -> object:
        with Client(site.url) as client:
            run = client.run_workflow(flow())
            while run.steps()[1].state != "waiting":
                pass
            assert client.signal("go", 2, run=run.id) == 1
            return run.result(SOON)

    assert await asyncio.to_thread(program) == 2
