"""A client while no owner lives, and one that comes."""

import asyncio
from pathlib import Path

import apsw
import pytest

from tests.integration.door.owners import Owner
from wsaios import AsyncClient, Client, Limit, Rate, Scheduler, Settings
from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, NoOwner, TaskFailed, UnknownTask
from wsaios.kernel.policy import Fcfs, Priority


def deaths(ledger: Path) -> list[int]:
    connection = apsw.Connection(str(ledger), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [int(row[0]) for row in connection.execute("SELECT json_extract(body, '$[4]') FROM live ORDER BY id")]
    finally:
        connection.close()


async def test_what_is_submitted_without_an_owner_runs_when_one_comes(absent: Owner, client: AsyncClient) -> None:
    task = await client.submit("shout", {"text": "hi"}, priority=3)
    status = await client.status(task.id)
    assert (status.state, status.priority) == ("ready", 3)
    assert (await client.why(task.id)).detail == "no scheduler owns this ledger now"
    assert [line.to_state for line in await client.history(task.id)] == ["ready"]
    absent.start()
    assert await task.result(timeout_s=20) == "HI"


async def test_the_place_of_a_task_is_measured_as_the_ledger_says_whoever_takes_it_in(
    ledger: Path, url: str, client: AsyncClient
) -> None:
    def places() -> list[int]:
        """Place minus time of acceptance of what waits."""
        connection = apsw.Connection(str(ledger), flags=apsw.SQLITE_OPEN_READONLY)
        rows = connection.execute("SELECT key - json_extract(body, '$[0]') FROM live ORDER BY id").fetchall()
        connection.close()
        return [int(str(row[0])) for row in rows]

    async with Scheduler(url, settings=Settings(policy=Priority(point_s=7))) as first:
        await first.submit("nobody", priority=5)
    await client.submit("nobody", priority=5)
    async with Scheduler(url) as second:
        await second.submit("nobody", priority=5)
    assert places() == [-35_000_000] * 3
    async with Scheduler(url, settings=Settings(policy="priority")):
        pass
    await client.submit("nobody", priority=5)
    assert places()[3:] == [-3_000_000_000]
    with pytest.raises(InvalidInput, match="point_s"):
        Scheduler(url, settings=Settings(policy=Priority(point_s=0)))


async def test_a_batch_without_an_owner_runs_when_one_comes(absent: Owner, client: AsyncClient) -> None:
    batch = await client.submit_many("echo", ({"value": i} for i in range(5000)))
    assert (len(batch), (await batch.status()).state) == (5000, "sealed")
    absent.start()
    assert (await batch.wait(timeout_s=60)).ended == {"succeeded": 5000}
    assert await batch[4321].result(timeout_s=20) == 4321


async def test_a_bad_row_without_an_owner_leaves_not_even_a_ledger(ledger: Path, client: AsyncClient) -> None:
    with pytest.raises(InvalidInput, match="row 3, arguments"):
        await client.submit_many("echo", [{"value": 1}, {"value": 2}, {"value": float("nan")}])
    assert not ledger.exists()


async def test_many_submissions_share_the_moments_of_holding_the_ledger(absent: Owner, client: AsyncClient) -> None:
    tasks = await asyncio.gather(*(client.submit("echo", {"value": i}) for i in range(2000)))
    assert len(set(tasks)) == 2000
    absent.start()
    assert await tasks[1999].result(timeout_s=30) == 1999


async def test_several_clients_take_turns_at_the_ledger(absent: Owner, url: str) -> None:
    clients = [AsyncClient(url) for _ in range(8)]
    tasks = await asyncio.gather(*(each.submit("echo", {"value": i}) for i, each in enumerate(clients)))
    assert len(set(tasks)) == 8
    await asyncio.gather(*(each.aclose() for each in clients))


async def test_verbs_without_an_owner(client: AsyncClient) -> None:
    task = await client.submit("echo", {})
    assert await client.pause(task.id, reason="wait") == "paused"
    assert (await client.status(task.id)).reason == "wait"
    assert await client.resume(task.id) == "ready"
    assert await client.cancel(task.id, reason="no") == "cancelled"
    with pytest.raises(TaskFailed, match="cancelled: no"):
        await task.result()
    batch = await client.submit_many("echo", [{"value": i} for i in range(10)])
    assert await client.cancel(batch.id) == 10
    assert len([each async for each in client.as_completed(batch)]) == 10
    assert (await client.wait(batch.id)).ended == {"cancelled": 10}
    with pytest.raises(NoOwner, match="lane"):
        await client.cancel("lane:default")
    with pytest.raises(UnknownTask):
        await client.cancel("task_0000000000001")


async def test_what_ran_when_its_owner_died_is_left_to_the_next_owner(
    absent: Owner, ledger: Path, client: AsyncClient
) -> None:
    absent.start()
    held = await client.submit("holds", {"name": "a"})
    absent.await_line("holds a")
    absent.kill()
    other = await client.submit("echo", {"value": 1})
    assert (await client.status(held.id)).state == "running"
    assert "attempt 1 was running; no scheduler owns this ledger" in (await client.why(held.id)).detail
    assert deaths(ledger) == [0, 0]
    absent.start()
    assert await other.result(timeout_s=20) == 1
    absent.await_line("holds a")
    assert deaths(ledger) == [1]
    reasons = [line.reason for line in await client.history(held.id)]
    assert reasons.count("its owner died while it ran") == 1


async def test_what_ran_when_its_owner_died_can_be_cancelled_and_is_not_run_again(
    absent: Owner, client: AsyncClient
) -> None:
    absent.start()
    held = await client.submit("holds", {"name": "a"})
    absent.await_line("holds a")
    absent.kill()
    await client.cancel(held.id)
    absent.start()
    later = await client.submit("echo", {"value": 1})
    await later.result(timeout_s=20)
    assert [line.to_state for line in await client.history(held.id)] == ["ready", "running", "cancelled"]


async def test_a_result_that_nobody_can_make_is_not_waited_for(client: AsyncClient) -> None:
    task = await client.submit("echo", {})
    batch = await client.submit_many("echo", [{}])
    with pytest.raises(NoOwner, match="no scheduler runs"):
        await task.result()
    with pytest.raises(NoOwner):
        await batch.wait()
    with pytest.raises(NoOwner, match="2 of the tasks"):
        async for _ in client.as_completed([task, *batch]):
            pass
    with pytest.raises(TimeoutError, match=task.id):
        await task.result(timeout_s=0.1)


async def test_with_a_timeout_an_owner_is_waited_for(absent: Owner, client: AsyncClient) -> None:
    task = await client.submit("echo", {"value": 7})
    waiting = asyncio.create_task(client.result(task.id, timeout_s=60))
    await asyncio.to_thread(absent.start)
    assert await waiting == 7


async def test_a_ledger_that_is_not_there_is_not_made_by_looking_at_it(ledger: Path, client: AsyncClient) -> None:
    for verb in (client.status, client.cancel, client.why):
        with pytest.raises(LedgerUnavailable, match="no such ledger"):
            await verb("task_0000000000001")
    assert not ledger.exists()
    assert not ledger.with_name("work.db.lock").exists()


async def test_an_owner_that_starts_among_writing_clients_gets_all_of_their_work(absent: Owner, url: str) -> None:
    come = asyncio.Event()

    async def write(client: AsyncClient) -> list[str]:
        ids: list[str] = []
        while not come.is_set() or len(ids) < 20:
            ids.append((await client.submit("echo", {"value": len(ids)})).id)
        return ids

    clients = [AsyncClient(url) for _ in range(4)]
    try:
        writing = [asyncio.create_task(write(client)) for client in clients]
        await asyncio.to_thread(absent.start)
        come.set()
        lists = await asyncio.gather(*writing)
        for client, ids in zip(clients, lists, strict=True):
            assert [await client.result(number, timeout_s=30) for number in ids] == list(range(len(ids)))
    finally:
        await asyncio.gather(*(client.aclose() for client in clients))


def test_the_blocking_client_works_alone_too(absent: Owner, url: str) -> None:
    with Client(url) as client:
        task = client.submit("echo", {"value": 1})
        assert task.status().state == "ready"
        absent.start()
        assert task.result(timeout_s=20) == 1


async def test_the_order_may_be_changed_while_nobody_lives(absent: Owner, client: AsyncClient) -> None:
    await client.submit("echo", {"value": 1})
    assert (await client.order_by("fcfs")).policy == Fcfs()
    absent.start()
    assert (await client.order_by()).policy == Fcfs()


async def test_limits_may_be_set_while_nobody_lives_and_hold_for_whoever_comes(
    absent: Owner, client: AsyncClient
) -> None:
    wanted = Limit("tenant:acme", rates={"requests": Rate(1, 3600.0)})
    first, second = [await client.submit("echo", {"value": place}, tenant="acme") for place in range(2)]
    assert [view.limit for view in await client.limit(wanted)] == [wanted]
    absent.start()
    assert await first.result(timeout_s=20) == 0
    assert (await second.why()).detail.startswith("limit 'tenant:acme' lets 1 requests start in 3600 s, and 1 did")
    assert [view.limit for view in await client.limit()] == [wanted]
