"""Many clients, many rows, and threads that share a client."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.door.owners import Owner
from wsaios import AsyncClient, Client
from wsaios.kernel.errors import InvalidInput, TaskFailed

N_ROWS = 20_000


async def test_fifty_clients_at_once(owner: Owner, url: str) -> None:
    async def one(place: int) -> object:
        async with AsyncClient(url) as client:
            tasks = [await client.submit("echo", {"value": [place, i]}) for i in range(5)]
            return [await task.result(timeout_s=60) for task in tasks]

    answers = await asyncio.gather(*(one(place) for place in range(50)))
    assert answers == [[[place, i] for i in range(5)] for place in range(50)]


async def test_twenty_thousand_rows_arrive_in_order_and_end_once_each(owner: Owner, client: AsyncClient) -> None:
    batch = await client.submit_many("echo", ({"value": i} for i in range(N_ROWS)))
    assert len(batch) == N_ROWS
    seen = [task async for task in client.as_completed(batch)]
    assert len(seen) == len(set(seen)) == N_ROWS
    assert set(seen) == set(batch)
    assert [await batch[i].result() for i in (0, 777, -1)] == [0, 777, N_ROWS - 1]
    assert (await batch.wait(timeout_s=20)).ended == {"succeeded": N_ROWS}


async def test_rows_may_come_asynchronously(owner: Owner, client: AsyncClient) -> None:
    async def rows() -> "object":
        for i in range(1100):
            yield {"value": i}

    batch = await client.submit_many("echo", rows())  # type: ignore[arg-type]
    assert (await batch.wait(timeout_s=30)).ended == {"succeeded": 1100}


@pytest.mark.parametrize("bad", [{"value": float("nan")}, ["no mapping"], {"value": {1, "a"}, "x": object()}])
async def test_a_bad_row_late_in_a_batch_leaves_nothing(owner: Owner, client: AsyncClient, bad: object) -> None:
    rows = [{"value": i} for i in range(1700)]
    with pytest.raises(InvalidInput, match="row 1701, arguments"):
        await client.submit_many("echo", [*rows, bad])  # type: ignore[list-item]
    while (await client.overview()).live:
        await client.flush()
    assert [view.state for view in await client.batches()] == ["aborted"]


async def test_a_row_that_the_handler_cannot_take_is_named_by_the_owner(owner: Owner, client: AsyncClient) -> None:
    rows = [{"text": "a"}] * 600
    with pytest.raises(InvalidInput, match="row 601, arguments: handler 'shout' needs 'text'"):
        await client.submit_many("shout", [*rows, {}])


async def test_an_iterable_that_raises_leaves_nothing(owner: Owner, client: AsyncClient) -> None:
    def rows() -> "object":
        yield from ({"value": i} for i in range(1200))
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        await client.submit_many("echo", rows())  # type: ignore[arg-type]
    while (await client.overview()).live:
        await client.flush()


async def test_ten_thousand_waits_at_once(owner: Owner, client: AsyncClient) -> None:
    batch = await client.submit_many("echo", ({"value": i} for i in range(10_500)))
    results = await asyncio.gather(*(task.result() for task in batch))
    assert results == list(range(10_500))


def test_threads_share_one_blocking_client(owner: Owner, url: str) -> None:
    with Client(url) as client, ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda i: client.submit("echo", {"value": i}), range(200)))
        assert list(pool.map(lambda task: task.result(timeout_s=30), tasks)) == list(range(200))
        assert {task.id for task in client.as_completed(tasks)} == {task.id for task in tasks}


def test_the_blocking_client_has_the_same_verbs(owner: Owner, url: str) -> None:
    with Client(url) as client:
        batch = client.submit_many("echo", [{"value": i} for i in range(700)])
        assert len(batch) == 700
        assert {task.id for task in client.as_completed(batch)} == {task.id for task in batch}
        assert batch.wait(timeout_s=20).ended == batch.status().ended == {"succeeded": 700}
        failed = client.submit("fails", {"text": "x"})
        with pytest.raises(TaskFailed, match="ValueError: x"):
            failed.result(timeout_s=20)
        assert failed.history()[-1].to_state == failed.why().state == "failed"
        assert client.status(failed.id) == failed.status()
        assert client.overview().ended == {"failed": 1, "succeeded": 700}
        later = client.submit("echo", {}, delay_s=3600)
        later.cancel()
        assert client.status(later.id).state == "cancelled"
    with pytest.raises(InvalidInput, match="closed"):
        client.status(failed.id)
    client.close()
