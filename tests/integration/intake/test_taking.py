"""What becomes of work between the client that leaves it and the scheduler that takes it in."""

import asyncio
import subprocess
import sys
from collections import Counter

import asyncpg
import pytest

from tests.acceptance.postgres.owners import ask
from tests.integration.door.owners import Owner, environment
from tests.servers.postgres import PostgresServer
from wsaios import AsyncClient, Scheduler
from wsaios.kernel.errors import IdempotencyConflict, InvalidInput, LedgerUnavailable, TaskFailed
from wsaios.sdk.health import contradictions

HALF_A_BATCH = """
import itertools, sys
from wsaios import Client
def rows():
    for number in itertools.count():
        if number == 3000:
            print("half", flush=True)
        yield {"value": number}
Client(sys.argv[1]).submit_many("echo", rows())
"""


async def left(postgres: PostgresServer, url: str) -> list[tuple[int, bool]]:
    """Kind and readiness of what is in the intake."""
    return [tuple(row) for row in await ask(postgres, url, "SELECT kind, ready FROM intake ORDER BY place")]


async def test_what_waits_in_the_intake_is_shown(postgres: PostgresServer, url: str, client: AsyncClient) -> None:
    task = await client.submit("echo", {"value": 1}, priority=7, tenant="them")
    batch = await client.submit_many("echo", [{"value": i} for i in range(1200)], name="rows")
    status = await client.status(task.id)
    assert (status.state, status.priority, status.tenant, status.handler) == ("pending", 7, "them", "echo")
    why = await client.why(task.id)
    assert why.waits_for == "intake"
    assert why.detail == "waits to be taken in by a scheduler; no scheduler owns this ledger now"
    row = await client.status(batch[700].id)
    assert (row.batch, row.row) == (batch.id, 701)
    view = await client.batch_status(batch.id)
    assert (view.rows, view.done, view.meta) == (1200, 0, {"name": "rows"})
    assert [each.id for each in await client.batches()] == [batch.id]
    assert (await client.overview()).live == {"pending": 1201}
    first = await client.tasks(["pending"], limit=700)
    rest = await client.tasks(after=first[-1].id, limit=1000)
    assert [each.id for each in (*first, *rest)] == [task.id, *(each.id for each in batch)]
    assert len(await left(postgres, url)) < 10


async def test_nothing_remains_of_a_batch_with_a_bad_row(
    postgres: PostgresServer, url: str, client: AsyncClient, owner: Owner
) -> None:
    with pytest.raises(InvalidInput, match="row 1701, arguments"):
        await client.submit_many("echo", [*({"value": i} for i in range(1700)), {"value": float("nan")}])
    assert await left(postgres, url) == []
    assert await client.batches() == []
    assert (await client.overview()).live == {}


async def test_a_batch_whose_client_dies_is_never_seen_and_goes_after_a_day(
    postgres: PostgresServer, url: str, client: AsyncClient, owner: Owner
) -> None:
    await client.flush()
    dying = subprocess.Popen([sys.executable, "-c", HALF_A_BATCH, url], stdout=subprocess.PIPE, env=environment())
    assert dying.stdout is not None
    assert dying.stdout.readline() == b"half\n"
    dying.kill()
    dying.wait()
    dying.stdout.close()
    assert {ready for _, ready in await left(postgres, url)} == {False}
    assert await client.batches() == []
    await ask(postgres, url, "UPDATE intake SET at_us = at_us - 25 * 3600000000::bigint")
    owner.stop()
    owner.start()
    await (await client.submit("echo", {"value": 1})).result(timeout_s=20)
    assert await left(postgres, url) == []


async def test_what_a_scheduler_cannot_accept_fails_and_says_why(owner: Owner, client: AsyncClient) -> None:
    for handler, arguments, options, reason in (
        ("shout", {}, {}, "handler 'shout' needs 'text', which is missing"),
        ("shout", {"text": "a", "loud": 1}, {}, "has no argument 'loud'"),
        ("echo", {}, {"lane": "nowhere"}, "no lane 'nowhere'; there are default, process, thread"),
    ):
        task = await client.submit(handler, arguments, **options)
        with pytest.raises(TaskFailed, match=reason) as caught:
            await task.result(timeout_s=20)
        assert (caught.value.state, caught.value.kind) == ("failed", "InvalidInput")
        assert [line.to_state for line in await task.history()] == ["pending", "failed"]
    batch = await client.submit_many("shout", [{"text": "a"}, {"word": "b"}, {"text": "c"}])
    assert (await batch.wait(timeout_s=20)).ended == {"succeeded": 2, "failed": 1}
    waits = await client.submit("nobody", {})
    await client.flush()
    assert (await waits.why()).detail == "no handler 'nobody' is registered in the scheduler's process"


async def test_what_a_client_refuses_leaves_nothing(postgres: PostgresServer, url: str, client: AsyncClient) -> None:
    first = await client.submit("echo", {"value": 1}, idempotency_key="k")
    refused: list[tuple[type[Exception], str, dict[str, object]]] = [
        (IdempotencyConflict, first.id, {"idempotency_key": "k"}),
        (InvalidInput, "no task task_0000000000001", {"depends_on": ["task_0000000000001"]}),
        (InvalidInput, "max_attempts", {"max_attempts": 0}),
        (InvalidInput, "no such option", {"colour": "red"}),
    ]
    for kind, message, options in refused:
        with pytest.raises(kind, match=message):
            await client.submit("echo", {"value": 2}, **options)
    with pytest.raises(InvalidInput, match="a batch takes no idempotency_key"):
        await client.submit_many("echo", [{}], idempotency_key="k")
    assert len(await left(postgres, url)) == 1


async def test_a_handler_says_what_the_caller_does_not(url: str, client: AsyncClient) -> None:
    plain = await client.submit("low", {"n": 1})
    chosen = await client.submit("low", {"n": 1}, priority=0)
    batch = await client.submit_many("low", [{"n": 1}])
    scheduler = Scheduler(url)

    @scheduler.handler("low", priority=-9, delay_s=3600)
    async def low(n: int) -> int:
        return n

    async with scheduler:
        await client.flush()
        found = [await scheduler.status(each.id) for each in (plain, chosen, batch[0])]
        assert [(each.state, each.priority) for each in found] == [("pending", -9), ("pending", 0), ("pending", -9)]
        waited = [each.due_at - each.accepted_at for each in found if each.due_at is not None]
        assert len(waited) == 3
        assert all(3599 < each.total_seconds() < 3601 for each in waited)


async def test_clients_that_race_for_a_key_get_one_task(owner: Owner, url: str, client: AsyncClient) -> None:
    others = [AsyncClient(url) for _ in range(6)]
    tasks = await asyncio.gather(
        *(each.submit("echo", {"value": 1}, idempotency_key=f"k{i % 5}") for i in range(50) for each in others)
    )
    assert len(set(tasks)) == 5
    assert [await task.result(timeout_s=20) for task in set(tasks)] == [1] * 5
    await asyncio.gather(*(each.aclose() for each in others))
    assert (await client.overview()).ended == {"succeeded": 5}


async def test_dependencies_may_be_in_the_intake_still(absent: Owner, client: AsyncClient) -> None:
    parents = [await client.submit("echo", {"value": i}) for i in range(3)]
    child = await client.submit("echo", {"value": "child"}, depends_on=parents)
    failing = await client.submit("fails", {"text": "no"})
    orphan = await client.submit("echo", {"value": "orphan"}, depends_on=failing)
    absent.start()
    assert await child.result(timeout_s=20) == "child"
    with pytest.raises(TaskFailed, match=f"dependency {failing.id} is failed"):
        await orphan.result(timeout_s=20)


async def test_a_batch_is_cancelled_with_the_rows_that_are_in_the_intake(
    postgres: PostgresServer, url: str, absent: Owner, client: AsyncClient
) -> None:
    batch = await client.submit_many("holds", ({"name": str(i)} for i in range(30_000)))
    absent.start()
    # The head and the first rows are in, the others are not.
    await client.cancel(batch.id, reason="enough")
    view = await batch.wait(timeout_s=60)
    assert view.ended == {"cancelled": 30_000}
    assert await ask(postgres, url, "SELECT 1 FROM fact WHERE component = 'called_off'") == []
    assert contradictions(url) == []


@pytest.mark.parametrize("seed", range(2))
async def test_owners_die_again_and_again_and_everything_is_taken_in_once(
    durable_postgres: PostgresServer, seed: int
) -> None:
    url = durable_postgres.fresh()
    owner = Owner(url).start()
    done = asyncio.Event()

    async def kill() -> None:
        for round_ in range(3):
            await asyncio.sleep(0.15 + 0.1 * ((seed + round_) % 3))
            owner.kill()
            await asyncio.to_thread(owner.start)
        done.set()

    async def submit(client: AsyncClient) -> list[int]:
        numbers: list[int] = []
        while not done.is_set():
            tasks = await asyncio.gather(*(client.submit("echo", {"value": i}) for i in range(20)))
            numbers += [task.number for task in tasks]
            batch = await client.submit_many("echo", ({"value": i} for i in range(150)))
            numbers += [task.number for task in batch]
        return numbers

    try:
        async with AsyncClient(url) as one, AsyncClient(url) as two:
            killing = asyncio.create_task(kill())
            numbers = [*(await submit(one)), *(await submit(two))]
            await killing
            assert len(set(numbers)) == len(numbers)
            while (await one.overview()).live:  # noqa: ASYNC110  # seen from outside
                await asyncio.sleep(0.1)
    finally:
        owner.close()
    found = await ask(durable_postgres, url, "SELECT id, state FROM outcome")
    assert {number for number, _ in found} == set(numbers)
    assert Counter(state for _, state in found) == {6: len(numbers)}
    assert await ask(durable_postgres, url, "SELECT 1 FROM intake") == []
    assert contradictions(url) == []


async def test_clients_whose_connections_are_cut_leave_everything_once(
    durable_postgres: PostgresServer,
) -> None:
    url = durable_postgres.fresh()
    owner = Owner(url).start()
    cutting = asyncio.Event()

    async def cut() -> None:
        connection = await asyncpg.connect(durable_postgres.url())
        while not cutting.is_set():
            await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wsaios intake'"
            )
            await asyncio.sleep(0.25)
        await connection.close()

    try:
        async with AsyncClient(url) as client:
            first = await client.submit("echo", {"value": 0})
            killing = asyncio.create_task(cut())
            numbers = [first.number]
            for i in range(30):
                tasks = await asyncio.gather(
                    *(
                        client.submit("echo", {"value": j}, idempotency_key=f"{i}.{j}" if j % 2 else None)
                        for j in range(8)
                    )
                )
                numbers += [task.number for task in tasks]
            cutting.set()
            await killing
            assert len(set(numbers)) == len(numbers)
            while (await client.overview()).live:  # noqa: ASYNC110  # seen from outside
                await asyncio.sleep(0.1)
    finally:
        owner.close()
    found = await ask(durable_postgres, url, "SELECT id FROM outcome")
    assert {number for (number,) in found} == set(numbers)


async def test_a_row_that_nobody_can_read_is_named_and_holds_up_nobody(
    postgres: PostgresServer, url: str, owner: Owner, client: AsyncClient
) -> None:
    await client.flush()
    row = "(kind, first, last, length, batch, ready, at_us, body)"
    await ask(
        postgres,
        url,
        f"INSERT INTO intake {row} VALUES (1, 5, 5, 1, 0, true, 1, 'nonsense'), (2, 6, 6, 1, 6, true, 1, 'x')",
    )
    tasks = [await client.submit("echo", {"value": i}) for i in range(5)]
    assert [await task.result(timeout_s=20) for task in tasks] == list(range(5))
    assert len(await left(postgres, url)) == 2


async def test_a_server_that_is_not_there_is_said_at_once() -> None:
    async with AsyncClient("postgresql://me@127.0.0.1:1/work") as client:
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            await client.submit("echo", {})
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            await client.status("task_0000000000001")


async def test_looking_makes_no_ledger(postgres: PostgresServer, url: str, client: AsyncClient) -> None:
    for look in (client.status("task_0000000000001"), client.overview(), client.cancel("all"), client.flush()):
        with pytest.raises(LedgerUnavailable, match="no such ledger"):
            await look
    with pytest.raises(InvalidInput, match="row 1"):
        await client.submit_many("echo", [{"value": float("nan")}])
    schema = url.partition("schema=")[2]
    assert await ask(postgres, url, f"SELECT 1 FROM pg_namespace WHERE nspname = '{schema}'") == []


async def test_the_server_is_told_no_more_than_twenty_times_a_second(
    postgres: PostgresServer, url: str, owner: Owner, client: AsyncClient
) -> None:
    await (await client.submit("echo", {})).result(timeout_s=20)
    connection = await asyncpg.connect(postgres.url())
    heard: Counter[str] = Counter()

    def hear(_connection: object, _pid: int, channel: str, _payload: str) -> None:
        heard[channel] += 1

    for channel in await connection.fetch("SELECT DISTINCT c FROM unnest(ARRAY['in', 'out']) AS c"):
        name = f"wsaios_{channel[0]}_"
        digest = await connection.fetchval("SELECT left(md5($1), 16)", url.partition("schema=")[2])
        await connection.add_listener(name + digest, hear)
    began = asyncio.get_running_loop().time()
    for _ in range(150):
        await (await client.submit("echo", {})).result(timeout_s=20)
    took_s = asyncio.get_running_loop().time() - began
    await connection.close()
    assert len(heard) == 2
    assert max(heard.values()) <= took_s * 20 + 2
