"""An answer that is lost on its way doubles nothing and loses nothing."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.door.owners import Owner
from tests.integration.door.proxies import Proxy
from wsaios import AsyncClient
from wsaios.kernel.errors import Interrupted, TaskFailed, Unacknowledged


async def everything(client: AsyncClient) -> int:
    overview = await client.overview()
    return sum(overview.live.values()) + sum(overview.ended.values())


async def test_a_submission_whose_answer_is_lost_is_accepted_once(
    owner: Owner, ledger: Path, client: AsyncClient, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    async with Proxy(ledger) as proxy:
        proxy.arm(b"submit")
        task = await client.submit("notes", {"path": str(trace), "line": "ran"})
        assert proxy.dropped == 1
        await task.result(timeout_s=20)
        assert await everything(client) == 1
    assert trace.read_text() == "ran\n"


async def test_many_submissions_in_flight_are_all_accepted_once(owner: Owner, ledger: Path, url: str) -> None:
    async with Proxy(ledger) as proxy, AsyncClient(url) as client:
        await client.submit("echo", {"value": -1})
        proxy.arm(b"submit")
        tasks = await asyncio.gather(*(client.submit("echo", {"value": i}) for i in range(300)))
        assert proxy.dropped == 1
        assert len(set(tasks)) == 300
        assert [await task.result(timeout_s=20) for task in tasks] == list(range(300))
        assert await everything(client) == 301


async def test_an_owner_that_dies_after_its_commit_is_not_asked_twice(
    owner: Owner, ledger: Path, client: AsyncClient
) -> None:
    async with Proxy(ledger) as proxy:

        def die() -> None:
            owner.kill()
            proxy.hang_up()

        proxy.arm(b"submit", then=die)
        task = await client.submit("nobody", {})
        assert proxy.dropped == 1
        assert (await client.status(task.id)).state == "ready"
        assert await everything(client) == 1


async def test_a_submission_that_never_reached_the_owner_is_made_when_it_is_sent_again(
    owner: Owner, ledger: Path, client: AsyncClient
) -> None:
    async with Proxy(ledger) as proxy:
        proxy.arm(b"submit", forwards=False)
        task = await client.submit("echo", {"value": 1})
        assert proxy.dropped == 1
        assert await task.result(timeout_s=20) == 1
        assert await everything(client) == 1


async def test_nobody_coming_back_is_said(owner: Owner, ledger: Path, url: str) -> None:
    async with Proxy(ledger) as proxy, AsyncClient(url, retry_s=0.2) as client:
        proxy.arm(b"submit", then=proxy.hang_up)
        with pytest.raises(Unacknowledged, match="broke"):
            await client.submit("echo", {"value": 1})


async def test_a_cancel_whose_answer_is_lost_has_worked(owner: Owner, ledger: Path, client: AsyncClient) -> None:
    task = await client.submit("nobody", {})
    await client.aclose()
    async with Proxy(ledger) as proxy, AsyncClient(client.url) as other:
        proxy.arm(b"cancel")
        assert await other.cancel(task.id) == "cancelled"
        assert proxy.dropped == 1
        proxy.arm(b"pause")
        with pytest.raises(TaskFailed, match="cancelled"):
            await other.result(task.id, timeout_s=20)


async def test_a_pause_and_a_resume_whose_answers_are_lost_have_worked(
    owner: Owner, ledger: Path, client: AsyncClient
) -> None:
    async with Proxy(ledger) as proxy:
        task = await client.submit("nobody", {})
        proxy.arm(b"pause")
        assert await client.pause(task.id) == "paused"
        assert (await client.status(task.id)).state == "paused"
        proxy.arm(b"resume")
        assert await client.resume(task.id) == "ready"
        assert (await client.status(task.id)).state == "ready"
        assert proxy.dropped == 2


async def test_a_replay_whose_answer_is_lost_is_not_sent_again(owner: Owner, ledger: Path, client: AsyncClient) -> None:
    async with Proxy(ledger) as proxy:
        task = await client.submit("fails", {"text": "x"})
        with pytest.raises(TaskFailed):
            await task.result(timeout_s=20)
        proxy.arm(b"replay")
        with pytest.raises(Unacknowledged):
            await client.replay(task.id)
        with pytest.raises(TaskFailed):
            await task.result(timeout_s=20)
        assert sum("replayed" in (line.reason or "") for line in await task.history()) == 1


async def test_a_batch_whose_last_answer_is_lost_is_accepted_once(
    owner: Owner, ledger: Path, client: AsyncClient
) -> None:
    async with Proxy(ledger) as proxy:
        proxy.arm(b"batch_seal")
        batch = await client.submit_many("echo", ({"value": i} for i in range(1200)))
        assert proxy.dropped == 1
        assert len(batch) == 1200
        assert (await batch.wait(timeout_s=30)).ended == {"succeeded": 1200}
        assert [each.id for each in await client.batches()] == [batch.id]


async def test_a_batch_that_is_interrupted_leaves_nothing(owner: Owner, ledger: Path, client: AsyncClient) -> None:
    async with Proxy(ledger) as proxy:

        def rows() -> "list[dict[str, int]]":
            return [{"value": i} for i in range(3000)]

        proxy.arm(b"batch_rows", forwards=False)
        with pytest.raises(Interrupted, match="submit it again"):
            await client.submit_many("echo", rows())
        batch = await client.submit_many("echo", rows())
        await batch.wait(timeout_s=30)
        assert await everything(client) == 3000


async def test_following_goes_on_over_a_broken_connection(owner: Owner, ledger: Path, client: AsyncClient) -> None:
    async with Proxy(ledger) as proxy:
        batch = await client.submit_many("echo", [{"value": i} for i in range(50)])
        held = await client.submit("holds", {"name": "a"})
        owner.await_line("holds a")
        proxy.arm(b"follow_next")
        seen = []
        async for task in client.as_completed([*batch, held]):
            seen.append(task)
            if len(seen) == 50:
                await client.submit("frees")
        assert proxy.dropped == 1
        assert len(seen) == len(set(seen)) == 51
        assert seen[-1] == held
