"""Handlers that submit other tasks and wait for them."""

from pathlib import Path

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Scheduler


@pytest.fixture
def narrow(tmp_path: Path) -> Scheduler:
    """A scheduler whose lanes have one slot each."""
    return Scheduler(f"sqlite:///{tmp_path}/narrow.db", lanes={"default": 1, "thread": 1})


async def test_generations_of_parents_find_a_slot_for_their_children(narrow: Scheduler) -> None:
    @narrow.handler("count")
    async def count(depth: int) -> int:
        if depth == 0:
            return 0
        child = await narrow.submit("count", {"depth": depth - 1})
        below: int = await child.result()
        return below + 1

    async with narrow:
        assert await (await narrow.submit("count", {"depth": 20})).result(timeout_s=30) == 20


@pytest.mark.parametrize("way", ["wait", "as_completed"])
async def test_a_parent_may_wait_for_a_batch_of_its_own_lane(narrow: Scheduler, way: str) -> None:
    @narrow.handler("square")
    async def square(number: int) -> int:
        return number**2

    @narrow.handler("total")
    async def total(rows: int) -> int:
        batch = await narrow.submit_many("square", ({"number": number} for number in range(rows)))
        if way == "wait":
            await batch.wait()
            return sum([await task.result() for task in batch])
        return sum([await task.result() async for task in narrow.as_completed(batch)])

    async with narrow:
        assert await (await narrow.submit("total", {"rows": 100})).result(timeout_s=30) == 328_350


async def test_a_batched_parent_gives_its_slot_away_as_well(narrow: Scheduler) -> None:
    @narrow.handler("child")
    async def child(number: int) -> int:
        return number + 1

    @narrow.handler("parents", batch_size=4)
    async def parents(rows: list[dict[str, int]]) -> list[int]:
        children = [await narrow.submit("child", row) for row in rows]
        return [await each.result() for each in children]

    async with narrow:
        batch = await narrow.submit_many("parents", [{"number": number} for number in range(4)])
        assert [await task.result(timeout_s=30) for task in batch] == [1, 2, 3, 4]


async def test_a_parent_that_came_back_has_its_slot_again(narrow: Scheduler) -> None:
    after, later = Gate(), Gate()

    @narrow.handler("child")
    async def child() -> None: ...

    @narrow.handler("parent")
    async def parent() -> None:
        await (await narrow.submit("child")).result()
        await after("parent")

    narrow.add_handler("later", later)
    async with narrow:
        first = await narrow.submit("parent")
        await after.seen(1)
        second = await narrow.submit("later")
        assert (await second.why()).waits_for == "slot"
        after.open()
        later.open()
        await first.result(timeout_s=30)
        await second.result(timeout_s=30)


async def test_a_place_under_a_concurrency_key_stays_taken(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("child", gate)

    @scheduler.handler("parent", concurrency_key="one", concurrency_limit=1)
    async def parent() -> None:
        await (await scheduler.submit("child")).result()

    async with scheduler:
        first = await scheduler.submit("parent")
        await gate.seen(1)
        second = await scheduler.submit("parent")
        assert (await second.why()).waits_for == "limit"
        gate.open()
        await first.result(timeout_s=30)
        await second.result(timeout_s=30)
