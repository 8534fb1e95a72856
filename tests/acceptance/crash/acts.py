"""What a life asks of its scheduler: one act for each feature whose promise a crash could break."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Final

from tests.acceptance.crash.client import Broken, Client, Row
from tests.acceptance.crash.work import Work
from wsaios import Batch, Task
from wsaios.kernel.errors import NotPossible, TaskFailed

Act = Callable[[Client, Work, Random], Awaitable[None]]

PAD: Final = "x" * 280_000
"""Four such rows are more than a chunk of `submit_many` holds, so a batch of them is staged in several commits."""
PARENTS: Final[tuple[tuple[str, Row], ...]] = (
    ("once", {}),
    ("once_thread", {}),
    ("flaky", {"fails": 1}),
    ("steps", {"total": 3}),
)
SETTLED_S: Final = 20.0


async def plain(client: Client, work: Work, rng: Random) -> None:
    await client.submit("double", {"value": rng.randrange(1000)}, priority=rng.randint(-100, 100))
    await client.submit("upper", {"text": f"text {rng.randrange(1000)}"}, tenant=rng.choice(("default", "other")))


async def keyed(client: Client, work: Work, rng: Random) -> None:
    """Ask twice under one key, the second time before or after the answer to the first."""
    call, arguments = client.name(), {"value": rng.randrange(1000)}
    first, second = (client.repeat(call, "double", arguments, idempotency_key=f"key {call}") for _ in range(2))
    if rng.random() < 0.5:
        await asyncio.gather(first, second)
    else:
        await first
        await second


async def failing(client: Client, work: Work, rng: Random) -> None:
    fails = rng.randint(1, 3)
    await client.submit("flaky", {"fails": fails}, max_attempts=fails + 1)
    await client.submit("hopeless")


async def at_most_once(client: Client, work: Work, rng: Random) -> None:
    await client.submit("once")
    await client.submit("once_thread")


async def checkpoints(client: Client, work: Work, rng: Random) -> None:
    await client.submit("steps", {"total": rng.randint(3, 8)})
    await client.submit("restless")


async def crowd(client: Client, work: Work, rng: Random) -> None:
    for _ in range(3):
        await client.submit("crowded", concurrency_key="door")


async def family(client: Client, work: Work, rng: Random) -> None:
    """A parent that may be lost, two children and a grandchild; and a child of a parent that fails."""
    handler, arguments = rng.choice(PARENTS)
    parent = await client.submit(handler, arguments)
    children = [await client.submit("follow", {"after": [parent.id]}, depends_on=[parent]) for _ in range(2)]
    await client.submit("follow", {"after": [child.id for child in children]}, depends_on=children)
    failed = await client.submit("hopeless")
    await client.submit("orphan", {"after": [failed.id]}, depends_on=[failed])


async def late(client: Client, work: Work, rng: Random) -> None:
    await client.submit("late")


async def cancel_running(client: Client, work: Work, rng: Random) -> None:
    await _cancel(client, await _running(client, work, "linger"))
    await _cancel(client, await _running(client, work, "doze"))


async def pause_running(client: Client, work: Work, rng: Random) -> None:
    for handler in ("stubborn", "doze"):
        task = await _running(client, work, handler)
        client.note("pausing", task)
        # On a slow machine it may be over by now.
        with suppress(NotPossible):
            await client.scheduler.pause(task.id)
            await client.scheduler.resume(task.id)
        client.note("resumed", task)


async def pause_lane(client: Client, work: Work, rng: Random) -> None:
    await client.scheduler.pause("lane:thread")
    await client.submit("upper", {"text": "held"})
    await client.scheduler.resume("lane:thread")


async def times(client: Client, work: Work, rng: Random) -> None:
    await client.submit("double", {"value": 1}, delay_s=rng.uniform(0.0, 0.05))
    await client.submit("fresh", delay_s=3600.0, expires_at=time.time() + rng.uniform(0.02, 0.1))


async def replayed(client: Client, work: Work, rng: Random) -> None:
    """A task fails, what it failed of is mended, it is replayed."""
    task = await client.submit("mended")
    try:
        await task.result(SETTLED_S)
    except TaskFailed:
        work.mending(client.call_of(task)).touch()
        client.note("replaying", task)
        await client.scheduler.replay(task.id)
        client.note("replayed", task)


async def told(client: Client, work: Work, rng: Random) -> None:
    for _ in range(3):
        task = await client.submit("double", {"value": rng.randrange(1000)})
        client.told(task, await task.result(SETTLED_S))


async def event(client: Client, work: Work, rng: Random) -> None:
    for _ in range(2):
        await client.emit("double", {"value": rng.randrange(1000)})


async def clock(client: Client, work: Work, rng: Random) -> None:
    await client.at(time.time() + rng.uniform(-0.01, 0.05), {"value": rng.randrange(1000)})


async def flow(client: Client, work: Work, rng: Random) -> None:
    """A workflow with a fan-out, of which a step fails, is mended and tried again."""
    call, run = await client.flow()
    await client.scheduler.run_end(run, timeout_s=SETTLED_S)
    work.mending(f"{call}.amend").touch()
    await client.scheduler.retry(run)
    client.promise(f"{call}.last")


async def approved(client: Client, work: Work, rng: Random) -> None:
    """A step goes on at an event."""
    await client.approve()


async def begun(client: Client, work: Work, rng: Random) -> None:
    """A trigger begins a workflow at an event."""
    await client.begin()


async def batches(client: Client, work: Work, rng: Random) -> None:
    await client.submit_many("embed", lambda call: _numbers(call, 20), 20)
    await client.submit_many("tally", lambda call: _texts(call, 9), 9)


async def wide_batch(client: Client, work: Work, rng: Random) -> None:
    """One that is staged in several commits."""
    await client.submit_many("tally", lambda call: _wide(call, 5), 5)


async def broken_batch(client: Client, work: Work, rng: Random) -> None:
    """One whose rows end with an error after some were staged."""
    await client.submit_broken("tally", lambda call: _breaking(call, 5), 5)


async def cancelled_batch(client: Client, work: Work, rng: Random) -> None:
    batch = await client.submit_many("embed", lambda call: _numbers(call, 40), 40, delay_s=rng.uniform(0.0, 0.02))
    await _cancel(client, batch)


ACTS: Final[tuple[Act, ...]] = (
    *(plain, plain, plain, keyed, keyed, failing, at_most_once, at_most_once, checkpoints, crowd, family, late),
    *(cancel_running, pause_running, pause_lane, times, replayed, told, batches, wide_batch, broken_batch),
    *(event, event, clock, flow, approved, approved, begun, begun),
    cancelled_batch,
)


async def perform(client: Client, work: Work, rng: Random, beside: int = 6) -> None:
    """All acts in a random order, `beside` of them at a time."""
    left = list(ACTS)
    rng.shuffle(left)

    async def worker() -> None:
        while left:
            await left.pop()(client, work, Random(rng.random()))

    async with asyncio.TaskGroup() as group:
        for _ in range(beside):
            group.create_task(worker())


async def _running(client: Client, work: Work, handler: str) -> Task:
    """A task that runs by now."""
    task = await client.submit(handler)
    await asyncio.to_thread(work.running[client.call_of(task)].wait, SETTLED_S)
    return task


async def _cancel(client: Client, target: Task | Batch) -> None:
    client.note("cancelling", target)
    try:
        await client.scheduler.cancel(target.id)
    except NotPossible:
        return
    client.note("cancelled", target)


async def _numbers(call: str, length: int) -> AsyncIterator[Row]:
    for row in range(length):
        yield {"call": call, "row": row, "value": row * 10}


def _texts(call: str, length: int) -> Iterator[Row]:
    """Rows of which one is bad."""
    return ({"call": call, "row": row, "text": "t" * row, "bad": row == 4} for row in range(length))


def _wide(call: str, length: int) -> Iterator[Row]:
    return ({"call": call, "row": row, "text": PAD} for row in range(length))


def _breaking(call: str, length: int) -> Iterator[Row]:
    yield from _wide(call, length)
    raise Broken
