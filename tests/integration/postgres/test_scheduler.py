"""A scheduler on PostgreSQL, from the outside: the same verbs as on SQLite."""

import asyncio
import contextlib
import sys
from collections.abc import Callable

import asyncpg
import pytest

from tests.integration.copying.victim import Deaf
from tests.integration.embedded.conftest import Gate
from tests.servers.postgres import PostgresServer
from wsaios import AsyncClient, Client, Scheduler
from wsaios.bootstrap import Settings
from wsaios.kernel.errors import InvalidInput, LedgerOwned, MissingExtra, Unacknowledged
from wsaios.sdk.copying import copy
from wsaios.sdk.health import contradictions, examine
from wsaios.sdk.holder import live_owner


def _scheduler(url: str) -> Scheduler:
    scheduler = Scheduler(url)

    @scheduler.handler("double")
    async def double(n: int) -> int:
        return 2 * n

    @scheduler.handler("shout")
    def shout(text: str) -> str:
        return text.upper()

    @scheduler.handler("sum", batch_size=50)
    def total(rows: list[dict[str, int]]) -> list[int]:
        return [row["a"] + row["b"] for row in rows]

    return scheduler


async def test_tasks_and_batches_run_and_are_there_after_a_restart(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    async with _scheduler(url) as first:
        one = await first.submit("double", {"n": 21}, idempotency_key="once")
        assert await one.result(timeout_s=30) == 42
        assert await (await first.submit("shout", {"text": "hello"})).result(timeout_s=30) == "HELLO"
        batch = await first.submit_many("sum", ({"a": n, "b": 1} for n in range(500)))
        assert (await batch.wait(timeout_s=30)).ended == {"succeeded": 500}
        later = await first.submit("double", {"n": 1}, delay_s=3600)
        first.state.set("seen", {"rows": [500]})
    async with _scheduler(url) as second:
        again = await second.submit("double", {"n": 21}, idempotency_key="once")
        assert again.id == one.id
        assert await again.result(timeout_s=30) == 42
        assert await second.result(batch[499].id, timeout_s=30) == 500
        assert second.state.get("seen") == {"rows": [500]}
        assert (await second.status(later.id)).state == "pending"
        await second.cancel(later.id)
    assert contradictions(url) == []


async def test_what_runs_goes_on_when_every_connection_is_cut(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    scheduler, gate = Scheduler(url), Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        tasks = [await scheduler.submit("gate", {"name": name}, delivery="at_most_once") for name in range(3)]
        await gate.seen(3)
        connection = await asyncpg.connect(postgres.url())
        cut = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'wsaios%'"
        )
        await connection.close()
        assert cut
        with contextlib.suppress(Unacknowledged):
            tasks.append(await scheduler.submit("gate", {"name": 3}, idempotency_key="more"))
        more = await scheduler.submit("gate", {"name": 3}, idempotency_key="more")
        gate.open()
        for task in (*tasks, more):
            await task.result(timeout_s=30)
            assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]
    assert sorted(gate.came, key=str) == [0, 1, 2, 3]
    assert contradictions(url) == []


async def test_goals_are_pursued_and_remembered(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    done = asyncio.Event()

    def scheduler() -> Scheduler:
        made = Scheduler(url)

        def act() -> int:
            loop.call_soon_threadsafe(done.set)
            return 1

        made.executor.register("act", act)
        return made

    loop = asyncio.get_running_loop()
    first = scheduler()
    goal = first.goals.add("a goal", 7)
    first.optimizer.init([{"actions": ["act"]}])
    async with first:
        await asyncio.wait_for(done.wait(), 30)
        await first.flush()
    async with scheduler() as second:
        found = second.goals.get_next()
        assert found is not None
        assert (found["id"], found["priority"]) == (goal, 7)


async def test_a_second_scheduler_that_serves_nobody_is_told_who_is_the_first(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    async with _scheduler(url):
        with pytest.raises(LedgerOwned, match="is owned by"):
            await Scheduler(url, settings=Settings(serves=False)).start()
        holder = await asyncio.to_thread(live_owner, url)
        assert holder is not None
        assert holder.kind == "owner"
    assert await asyncio.to_thread(live_owner, url) is None


def test_a_client_submits_and_reads_while_no_scheduler_lives(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Client(url) as client:
        task = client.submit("double", {"n": 4})
        assert client.status(task.id).state == "pending"

    async def run() -> object:
        async with _scheduler(url) as scheduler:
            return await scheduler.result(task.id, timeout_s=30)

    assert asyncio.run(run()) == 8
    with Client(url) as client:
        assert client.result(task.id, timeout_s=30) == 8


def test_doctor_looks_at_a_ledger_on_a_server(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Client(url) as client:
        client.submit("double", {"n": 4})
    health = examine(url)
    assert health.live == {"pending": 1}
    assert health.ledger.startswith("postgresql://")
    assert [trouble.what for trouble in health.wrong] == ["1 task has not ended and no scheduler runs"]


def test_a_server_that_is_away_is_no_riddle_to_doctor() -> None:
    (trouble,) = examine("postgresql://me:secret@127.0.0.1:1/work").wrong
    assert "cannot be reached" in trouble.what
    assert "secret" not in f"{trouble}"


@pytest.mark.parametrize("uses", [Scheduler, AsyncClient, lambda url: copy(url, "work.db", Deaf())])
def test_without_its_extra_it_says_what_to_install(
    uses: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "asyncpg"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(("wsaios.ledger.postgres.", "wsaios.door.mail"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra) as caught:
        uses("postgresql://db/work")
    assert str(caught.value) == (
        "asyncpg, the driver of PostgreSQL, is not installed; run: pip install '/path/to/the/clone[postgres]'"
    )


@pytest.mark.parametrize("lease_s", [0.1, float("nan"), "long"])
def test_a_lease_that_is_none_is_refused(lease_s: float) -> None:
    with pytest.raises(InvalidInput, match="lease_s"):
        Scheduler("work.db", settings=Settings(lease_s=lease_s))
