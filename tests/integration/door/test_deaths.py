"""Clients over the death and the return of their owner."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.door.owners import Owner
from wsaios import AsyncClient
from wsaios.kernel.errors import NoOwner


async def test_what_was_acknowledged_survives_a_kill_with_nothing_in_between(owner: Owner, client: AsyncClient) -> None:
    task = await client.submit("shout", {"text": "hi"})
    owner.kill()
    owner.start()
    assert await task.result(timeout_s=30) == "HI"


async def test_a_stale_socket_is_replaced(owner: Owner, ledger: Path, client: AsyncClient) -> None:
    owner.kill()
    assert ledger.with_name("work.db.sock").is_socket()
    owner.start()
    task = await client.submit("echo", {"value": 1})
    assert await task.result(timeout_s=20) == 1


async def test_a_wait_goes_on_with_the_next_owner(owner: Owner, client: AsyncClient) -> None:
    held = await client.submit("holds", {"name": "a"})
    owner.await_line("holds a")
    waiting = asyncio.create_task(held.result(timeout_s=60))
    owner.kill()
    await asyncio.to_thread(owner.start)
    owner.await_line("holds a")
    await client.submit("frees")
    assert await waiting == "a"


async def test_following_goes_on_with_the_next_owner(owner: Owner, client: AsyncClient) -> None:
    batch = await client.submit_many("echo", [{"value": i} for i in range(300)])
    held = await client.submit("holds", {"name": "a"})
    owner.await_line("holds a")
    seen = []
    async for task in client.as_completed([*batch, held]):
        seen.append(task)
        if len(seen) == 200:
            owner.kill()
            await asyncio.to_thread(owner.start)
            owner.await_line("holds a")
            await client.submit("frees")
    assert len(seen) == len(set(seen)) == 301


async def test_submissions_under_way_while_the_owner_dies_are_accepted_once(owner: Owner, client: AsyncClient) -> None:
    first = await client.submit("echo", {"value": -1})
    sending = [asyncio.create_task(client.submit("echo", {"value": i})) for i in range(500)]
    await first.result(timeout_s=20)
    owner.kill()
    tasks = await asyncio.gather(*sending)
    assert len(set(tasks)) == 500
    owner.start()
    assert [await task.result(timeout_s=30) for task in tasks] == list(range(500))
    overview = await client.overview()
    assert overview.ended == {"succeeded": 501}


async def test_an_owner_that_does_not_come_back_is_named(owner: Owner, url: str) -> None:
    async with AsyncClient(url, retry_s=0.3) as client:
        held = await client.submit("holds", {"name": "a"})
        owner.await_line("holds a")
        waiting = asyncio.create_task(held.result())
        await client.status(held.id)
        owner.kill()
        with pytest.raises(NoOwner):
            await waiting


async def test_a_graceful_stop_answers_what_was_asked_and_loses_nothing(owner: Owner, client: AsyncClient) -> None:
    held = await client.submit("holds", {"name": "a"})
    owner.await_line("holds a")
    waiting = asyncio.create_task(held.result(timeout_s=60))
    sending = [asyncio.create_task(client.submit("echo", {"value": i})) for i in range(200)]
    stopping = asyncio.create_task(asyncio.to_thread(owner.stop))
    tasks = await asyncio.gather(*sending)
    await stopping
    owner.start()
    assert [await task.result(timeout_s=30) for task in tasks] == list(range(200))
    owner.await_line("holds a")
    await client.submit("frees")
    assert await waiting == "a"


async def test_a_dropped_connection_takes_an_open_batch_back(owner: Owner, url: str, client: AsyncClient) -> None:
    async with AsyncClient(url) as other:
        outgoing = await other.outgoing("echo", keep=False, name="half", options={})
        for _ in range(6):
            await outgoing.add([b'{"value":1}'] * 500)
        assert [view.state for view in await client.batches()] == ["staging"]
    while (await client.overview()).live or (await client.batches())[0].state == "staging":
        await client.flush()
    assert (await client.batches())[0].state == "aborted"
