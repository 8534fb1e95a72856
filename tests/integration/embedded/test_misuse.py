"""What people do to a scheduler that nobody meant."""

import asyncio
import dataclasses
import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wsaios import Context, GiveUp, Limits, RetryAfter, Scheduler, Settings, errors

SURROGATE = os.fsdecode(b"caf\xe9.txt")


@pytest.mark.parametrize("raised", [ValueError(SURROGATE), GiveUp(SURROGATE), RuntimeError("nul \0 in it")])
async def test_text_that_utf8_cannot_carry_ends_only_its_own_task(scheduler: Scheduler, raised: Exception) -> None:
    calls: list[int] = []

    @scheduler.handler("odd", max_attempts=1)
    async def odd(context: Context) -> None:
        calls.append(1)
        context.progress(0.5, SURROGATE)
        raise raised

    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        task = await scheduler.submit("odd")
        with pytest.raises(errors.TaskFailed):
            await task.result(timeout_s=10)
        assert await (await scheduler.submit("one")).result(timeout_s=10) == 1
        await scheduler.pause("lane:thread", reason=SURROGATE)
        with pytest.raises(errors.InvalidInput, match="reason"):
            await scheduler.pause("all", reason=5)  # type: ignore[arg-type]  # what is refused
        with pytest.raises(errors.InvalidInput, match="name"):
            await scheduler.submit_many("one", [], name=object())  # type: ignore[arg-type]  # the same
    assert calls == [1]


async def test_retry_after_with_odd_text_is_heeded(scheduler: Scheduler) -> None:
    asked: list[int] = []

    @scheduler.handler("later")
    async def later() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise RetryAfter(0.001, SURROGATE)
        return 7

    async with scheduler:
        assert await (await scheduler.submit("later")).result(timeout_s=10) == 7
    assert len(asked) == 2


async def test_a_time_to_wait_that_no_ledger_can_hold_harms_nobody_else(scheduler: Scheduler) -> None:
    class Later(RetryAfter):
        """One that an engine is told of although nobody may say it."""

        def __init__(self) -> None:
            super().__init__(0)
            self.seconds = 1e300

    def never() -> None:
        raise Later

    scheduler.add_handler("never", never)
    scheduler.add_handler("one", lambda: 1)
    async with scheduler:
        task = await scheduler.submit("never")
        assert await (await scheduler.submit("one")).result(timeout_s=10) == 1
        assert (await task.why()).waits_for == "time"
        with pytest.raises(errors.InvalidInput, match="timeout_s"):
            await task.result(timeout_s="soon")  # type: ignore[arg-type]  # what is refused


@dataclasses.dataclass
class Record:
    """A class that a handler returns by mistake instead of an instance."""

    number: int


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("lane", ["default", "thread"])
async def test_a_class_as_result_is_a_clear_failure(scheduler: Scheduler, lane: str, batched: bool) -> None:
    async def coroutine(rows: object = None) -> object:
        return [Record] if batched else Record

    def function(rows: object = None) -> object:
        return [Record] if batched else Record

    size = 8 if batched else None
    scheduler.add_handler("odd", coroutine if lane == "default" else function, batch_size=size, max_attempts=1)
    async with scheduler:
        with pytest.raises(errors.TaskFailed) as caught:
            await (await scheduler.submit("odd", {})).result(timeout_s=10)
    assert caught.value.kind == "ResultNotJson"


async def test_a_ledger_has_one_owner_by_whatever_name_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    async with Scheduler(f"sqlite:///{tmp_path}/real.db"):
        with pytest.raises(errors.LedgerOwned):
            await Scheduler(f"sqlite:///{tmp_path}/link.db").start()


async def test_a_handler_in_a_thread_may_submit_and_wait(scheduler: Scheduler) -> None:
    async def child_of() -> object:
        child = await scheduler.submit("child", {"number": 20})
        return await child.result(timeout_s=10)

    scheduler.add_handler("child", lambda number: number + 1)
    scheduler.add_handler("parent", lambda: asyncio.run(child_of()))
    async with scheduler:
        assert await (await scheduler.submit("parent")).result(timeout_s=20) == 21


async def test_as_completed_ends_with_an_error_when_the_scheduler_stops(scheduler: Scheduler) -> None:
    async with scheduler:
        task = await scheduler.submit("never")

        async def follow() -> None:
            async for _ in scheduler.as_completed([task.id]):  # type: ignore[list-item]  # ids do as well
                pytest.fail("nothing can end")

        following = asyncio.ensure_future(follow())
        await scheduler.flush()
    with pytest.raises(errors.NotRunning):
        await asyncio.wait_for(following, 10)


async def test_started_twice_at_once_and_a_stop_that_is_cancelled_come_to_the_same_end(url: str) -> None:
    scheduler = Scheduler(url, grace_s=0.3)
    begun = asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        await asyncio.Event().wait()

    scheduler.add_handler("stubborn", stubborn)
    await asyncio.gather(scheduler.start(), scheduler.start())
    await scheduler.submit("stubborn")
    await begun.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scheduler.stop(), 0.01)
    await scheduler.stop()
    async with Scheduler(url):
        assert not Path(f"{url.removeprefix('sqlite:///')}.sock").is_dir()


async def test_a_watcher_that_hangs_delays_nobody_else(url: str) -> None:
    release, heard = threading.Event(), threading.Event()
    async with Scheduler(url) as scheduler:
        scheduler.state.watch("*", lambda *_: release.wait(20))
        scheduler.state.watch("*", lambda *_: heard.set())
        scheduler.state.set("x", 1)
        told = await asyncio.to_thread(heard.wait, 10)
        release.set()
    assert told


async def test_the_interpreter_is_left_as_it_was_found(tmp_path: Path) -> None:
    before = (sys.getswitchinterval(), gc.get_threshold())
    one, two = Scheduler(f"sqlite:///{tmp_path}/1.db"), Scheduler(f"sqlite:///{tmp_path}/2.db")
    await one.start()
    await two.start()
    await one.stop()
    await two.stop()
    assert (sys.getswitchinterval(), gc.get_threshold()) == before


async def test_actions_are_accepted_together_or_not_at_all(scheduler: Scheduler) -> None:
    ran: list[int] = []

    def note(number: int) -> None:
        ran.append(number)

    scheduler.executor.register("note", note)
    async with scheduler:
        for wrong in ({"target": "note", "params": {}}, 5, {"type": "telepathy", "target": "note"}):
            with pytest.raises(errors.InvalidInput, match="action 2"):
                await scheduler.executor.submit([{"target": "note", "params": {"number": 1}}, wrong])  # type: ignore[list-item]  # refused
        (task,) = await scheduler.executor.submit([{"target": "note", "params": {"number": 2}}])
        await scheduler.result(task, timeout_s=10)
    assert ran == [2]


@pytest.mark.parametrize("actions", [None, 5, "f", {"target": "f"}])
async def test_what_is_no_list_of_actions_is_refused(scheduler: Scheduler, actions: Any) -> None:
    async with scheduler:
        with pytest.raises(errors.InvalidInput, match="actions: must be a list"):
            await scheduler.executor.submit(actions)


async def test_an_exception_without_a_text_is_told_by_its_name_alone(scheduler: Scheduler) -> None:
    def fails() -> None:
        raise ConnectionError

    scheduler.add_handler("fails", fails, max_attempts=1)
    async with scheduler:
        task = await scheduler.submit("fails")
        with pytest.raises(errors.TaskFailed) as caught:
            await task.result(timeout_s=10)
        status = await task.status()
    assert str(caught.value) == f"{task.id} failed: ConnectionError"
    assert (status.reason, caught.value.kind, caught.value.message) == ("ConnectionError", "ConnectionError", "")


async def test_a_handler_carries_defaults_of_its_tasks_and_a_failed_registration_leaves_its_name_free(url: str) -> None:
    scheduler = Scheduler(url)

    async def work() -> int:
        return 1

    with pytest.raises(errors.InvalidInput, match="lane"):
        scheduler.add_handler("work", work, lane="thread")
    scheduler.add_handler("work", work, priority=7, tenant="night", concurrency_key="k")
    with pytest.raises(errors.InvalidInput, match="priority"):
        scheduler.add_handler("other", work, priority="high")
    async with scheduler:
        status = await (await scheduler.submit("work")).status()
        own = await (await scheduler.submit("work", priority=1)).status()
        batch = await scheduler.submit_many("work", [{}])
        row = await batch[0].status()
    assert [(each.priority, each.tenant) for each in (status, own, row)] == [(7, "night"), (1, "night"), (7, "night")]


async def test_an_idempotency_key_does_not_mind_the_order_of_arguments(scheduler: Scheduler) -> None:
    scheduler.add_handler("pair", lambda a, b: [a, b])
    async with scheduler:
        one = await scheduler.submit("pair", {"a": 1, "b": {"x": 1, "y": 2}}, idempotency_key="k")
        assert await scheduler.submit("pair", {"b": {"y": 2, "x": 1}, "a": 1}, idempotency_key="k") == one


@pytest.mark.parametrize(
    "settings, field",
    [
        ({"limits": Limits(pending_rows=0)}, "limits.pending_rows"),
        ({"limits": Limits(payload_bytes=True)}, "limits.payload_bytes"),
        ({"limits": 5}, "limits"),
        ({"settings": 5}, "settings"),
        ({"lanes": 5}, "lanes"),
    ],
)
def test_settings_that_nothing_could_work_with_are_refused(url: str, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        Scheduler(url, **settings)
    assert caught.value.field == field


def test_settings_stand_alone(url: str) -> None:
    with pytest.raises(errors.InvalidInput, match="settings"):
        Scheduler(url, grace_s=1, settings=Settings())
    with pytest.raises(errors.InvalidInput, match="grace_s"):
        Scheduler(url, grace_s=-1)
    with pytest.raises(errors.InvalidInput, match="lanes"):
        Scheduler(url, lanes={"": 1})
