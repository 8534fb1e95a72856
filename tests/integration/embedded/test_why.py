"""What `why` says of calls that rest, of slots that are kept, and of when a task will start."""

import asyncio
import sys
import time
from typing import Any

from tests.integration.embedded.conftest import QUICK, Gate, Long, narrow, quick, until
from wsaios import LaneSpec, Scheduler


async def command(*arguments: str) -> str:
    """What the command line prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wsaios", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_a_call_that_stopped_at_a_checkpoint_says_so_and_where_it_stands(url: str) -> None:
    scheduler, gate, calls = narrow(url, policy=QUICK), Gate(), [Long(), Long()]
    for place, call in enumerate(calls):
        scheduler.add_handler(f"long-{place}", call)
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        tasks = [await scheduler.submit(f"long-{place}") for place in range(2)]
        await asyncio.gather(*(call.began.wait() for call in calls))
        holds = await scheduler.submit("gate", {"name": 1})
        await gate.seen(1)
        found = sorted([await task.why() for task in tasks], key=lambda why: why.ahead or 0)
        assert [(why.state, why.waits_for, why.ahead, why.starts_in_s) for why in found] == [
            ("running", "slot", 0, None),
            ("running", "order", 1, None),
        ]
        assert {why.detail for why in found} == {
            "attempt 1 stopped at a checkpoint, and waits to go on in lane 'default'"
        }
        began = {task.id: (await task.history())[-1].at for task in tasks}
        assert all(why.since > began[why.id] for why in found)

        # What has not used up any time goes first.
        better = await scheduler.submit("quick", {"number": 1})
        assert sorted([(await task.why()).ahead or 0 for task in tasks]) == [1, 2]
        assert (await better.why()).ahead == 0
        said = await command("task", "why", found[1].id, "--ledger", url)
        assert said.startswith(f"{found[1].id} is running: {found[1].detail} (since ")
        assert said.endswith("; 2 before it\n")

        gate.open()
        await holds.result(timeout_s=10)
        for call in calls:
            call.over = True
        await asyncio.gather(*(task.result(timeout_s=10) for task in (better, *tasks)))


async def test_a_call_that_waits_to_go_on_stands_before_what_is_worse(url: str) -> None:
    scheduler, gate, long = narrow(url), Gate(), Long()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        assert str(await bulk.why()).startswith(f"{bulk.id} is running: attempt 1 runs (since ")
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        later = await scheduler.submit("quick", {"number": 1}, priority=-60)
        why = await later.why()
        assert (why.waits_for, why.ahead, why.detail) == ("order", 1, "waits for its turn in lane 'default'")
        gate.open()
        await urgent.result(timeout_s=10)
        pieces = long.pieces
        await until(lambda: long.pieces > pieces)
        why = await later.why()
        assert (why.waits_for, why.ahead) == ("slot", 0)
        assert (await bulk.why()).detail == "attempt 1 runs"
        long.over = True
        await asyncio.gather(bulk.result(timeout_s=10), later.result(timeout_s=10))


async def test_slots_that_are_kept_for_better_classes_are_named_when_they_are_the_reason(url: str) -> None:
    lane = LaneSpec("default", 4, reserved={"interactive": 1, "default": 1})
    scheduler, gate = Scheduler(url, lanes={"default": lane}, grace_s=2), Gate()
    scheduler.add_handler("gate", gate)

    async def come(name: str, **options: Any) -> Any:
        return await scheduler.submit("gate", {"name": name}, **options)

    async with scheduler:
        for _ in range(2):
            await come("bulk", priority=-60)
        await gate.seen(2)
        bulk = [await come("bulk", priority=-60) for _ in range(2)]
        assert (await bulk[0].why()).detail == (
            "2 of 4 slots of lane 'default' are taken, 2 are kept for default and interactive work"
        )
        why = await bulk[1].why()
        assert (why.waits_for, why.ahead) == ("order", 1)
        assert why.detail == (
            "waits for its turn in lane 'default', where 2 free slots are kept for default and interactive work"
        )

        await come("default")
        await gate.seen(3)
        default = await come("default")
        assert (await default.why()).detail == (
            "3 of 4 slots of lane 'default' are taken, 1 is kept for interactive work"
        )
        await come("interactive", priority=60)
        await gate.seen(4)
        assert (await default.why()).detail == "4 of 4 slots of lane 'default' are taken"
        gate.open()
        await asyncio.gather(*(task.result(timeout_s=10) for task in (*bulk, default)))


async def test_why_says_whether_a_deadline_will_be_met_and_whether_it_was(url: str) -> None:
    scheduler, gate = narrow(url), Gate()
    scheduler.add_handler("gate", gate)

    @scheduler.handler("nap")
    async def nap() -> None:
        await asyncio.sleep(0.2)

    async with scheduler:
        unknown = await scheduler.submit("nap", deadline=time.time() + 60)
        assert (await unknown.why()).in_time is None
        await unknown.result(timeout_s=10)
        assert (await unknown.why()).in_time is True

        holds = await scheduler.submit("gate", {"name": 1})
        await gate.seen(1)
        near, far, past = [
            await scheduler.submit("nap", deadline=time.time() + seconds) for seconds in (0.1, 3600.0, -1.0)
        ]
        later = await scheduler.submit("nap", delay_s=60, deadline=time.time() + 30)
        said = [await task.why() for task in (near, far, past, later, holds)]
        assert [why.in_time for why in said] == [False, True, False, False, None]
        assert said[0].deadline is not None
        assert said[4].deadline is None
        assert str(said[0]).endswith(f"; its deadline of {said[0].deadline:%H:%M:%S} UTC will likely be missed")
        assert "UTC will likely be met" in await command("task", "why", far.id, "--ledger", url)

        gate.open()
        for task in (near, far, past):
            await task.result(timeout_s=10)
        assert [(await task.why()).in_time for task in (near, far, past)] == [False, True, False]
        assert str(await near.why()).endswith("UTC was missed")
