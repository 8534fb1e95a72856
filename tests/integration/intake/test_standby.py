"""A second scheduler on the same ledger: its verbs work, and it takes over when the first one is gone."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from tests.acceptance.postgres.owners import ask
from tests.integration.door.owners import Owner
from tests.servers.postgres import PostgresServer
from wsaios import Scheduler, Settings
from wsaios.kernel.errors import Fenced, LedgerOwned, LedgerUnavailable, NotPossible
from wsaios.sdk.health import contradictions
from wsaios.sdk.holder import live_owner


def second(url: str, **options: object) -> Scheduler:
    scheduler = Scheduler(url, settings=Settings(lease_s=1.0, grace_s=1, **options))  # type: ignore[arg-type]

    @scheduler.handler("echo")
    async def echo(value: object = None) -> object:
        return ["second", value]

    @scheduler.handler("holds")
    async def holds(name: str) -> str:
        return f"second {name}"

    return scheduler


async def taken(scheduler: Scheduler, within_s: float = 20.0) -> float:
    """How long it took until this one owns the ledger, in seconds."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(within_s):
        while scheduler.on_standby:  # noqa: ASYNC110  # seen from outside
            await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - began


async def test_verbs_of_a_standby_go_to_the_owner(owner: Owner, url: str) -> None:
    async with second(url) as scheduler:
        assert scheduler.on_standby
        task = await scheduler.submit("echo", {"value": 1})
        assert await task.result(timeout_s=20) == 1
        assert (await scheduler.status(task.id)).state == "succeeded"
        assert [line.to_state for line in await scheduler.history(task.id)] == ["ready", "running", "succeeded"]
        batch = await scheduler.submit_many("echo", ({"value": i} for i in range(600)))
        seen = [each async for each in scheduler.as_completed(batch)]
        assert len(seen) == len(set(seen)) == 600
        assert (await scheduler.wait(batch.id, timeout_s=20)).ended == {"succeeded": 600}
        held = await scheduler.submit("holds", {"name": "a"})
        owner.await_line("holds a")
        assert (await scheduler.why(held.id)).detail == "attempt 1 runs"
        assert await scheduler.cancel(held.id) == "cancelled"
        await scheduler.flush()
        with pytest.raises(NotPossible, match="standby"):
            await scheduler.executor.submit([{"target": "echo"}])
        assert scheduler.on_standby


async def test_it_takes_over_at_once_when_the_owner_stops_or_dies(owner: Owner, url: str) -> None:
    async with second(url) as scheduler:
        waiting = await scheduler.submit("echo", {"value": 7}, delay_s=1.0)
        held = await scheduler.submit("holds", {"name": "a"})
        owner.await_line("holds a")
        results = [asyncio.create_task(each.result()) for each in (waiting, held)]
        scheduler.state.set("seen", 1)
        owner.kill()
        await taken(scheduler)
        assert [await each for each in results] == [["second", 7], "second a"]
        assert await (await scheduler.submit("echo", {"value": 8})).result() == ["second", 8]
        assert scheduler.state.get("seen") == 1
        assert await scheduler.executor.submit([{"target": "echo"}])
    assert contradictions(url) == []


async def test_of_several_one_takes_over_and_the_others_go_on_waiting(owner: Owner, url: str) -> None:
    waiting = [second(url) for _ in range(3)]
    for each in waiting:
        await each.start()
    owner.stop()
    async with asyncio.timeout(20):
        while sum(each.on_standby for each in waiting) > 2:  # noqa: ASYNC110  # seen from outside
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    assert sum(each.on_standby for each in waiting) == 2
    task = await next(each for each in waiting if each.on_standby).submit("echo", {"value": 1})
    assert await task.result(timeout_s=20) == ["second", 1]
    for each in waiting:
        await each.stop()


async def test_an_owner_that_stands_still_is_followed_and_commits_nothing_more(
    postgres: PostgresServer, owner: Owner, url: str
) -> None:
    async with second(url) as scheduler:
        held = await scheduler.submit("holds", {"name": "a"})
        owner.await_line("holds a")
        owner.process.send_signal(signal.SIGSTOP)
        assert await taken(scheduler) < 10
        assert await held.result(timeout_s=20) == "second a"
        owner.process.send_signal(signal.SIGCONT)
        task = await scheduler.submit("echo", {"value": 1})
        assert await task.result(timeout_s=20) == ["second", 1]
        assert await ask(postgres, url, "SELECT epoch, pid FROM owner") == [(2, os.getpid())]


async def test_one_that_only_stood_by_leaves_everything_as_it_was(
    postgres: PostgresServer, owner: Owner, url: str
) -> None:
    scheduler = second(url)
    await scheduler.start()
    await scheduler.stop()
    assert await ask(postgres, url, "SELECT epoch, pid FROM owner") == [(1, owner.process.pid)]


async def test_one_that_serves_only_itself_does_not_stand_by(owner: Owner, url: str) -> None:
    with pytest.raises(LedgerOwned, match=f"pid {owner.process.pid}"):
        await second(url, serves=False).start()


async def test_a_scheduler_that_lost_its_ledger_ends_its_run_with_the_reason(
    postgres: PostgresServer, url: str
) -> None:
    scheduler = second(url)
    running = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(_owned, url):  # noqa: ASYNC110  # seen from outside
            await asyncio.sleep(0.02)
    await ask(postgres, url, "UPDATE owner SET epoch = epoch + 1, session = 'another'")
    with pytest.raises(Fenced):
        await asyncio.wait_for(running, 20)


def _owned(url: str) -> bool:
    with suppress(LedgerUnavailable):
        return live_owner(url) is not None
    return False
