"""Every verb from another process, beside a live owner."""

import stat
from pathlib import Path

import pytest

from tests.integration.door.owners import Owner
from wsaios import AsyncClient, FairShare, Limit, Rate, Scheduler, policies
from wsaios.kernel.errors import (
    IdempotencyConflict,
    InvalidInput,
    LedgerOwned,
    NotPossible,
    TaskFailed,
    UnknownBatch,
    UnknownLane,
    UnknownTask,
)

NOBODY = "task_0000000000001"


async def test_a_submitted_task_runs_in_the_owner_and_its_result_comes_back(owner: Owner, client: AsyncClient) -> None:
    task = await client.submit("shout", {"text": "käse 内容"}, priority=5)
    assert await task.result(timeout_s=20) == "KÄSE 内容"
    status = await task.status()
    assert (status.id, status.state, status.handler, status.lane, status.priority) == (
        task.id,
        "succeeded",
        "shout",
        "thread",
        5,
    )
    assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]
    assert str(await task.why()).startswith(f"{task.id} is succeeded")


async def test_results_keep_their_shape_and_size(owner: Owner, client: AsyncClient) -> None:
    value = {"empty": None, "big": 2**80, "nested": [{"a": [1.5, True]}], "text": "x" * 900_000}
    task = await client.submit("echo", {"value": value})
    assert await task.result(timeout_s=20) == value


async def test_a_failed_task_raises_with_everything_it_says(owner: Owner, client: AsyncClient) -> None:
    task = await client.submit("fails", {"text": "no such thing"})
    with pytest.raises(TaskFailed) as caught:
        await task.result(timeout_s=20)
    error = caught.value
    assert (error.task_id, error.state, error.kind, error.message) == (task.id, "failed", "ValueError", "no such thing")
    assert "raise ValueError(text)" in error.traceback
    assert str(error) == f"{task.id} failed: ValueError: no such thing"


async def test_errors_of_the_owner_are_raised_as_the_same_class_with_their_data(
    owner: Owner, client: AsyncClient
) -> None:
    with pytest.raises(UnknownTask, match=NOBODY) as unknown:
        await client.status(NOBODY)
    assert unknown.value.task_id == NOBODY
    with pytest.raises(UnknownTask):
        await client.result(NOBODY, timeout_s=20)
    with pytest.raises(UnknownBatch):
        await client.batch_status(NOBODY.replace("task", "batch"))
    with pytest.raises(UnknownLane, match="nowhere") as lane:
        await client.submit("echo", {}, lane="nowhere")
    assert lane.value.known == ["default", "thread", "process"]
    with pytest.raises(InvalidInput, match="max_attempts") as refused:
        await client.submit("echo", {}, max_attempts=0)
    assert refused.value.field == "max_attempts"
    with pytest.raises(InvalidInput, match="needs 'text'"):
        await client.submit("shout", {})


async def test_a_key_stands_for_its_first_task(owner: Owner, client: AsyncClient) -> None:
    first = await client.submit("echo", {"value": 1}, idempotency_key="k")
    assert await client.submit("echo", {"value": 1}, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict) as caught:
        await client.submit("echo", {"value": 2}, idempotency_key="k")
    assert (caught.value.key, caught.value.task_id) == ("k", first.id)


async def test_handles_and_times_travel_as_options(owner: Owner, client: AsyncClient) -> None:
    parent = await client.submit("echo", {"value": 1}, delay_s=3600)
    child = await client.submit("echo", {"value": 2}, depends_on=[parent])
    other = await client.submit("echo", {"value": 2}, depends_on=parent)
    assert {(await client.why(each.id)).waits_for for each in (child, other)} == {"dependency"}
    assert (await client.why(parent.id)).waits_for == "time"
    accepted = await client.status(parent.id)
    due = accepted.due_at
    assert due is not None
    again = await client.submit("echo", {}, run_at=due)
    assert (await client.status(again.id)).due_at == due
    with pytest.raises(InvalidInput, match="time zone"):
        await client.submit("echo", {}, run_at=due.replace(tzinfo=None))


async def test_cancel_pause_resume_and_replay(owner: Owner, client: AsyncClient) -> None:
    task = await client.submit("holds", {"name": "a"})
    owner.await_line("holds a")
    assert await client.pause(task.id, reason="lunch") == "paused"
    status = await client.status(task.id)
    assert (status.state, status.reason) == ("paused", "lunch")
    assert await client.resume(task.id) == "ready"
    owner.await_line("holds a")
    assert await client.cancel(task.id, reason="enough") == "cancelled"
    with pytest.raises(TaskFailed, match="cancelled: enough"):
        await task.result(timeout_s=20)
    with pytest.raises(NotPossible, match="it has ended"):
        await client.cancel(task.id)
    failed = await client.submit("fails", {"text": "x"})
    with pytest.raises(TaskFailed):
        await failed.result(timeout_s=20)
    assert await client.replay(failed.id) == "ready"
    with pytest.raises(TaskFailed):
        await failed.result(timeout_s=20)
    assert "replayed" in str(await failed.history())


async def test_a_lane_is_paused_from_outside(owner: Owner, client: AsyncClient) -> None:
    assert await client.pause("lane:default") == 1
    task = await client.submit("echo", {"value": 1})
    assert (await client.why(task.id)).waits_for == "pause"
    await client.resume("lane:default")
    assert await task.result(timeout_s=20) == 1


async def test_lists_and_counts(owner: Owner, client: AsyncClient) -> None:
    done = await client.submit("echo", {"value": 1})
    await done.result(timeout_s=20)
    waiting = [await client.submit("nobody", {"i": i}) for i in range(5)]
    batch = await client.submit_many("echo", [{"value": i} for i in range(3)], name="three", keep=True)
    await batch.wait(timeout_s=20)
    assert [each.id for each in await client.tasks(["ready"], limit=3)] == [task.id for task in waiting[:3]]
    rest = await client.tasks(["ready"], after=waiting[2].id)
    assert [each.id for each in rest] == [task.id for task in waiting[3:]]
    (only,) = await client.batches()
    assert (only.id, only.rows, only.done, only.keep, only.meta) == (batch.id, 3, 3, True, {"name": "three"})
    overview = await client.overview()
    assert (overview.live, overview.ended, overview.owned) == ({"ready": 5}, {"succeeded": 4}, True)
    assert (overview.suspects, overview.size_bytes > 0) == ([], True)
    await client.flush()
    with pytest.raises(InvalidInput, match="no state is called 'done'"):
        await client.tasks(["done"])


async def test_a_wait_that_takes_too_long_ends_and_the_task_goes_on(owner: Owner, client: AsyncClient) -> None:
    task = await client.submit("holds", {"name": "a"})
    with pytest.raises(TimeoutError, match=task.id):
        await task.result(timeout_s=0.05)
    await client.submit("frees")
    assert await task.result(timeout_s=20) == "a"


async def test_a_second_owner_is_refused_and_told_who_is_first(owner: Owner, url: str) -> None:
    with pytest.raises(LedgerOwned, match=f"pid {owner.process.pid}"):
        await Scheduler(url).start()


async def test_the_socket_is_for_its_user_alone(owner: Owner, ledger: Path) -> None:
    found = ledger.with_name("work.db.sock").lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


async def test_a_stopped_owner_leaves_no_socket(owner: Owner, ledger: Path) -> None:
    assert owner.stop() in {0, -15}
    assert not ledger.with_name("work.db.sock").exists()


async def test_an_owner_without_a_door_is_named(ledger: Path, url: str) -> None:
    owner = Owner(ledger, "--no-door").start()
    try:
        async with AsyncClient(url, retry_s=0.1) as client:
            with pytest.raises(LedgerOwned, match=f"pid {owner.process.pid}"):
                await client.submit("echo", {})
            assert (await client.overview()).owned is False
    finally:
        owner.close()


async def test_a_ledger_in_memory_has_no_clients() -> None:
    with pytest.raises(InvalidInput, match="in memory"):
        AsyncClient("sqlite:///:memory:")


async def test_the_order_is_shown_and_changed_from_another_process(owner: Owner, client: AsyncClient) -> None:
    assert await client.order_by() == policies.Ordering()
    wanted = policies.Ordering(policies.Mlfq(quanta_ms=(1.0, 2.0)), FairShare({"acme": 2.0}))
    assert await client.order_by(wanted.policy, fair_share=wanted.fair) == wanted
    assert await client.order_by() == wanted
    assert await client.order_by(fair_share=False) == policies.Ordering(wanted.policy)
    with pytest.raises(InvalidInput, match="did you mean 'deadline'"):
        await client.order_by("dedline")
    assert await client.order_by("priority") == policies.Ordering()


async def test_limits_are_set_in_the_owner_and_hold_there(owner: Owner, client: AsyncClient) -> None:
    wanted = Limit("tenant:acme", {"tasks": 3}, {"requests": Rate(2, 3600.0)})
    assert [view.limit for view in await client.limit(wanted)] == [wanted]
    tasks = [await client.submit("echo", {"value": place}, tenant="acme", resources={"gpu": 1}) for place in range(3)]
    for task in tasks[:2]:
        await task.result(timeout_s=20)
    assert (await tasks[2].why()).detail.startswith("limit 'tenant:acme' lets 2 requests start in 3600 s, and 2 did")
    (view,) = await client.limit()
    assert (view.used, view.waiting) == ({"requests": 2.0}, 1)
    with pytest.raises(InvalidInput, match=r"limits\[0\].on: must be one of lane:NAME"):
        await client.limit(Limit("acme", {"tasks": 3}))
    assert await client.limit(Limit("tenant:acme")) == []
    await tasks[2].result(timeout_s=20)
