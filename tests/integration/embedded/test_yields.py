"""Calls that give their slots away while they run: at the end of their time, or to work of a higher class."""

import asyncio

import pytest

from tests.integration.embedded.conftest import QUICK, Gate, Long, narrow, quick, until
from wsaios import Context, Scheduler, policies
from wsaios.kernel.errors import TaskFailed


async def test_short_calls_pass_a_long_one_that_used_up_its_time(url: str) -> None:
    scheduler, long = narrow(url, policy=QUICK), Long()
    scheduler.add_handler("long", long)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("long")
        await long.began.wait()
        for number in range(20):
            short = await scheduler.submit("quick", {"number": number})
            assert await short.result(timeout_s=10) == number
        assert (await task.status()).state == "running"
        before = long.pieces
        await asyncio.sleep(0.05)
        assert long.pieces > before
        long.over = True
        assert await task.result(timeout_s=10) == long.pieces
        assert [line.to_state for line in await task.history()] == ["ready", "running", "succeeded"]


async def test_a_call_that_awaits_keeps_its_level(url: str) -> None:
    scheduler = narrow(url, policy=QUICK)
    turns: list[str] = []

    @scheduler.handler("waits")
    async def waits(context: Context) -> None:
        for _ in range(6):
            await asyncio.sleep(0.01)
            turns.append("waits")
            await context.checkpoint()

    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("waits")
        later = await scheduler.submit("quick", {"number": 1})
        await asyncio.gather(task.result(timeout_s=10), later.result(timeout_s=10))
        ends = [(await each.history())[-1].at for each in (task, later)]
    # 60 ms on the clock, and next to nothing of the 2 ms of the top level: it never gave its slot away.
    assert ends[0] <= ends[1]
    assert len(turns) == 6


async def test_several_long_calls_share_one_slot(url: str) -> None:
    scheduler, calls = narrow(url, policy=policies.Mlfq(quanta_ms=(2.0, 2.0, 2.0, 2.0, 2.0), boost_s=60.0)), []
    for place in range(3):
        calls.append(Long())
        scheduler.add_handler(f"long-{place}", calls[-1])
    async with scheduler:
        tasks = [await scheduler.submit(f"long-{place}") for place in range(3)]
        await asyncio.gather(*(call.began.wait() for call in calls))
        for call in calls:
            call.over = True
        assert await asyncio.gather(*(task.result(timeout_s=10) for task in tasks)) == [call.pieces for call in calls]


async def test_work_of_a_higher_class_takes_the_slot_of_a_call_that_may_be_interrupted(url: str) -> None:
    scheduler, long, gate = narrow(url), Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("quick", quick)
    scheduler.add_handler("gate", gate)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        pieces = long.pieces
        waits = await scheduler.submit("quick", {"number": 1}, priority=-60)
        await asyncio.sleep(0.05)
        assert long.pieces <= pieces + 1
        gate.open()
        await urgent.result(timeout_s=10)
        # It goes on where it was, before what came later.
        await until(lambda: long.pieces > pieces + 1)
        assert (await waits.status()).state == "ready"
        long.over = True
        await asyncio.gather(bulk.result(timeout_s=10), waits.result(timeout_s=10))
        status = await bulk.status()
        assert (status.attempt, [line.to_state for line in await bulk.history()]) == (
            1,
            ["ready", "running", "succeeded"],
        )


async def test_nothing_interrupts_a_call_that_did_not_say_it_may_be(url: str) -> None:
    scheduler, long = narrow(url), Long()
    scheduler.add_handler("long", long)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("quick", {"number": 1}, priority=60)
        pieces = long.pieces
        await asyncio.sleep(0.05)
        assert long.pieces > pieces
        assert (await urgent.status()).state == "ready"
        long.over = True
        await asyncio.gather(bulk.result(timeout_s=10), urgent.result(timeout_s=10))


async def test_the_time_limit_stands_still_while_a_call_waits_to_go_on(url: str) -> None:
    scheduler, long, gate = narrow(url), Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True, timeout_s=0.5, max_attempts=1)
    scheduler.add_handler("gate", gate)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        await asyncio.sleep(0.7)
        long.over = True
        gate.open()
        await urgent.result(timeout_s=10)
        assert await bulk.result(timeout_s=10) == long.pieces


@pytest.mark.parametrize("verb", ["cancel", "pause"])
async def test_a_call_that_waits_to_go_on_can_be_ended(url: str, verb: str) -> None:
    scheduler, long, gate = narrow(url), Long(), Gate()
    scheduler.add_handler("long", long, preemptible=True)
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        bulk = await scheduler.submit("long", priority=-60)
        await long.began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        await getattr(scheduler, verb)(bulk.id)
        gate.open()
        await urgent.result(timeout_s=10)
        later = await scheduler.submit("quick", {"number": 7})
        assert await later.result(timeout_s=10) == 7
        assert (await bulk.status()).state == {"cancel": "cancelled", "pause": "paused"}[verb]
        if verb == "cancel":
            with pytest.raises(TaskFailed, match="cancelled"):
                await bulk.result(timeout_s=10)


async def test_a_stop_lets_what_waits_to_go_on_end(url: str) -> None:
    scheduler, long, gate = narrow(url, policy=QUICK), Long(), Gate()
    scheduler.add_handler("long", long)
    scheduler.add_handler("gate", gate)
    await scheduler.start()
    bulk = await scheduler.submit("long")
    await long.began.wait()
    urgent = await scheduler.submit("gate", {"name": 1})
    await gate.seen(1)
    stopping = asyncio.ensure_future(scheduler.stop())
    long.over = True
    gate.open()
    await stopping
    async with Scheduler(url) as second:
        assert (await second.status(bulk.id)).state == "succeeded"
        assert (await second.status(urgent.id)).state == "succeeded"


async def test_a_call_may_stop_at_a_checkpoint_and_await_a_child_at_once(url: str) -> None:
    scheduler, gate = narrow(url), Gate()
    stops, awaits = asyncio.Event(), asyncio.Event()

    @scheduler.handler("child")
    async def child() -> str:
        return "here"

    @scheduler.handler("parent", preemptible=True)
    async def parent(context: Context) -> str:
        async def pieces() -> None:
            while not awaits.is_set():
                stops.set()
                await context.checkpoint()

        async def result() -> str:
            task = await scheduler.submit("child", priority=-90)
            # It begins to await while the other part has stopped.
            await awaits.wait()
            found: str = await task.result()
            return found

        _, found = await asyncio.gather(pieces(), result())
        return found

    scheduler.add_handler("gate", gate)
    async with scheduler:
        task = await scheduler.submit("parent")
        await stops.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        awaits.set()
        await asyncio.sleep(0.02)
        gate.open()
        await urgent.result(timeout_s=10)
        assert await task.result(timeout_s=10) == "here"
        assert await (await scheduler.submit("child")).result(timeout_s=10) == "here"


async def test_all_parts_of_a_call_that_stopped_stop_and_go_on_together(url: str) -> None:
    scheduler, gate = narrow(url), Gate()
    began, over, passed = asyncio.Event(), asyncio.Event(), [0, 0, 0]

    @scheduler.handler("parts", preemptible=True)
    async def parts(context: Context) -> None:
        async def part(place: int) -> None:
            while not over.is_set():
                began.set()
                passed[place] += 1
                await context.checkpoint()

        await asyncio.gather(*(part(place) for place in range(3)))

    scheduler.add_handler("gate", gate)
    async with scheduler:
        task = await scheduler.submit("parts", priority=-60)
        await began.wait()
        urgent = await scheduler.submit("gate", {"name": 1}, priority=60)
        await gate.seen(1)
        await asyncio.sleep(0.02)
        stood = list(passed)
        await asyncio.sleep(0.02)
        assert passed == stood
        gate.open()
        await urgent.result(timeout_s=10)
        await until(lambda: all(now > then for now, then in zip(passed, stood, strict=True)))
        over.set()
        await task.result(timeout_s=10)


async def test_a_call_that_waits_to_go_on_stands_where_a_policy_chosen_later_puts_it(url: str) -> None:
    scheduler, long, gate = narrow(url, policy=QUICK), Long(), Gate()
    scheduler.add_handler("long", long)
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("long")
        await long.began.wait()
        holds = await scheduler.submit("gate", {"name": 1})
        await gate.seen(1)
        await scheduler.order_by("fcfs")
        later = await scheduler.submit("quick", {"number": 1})
        pieces = long.pieces
        gate.open()
        await holds.result(timeout_s=10)
        await until(lambda: long.pieces > pieces + 1)
        # The older one goes first, and has no time that it could use up.
        assert (await later.status()).state == "ready"
        long.over = True
        await asyncio.gather(task.result(timeout_s=10), later.result(timeout_s=10))


async def test_a_call_that_runs_learns_that_its_time_is_limited_from_now_on(url: str) -> None:
    scheduler, long = narrow(url, policy="fcfs"), Long()
    scheduler.add_handler("long", long)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("long")
        await long.began.wait()
        await scheduler.order_by(QUICK)
        for number in range(5):
            short = await scheduler.submit("quick", {"number": number})
            assert await short.result(timeout_s=10) == number
        assert (await task.status()).state == "running"
        long.over = True
        await task.result(timeout_s=10)


async def test_tenants_share_the_slot_and_not_the_number_of_their_calls(url: str) -> None:
    scheduler = narrow(url, policy=QUICK, fair_share=True)
    calls = {tenant: [Long() for _ in range(count)] for tenant, count in (("many", 20), ("one", 1))}
    for tenant, each in calls.items():
        for place, call in enumerate(each):
            scheduler.add_handler(f"{tenant}-{place}", call)

    def pieces(tenant: str) -> int:
        return sum(call.pieces for call in calls[tenant])

    async with scheduler:
        tasks = [
            await scheduler.submit(f"{tenant}-{place}", tenant=tenant)
            for tenant, each in calls.items()
            for place in range(len(each))
        ]
        await until(lambda: pieces("many") + pieces("one") > 1500)
        shares = pieces("many"), pieces("one")
        for each in calls.values():
            for call in each:
                call.over = True
        await asyncio.gather(*(task.result(timeout_s=20) for task in tasks))
    # By calls it would be a twenty-first.
    assert shares[1] > sum(shares) / 4


@pytest.mark.parametrize("what", ["lane:default", "all"])
async def test_what_runs_already_goes_on_where_nothing_may_start(url: str, what: str) -> None:
    scheduler, long, gate = narrow(url, policy=QUICK), Long(), Gate()
    scheduler.add_handler("long", long)
    scheduler.add_handler("gate", gate)
    scheduler.add_handler("quick", quick)
    async with scheduler:
        task = await scheduler.submit("long")
        await long.began.wait()
        holds = await scheduler.submit("gate", {"name": 1})
        await gate.seen(1)
        better = await scheduler.submit("quick", {"number": 1})
        await scheduler.pause(what)
        long.over = True
        gate.open()
        await holds.result(timeout_s=10)
        await task.result(timeout_s=10)
        assert (await better.status()).state == "ready"
        await scheduler.resume(what)
        await better.result(timeout_s=10)
