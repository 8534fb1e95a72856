"""Triggers of an embedded scheduler, from their declaration to what they start."""

import asyncio
import datetime as dt
from collections.abc import Callable

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Scheduler, Settings
from wsaios.kernel.errors import InvalidInput, NotPossible, UnknownTrigger

NOW = dt.datetime.now(dt.UTC)


async def results(scheduler: Scheduler, *names: str) -> list[object]:
    """What the tasks that these triggers started last have given."""
    views = [await scheduler.triggers.get(name) for name in names]
    return [await scheduler.result(view.last_started or "", timeout_s=20) for view in views]


async def test_each_kind_starts_what_it_was_declared_for(scheduler: Scheduler) -> None:
    ran: list[object] = []
    done, ticked = asyncio.Event(), asyncio.Event()

    @scheduler.on_event("upload", where="event.data.size > 1")
    async def index(path: str, size: int) -> str:
        ran.append(path)
        return f"{path}:{size}"

    @scheduler.on_change("site.rank", where="change.new < change.old")
    async def celebrate(new: int) -> int:
        done.set()
        return new

    @scheduler.handler("note")
    async def note(text: str) -> str:
        if text.endswith("+00:00"):
            ticked.set()
        return text

    scheduler.at(NOW, "note", {"text": "at ${ trigger.name }"}, name="once")
    scheduler.cron("* * * * * *", "note", {"text": "${ trigger.at }"}, name="tick")
    async with scheduler:
        assert (await scheduler.emit("upload", {"path": "a", "size": 1})).startswith("event_")
        await scheduler.emit("upload", {"path": "b", "size": 2})
        scheduler.state.set("site.rank", 5)
        await scheduler.flush()
        scheduler.state.set("site.rank", 3)
        await asyncio.wait_for(done.wait(), 20)
        assert await results(scheduler, "index", "celebrate", "once") == ["b:2", 3, "at once"]
        await asyncio.wait_for(ticked.wait(), 20)
        (tick,) = await results(scheduler, "tick")
        assert str(tick).endswith("+00:00")
        views = {view.name: (view.state, view.fired) for view in await scheduler.triggers.list()}
        assert views["once"] == ("done", 1)
        assert views["index"] == ("active", 1)
    assert ran == ["b"]


async def test_a_trigger_that_is_declared_again_goes_on_and_one_in_the_past_does_not_fire_again(url: str) -> None:
    for turn in range(2):
        async with Scheduler(url) as scheduler:
            ran = []

            @scheduler.handler("note")
            async def note(turn: int) -> None:
                ran.append(turn)  # noqa: B023  # each turn has its own

            scheduler.at(NOW, "note", {"turn": turn}, name="once")
            scheduler.on_event("e", "note", {"turn": turn})
            await scheduler.emit("e")
            await results(scheduler, "note", "once")
            view = await scheduler.triggers.get("once")
            assert (view.fired, view.state) == (1, "done")
            assert ran == ([1] if turn else [0, 0])


async def test_a_batch_is_started_from_an_event(scheduler: Scheduler) -> None:
    @scheduler.handler("double")
    async def double(number: int) -> int:
        return 2 * number

    scheduler.on_event("numbers", "double", rows="${ event.data.rows }", name="doubling")
    async with scheduler:
        await scheduler.emit("numbers", {"rows": [{"number": 1}, {"number": 2}]})
        batch = (await scheduler.triggers.get("doubling")).last_started
        assert batch is not None
        view = await scheduler.wait(batch, timeout_s=20)
        assert (view.rows, view.ended, view.meta) == (2, {"succeeded": 2}, {"name": "doubling"})


async def test_overlap_is_heeded_and_pausing_removing_and_firing_do_what_they_say(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler:
        triggers = scheduler.triggers
        await triggers.on_event("e", "gate", {"name": "${ event.data }"}, name="queue", overlap="queue")
        for number in range(3):
            await scheduler.emit("e", number)
        await gate.seen(1)
        assert ((await triggers.get("queue")).waiting, gate.came) == (2, [0])
        gate.open()
        await gate.seen(3)
        assert gate.came == [0, 1, 2]
        assert (await triggers.pause("queue")).state == "paused"
        await scheduler.emit("e", 3)
        with pytest.raises(NotPossible, match="resume it first"):
            await triggers.fire("queue")
        await triggers.resume("queue")
        await scheduler.emit("e", 4)
        await gate.seen(4)
        await triggers.cron("0 3 * * *", "gate", {"name": "fired"}, name="nightly", tz="Europe/Berlin")
        await triggers.fire("nightly")
        await gate.seen(5)
        assert gate.came[3:] == [4, "fired"]
        times = await triggers.next("nightly", 3)
        assert len(times) == 3
        assert {time.astimezone(dt.UTC).hour for time in times} <= {1, 2}
        assert times[0] > dt.datetime.now(dt.UTC)
        await triggers.remove("queue")
        with pytest.raises(UnknownTrigger, match="there are nightly"):
            await triggers.get("queue")
        await scheduler.emit("e", 5)
        assert [view.name for view in await triggers.list()] == ["nightly"]


async def test_what_is_declared_while_it_runs_is_durable_after_a_flush(url: str) -> None:
    async with Scheduler(url) as scheduler:
        scheduler.cron("0 3 * * *", "nobody", {"day": "${ trigger.at }"}, overlap="queue", priority=7)
        await scheduler.flush()
    async with Scheduler(url) as scheduler:
        (view,) = await scheduler.triggers.list()
        assert (view.name, view.spec.overlap) == ("nobody", "queue")
        assert view.spec.start.options == {"priority": 7}


async def test_a_scheduler_that_serves_nobody_fires_nothing_and_keeps_events(url: str) -> None:
    async with Scheduler(url) as first:
        await first.triggers.on_event("e", "note", name="t")
    alone = Scheduler(url, settings=Settings(serves=False))
    async with alone:
        await alone.emit("e", {"n": 1})
        await alone.triggers.on_event("e", "note", name="late")
        assert [view.fired for view in await alone.triggers.list()] == [0, 0]
    async with Scheduler(url) as second:
        assert [view.fired for view in await second.triggers.list()] == [1, 0]


def test_triggers_are_declared_from_any_thread(scheduler: Scheduler) -> None:
    async def main() -> None:
        async with scheduler:
            await asyncio.to_thread(scheduler.on_event, "e", "nobody")
            await scheduler.flush()
            assert [view.name for view in await scheduler.triggers.list()] == ["nobody"]

    asyncio.run(main())


@pytest.fixture
def bare(url: str) -> Scheduler:
    return Scheduler(url)


def test_what_could_never_fire_is_refused_where_it_is_written(bare: Scheduler) -> None:
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: bare.cron("61 * * * *", "h"), "cron: '61 \\* \\* \\* \\*' cannot be read: bad minute"),
        (lambda: bare.cron("0 3 * * *", "h", tz="Europe/Nowhere"), "tz: there is no time zone 'Europe/Nowhere'"),
        (lambda: bare.cron("0 3 * * *", "h", overlap="replace"), "overlap: must be one of allow, skip, queue"),
        (lambda: bare.cron("0 3 * * *", "h", catch_up="some"), "catch_up: must be one of none, one, all"),
        (lambda: bare.cron("0 3 * * *", "h", catch_up_limit=0), "catch_up_limit: must be a whole number from 1"),
        (lambda: bare.cron("0 3 * * *", "h", run_at=5), "run_at: what a trigger starts has none"),
        (lambda: bare.cron("0 3 * * *", "h", prioritty=5), "prioritty: no such option of a trigger"),
        (lambda: bare.cron("0 3 * * *", "h", priority="high"), "priority: must be a whole number"),
        (lambda: bare.cron("0 3 * * *", ""), "handler: must be 1 to 200 printable characters"),
        (lambda: bare.cron("0 3 * * *", "h", [1]), "arguments: must be a mapping"),  # type: ignore[call-overload]
        (lambda: bare.cron("0 3 * * *", "h", {"x": object()}), "object is not a JSON value"),
        (lambda: bare.cron("0 3 * * *", "h", {"x": "${ event.data }"}), "there is no 'event' here; there are trigger"),
        (lambda: bare.cron("0 3 * * *", "h", {"x": "${ 1 + }"}), "expression '1 \\+'"),
        (lambda: bare.cron("0 3 * * *", "h", {}, rows=[]), "rows: give either arguments or rows"),
        (lambda: bare.cron("0 3 * * *", "h", rows=[1]), "row 1: must be a mapping"),
        (lambda: bare.cron("0 3 * * *", "h", rows="text"), "rows: must be a list of mappings, or one expression"),
        (lambda: bare.cron("0 3 * * *", "h", name=""), "trigger name: must be 1 to 200"),
        (lambda: bare.at(dt.datetime(2026, 1, 1), "h"), "at: a datetime needs a time zone"),  # noqa: DTZ001  # that is it
        (lambda: bare.at(-5, "h"), "at: must be a number of seconds"),
        (lambda: bare.on_event("", "h"), "event: must be 1 to 200"),
        (lambda: bare.on_event("e", "h", where="size(event.data"), "expression"),
        (lambda: bare.on_event("e", "h", where="evnt.data == 1"), "there is no 'evnt' here; there are trigger, event"),
        (lambda: bare.on_change("a..b", "h"), "key: 'a..b' must be names with single dots"),
        (lambda: bare.on_change("a*b", "h"), "stands only at the end"),
        (lambda: bare.on_event("e", "h", {"x": "y" * (1 << 20)}), "1,048,576 are the most"),
    ]
    for declare, told in refused:
        with pytest.raises(InvalidInput, match=told):
            declare()
    bare.cron("0 3 * * *", "h")
    bare.cron("0 3 * * *", "h")
    with pytest.raises(InvalidInput, match="declares two triggers 'h'; give one of them another name"):
        bare.cron("0 4 * * *", "h")


async def test_events_that_cannot_be_told_are_refused(scheduler: Scheduler) -> None:
    async with scheduler:
        for name, data, told in (
            ("", 1, "event: must be"),
            ("e", object(), "data: object is not a JSON value"),
            ("e", float("nan"), "data: nan"),
            ("e", "x" * (1 << 20), "bytes as JSON; this scheduler takes"),
        ):
            with pytest.raises(InvalidInput, match=told):
                await scheduler.emit(name, data)
