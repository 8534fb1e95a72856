"""Batches through the library: all rows or none, in constant memory, each told once."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Scheduler, errors


async def test_every_row_is_told_once_whenever_it_ended(scheduler: Scheduler) -> None:
    def third(number: int) -> int:
        if number % 3 == 0:
            msg = "every third fails"
            raise ValueError(msg)
        return number

    scheduler.add_handler("third", third, max_attempts=1)
    async with scheduler:
        batch = await scheduler.submit_many("third", ({"number": n} for n in range(5000)))
        assert len(batch) == 5000
        seen = [task async for task in scheduler.as_completed(batch)]
        again = [task async for task in scheduler.as_completed(batch)]
        view = await batch.status()
    assert sorted(task.number for task in seen) == [task.number for task in batch]
    assert len(set(again)) == len(again) == 5000
    assert (view.state, view.ended) == ("sealed", {"succeeded": 3333, "failed": 1667})


async def test_following_what_is_not_in_the_ledger_is_refused(scheduler: Scheduler) -> None:
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        batch = await scheduler.submit_many("one", [{}] * 10)
        await batch.wait(timeout_s=30)
        for unknown in (["task_0000000000001"], [batch[0], "task_0000000000001"]):
            with pytest.raises(errors.UnknownTask, match="task_0000000000001"):
                async for _ in scheduler.as_completed(unknown):  # type: ignore[arg-type]  # ids do as well
                    pass
        await scheduler._parts.loop.upkeep(scheduler._parts.ledger.prune, 1 << 62, 1000)  # noqa: SLF001  # as after 7 days
        with pytest.raises(errors.UnknownTask, match="pruned"):
            async for _ in scheduler.as_completed(batch):
                pass


async def test_rows_keep_their_place(scheduler: Scheduler) -> None:
    async def echo(number: int) -> int:
        return number

    async def rows() -> AsyncIterator[dict[str, object]]:
        for number in range(9000):
            yield {"number": number}

    scheduler.add_handler("echo", echo)
    async with scheduler:
        batch = await scheduler.submit_many("echo", rows())
        await batch.wait(timeout_s=120)
        assert await batch[0].result() == 0
        assert await batch[8999].result() == 8999
        assert await batch[-1].result() == 8999
        assert [await task.result() for task in list(batch)[4090:4100]] == list(range(4090, 4100))
        assert [(await batch[place].status()).row for place in (0, 4096, 8999)] == [1, 4097, 9000]
        with pytest.raises(IndexError):
            batch[9000]


async def test_an_error_in_a_late_row_leaves_nothing(scheduler: Scheduler) -> None:
    ran: list[int] = []

    def rows() -> Iterator[dict[str, object]]:
        for number in range(7000):
            yield {"number": number if number != 6500 else float("nan")}

    def note(number: int) -> None:
        ran.append(number)

    scheduler.add_handler("note", note)
    async with scheduler:
        with pytest.raises(errors.InvalidInput, match="row 6501"):
            await scheduler.submit_many("note", rows())
        for _ in range(50):
            await scheduler.flush()
        totals = await scheduler._parts.service.totals()  # noqa: SLF001  # what the ledger itself counts
    assert ran == []
    assert sum(totals.live.values()) + sum(totals.ended.values()) == 0


async def test_a_batch_can_be_paused_resumed_cancelled_and_replayed(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        batch = await scheduler.submit_many("gate", ({"name": n} for n in range(50)))
        await gate.seen(4)
        await scheduler.pause(batch.id)
        assert (await batch[49].why()).detail == f"its batch {batch.id} is paused"
        why = await batch[20].why()
        other = await scheduler.submit("gate", {"name": "other"})
        gate.open()
        await other.result(timeout_s=10)
        assert sorted(map(str, gate.came)) == ["0", "1", "2", "3", "other"]
        await scheduler.resume(batch.id)
        assert (await batch.wait(timeout_s=10)).ended == {"succeeded": 50}
    assert why.waits_for == "pause"


async def test_cancelling_a_batch_ends_what_has_not_ended(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        batch = await scheduler.submit_many("gate", ({"name": n} for n in range(3000)))
        await gate.seen(4)
        assert await batch.cancel("not needed") == 3000
        view = await batch.wait(timeout_s=10)
        assert view.ended == {"cancelled": 3000}
        assert (await batch[1].status()).reason == "not needed"
        gate.open()
        after = await scheduler.submit("gate", {"name": "after"})
        await after.result(timeout_s=10)


async def test_failed_rows_can_be_replayed_once_the_batch_is_over(scheduler: Scheduler) -> None:
    broken = {"now": True}

    def sometimes(number: int) -> int:
        if broken["now"] and number % 10 == 0:
            msg = "not yet"
            raise ValueError(msg)
        return number

    scheduler.add_handler("sometimes", sometimes, max_attempts=1)
    async with scheduler:
        batch = await scheduler.submit_many("sometimes", ({"number": n} for n in range(100)))
        assert (await batch.wait(timeout_s=10)).ended == {"succeeded": 90, "failed": 10}
        broken["now"] = False
        assert await scheduler.replay(batch.id) == 10
        assert (await batch.wait(timeout_s=10)).ended == {"succeeded": 100}
        assert await batch[10].result() == 10
        lines = await batch[10].history()
        assert any("not yet" in (line.reason or "") for line in lines)


async def test_batched_handlers_get_rows_and_answer_each(scheduler: Scheduler) -> None:
    sizes: list[int] = []

    async def embed(rows: list[dict[str, int]]) -> list[int]:
        sizes.append(len(rows))
        return [row["number"] * 10 for row in rows]

    scheduler.add_handler("embed", embed, batch_size=32)
    async with scheduler:
        batch = await scheduler.submit_many("embed", ({"number": n} for n in range(100)))
        await batch.wait(timeout_s=10)
        assert [await task.result() for task in batch] == [n * 10 for n in range(100)]
    assert max(sizes) == 32
    assert sum(sizes) == 100


async def test_an_empty_batch_is_finished_at_once(scheduler: Scheduler) -> None:
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        batch = await scheduler.submit_many("one", [])
        assert len(batch) == 0
        assert [task async for task in scheduler.as_completed(batch)] == []
        assert (await batch.wait(timeout_s=5)).finished
