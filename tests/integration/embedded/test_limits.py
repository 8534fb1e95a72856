"""Limits as users set them: in code, while work runs, on the command line; what they let through, and what they say."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.integration.embedded.conftest import Gate
from tests.integration.processes import handlers
from wsaios import Client, Context, LaneSpec, Learn, Limit, Rate, RetryAfter, Scheduler, Settings
from wsaios.cli import app
from wsaios.kernel.errors import InvalidInput

LIMIT_S = 30.0


async def seen(gate: Gate, count: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        await gate.seen(count)


async def test_a_limit_holds_back_goes_on_at_once_and_why_names_it_and_who_holds_it(url: str) -> None:
    gate = Gate()
    async with Scheduler(url, limits=[Limit("tenant:acme", {"tasks": 1})]) as scheduler:
        scheduler.add_handler("gate", gate)
        first = await scheduler.submit("gate", {"name": 1}, tenant="acme")
        await seen(gate, 1)
        second, third = [await scheduler.submit("gate", {"name": name}, tenant="acme") for name in (2, 3)]
        other = await scheduler.submit("gate", {"name": 4}, tenant="other")
        await seen(gate, 2)
        why = await third.why()
        assert (why.waits_for, why.ahead) == ("limit", 1)
        assert why.detail == f"limit 'tenant:acme' lets 1 run at a time, and 1 do; held by {first.id}"
        (view,) = await scheduler.limit(Limit("tenant:acme", {"tasks": 2}))
        assert view.limit.running == {"tasks": 2}
        await seen(gate, 3)
        gate.open()
        for task in (first, second, third, other):
            await task.result(timeout_s=LIMIT_S)
    assert gate.came == [1, 4, 2, 3]


async def test_why_names_who_holds_a_concurrency_key(url: str) -> None:
    gate = Gate()
    scheduler = Scheduler(url)
    scheduler.add_handler("gate", gate, concurrency_key="door")
    async with scheduler:
        first = await scheduler.submit("gate")
        await seen(gate, 1)
        second = await scheduler.submit("gate")
        assert (await second.why()).detail == f"concurrency key 'door' is at its limit; held by {first.id}"
        gate.open()
        await second.result(timeout_s=LIMIT_S)


async def test_limits_of_lanes_and_handlers_come_with_them_and_a_set_one_counts_before(url: str) -> None:
    gate, lane = Gate(), LaneSpec("gpu", 10, resources={"gpu": 1.0})
    async with Scheduler(url, lanes={"gpu": lane}) as scheduler:
        scheduler.add_handler("gate", gate, lane="gpu", resources={"gpu": 0.25}, running=3)
        tasks = [await scheduler.submit("gate", {"name": name}) for name in range(9)]
        await seen(gate, 3)
        assert [(each.limit.on, each.running) for each in await scheduler.limit()] == [
            ("handler:gate", {"tasks": 3}),
            ("lane:gpu", {"tasks": 3, "gpu": 0.75}),
        ]
        await scheduler.limit(Limit("handler:gate", {"tasks": 9}))
        await seen(gate, 4)
        why = await tasks[8].why()
        assert why.detail.startswith("limit 'lane:gpu' has 0 of 1 gpu left, and it asks for 0.25; held by ")
        assert why.detail.endswith(" and 1 other")
        gate.open()
        for task in tasks:
            await task.result(timeout_s=LIMIT_S)


async def test_a_rate_wakes_by_itself_and_goes_on_after_a_restart_where_it_was(url: str) -> None:
    began: list[float] = []

    def call() -> None:
        began.append(time.monotonic())

    limits = [Limit("handler:call", rates={"requests": Rate(4, 1.0)})]
    async with Scheduler(url, limits=limits) as scheduler:
        scheduler.add_handler("call", call)
        tasks = [await scheduler.submit("call") for _ in range(9)]
        for task in tasks[:3]:
            await task.result(timeout_s=LIMIT_S)
    scheduler = Scheduler(url)
    scheduler.add_handler("call", call)
    async with scheduler:
        for task in tasks:
            await scheduler.result(task.id, timeout_s=LIMIT_S)
    assert len(began) == 9
    # Decided at least a second apart; a commit and a thread come in between, so a little less is seen.
    assert began[4] - began[0] > 0.9
    assert began[8] - began[4] > 0.9


@pytest.mark.parametrize("lane", ["default", "thread", "process"])
async def test_what_a_call_did_not_use_is_given_back(url: str, lane: str) -> None:
    async def coroutine(context: Context) -> None:
        context.used(tokens=10)

    def function(context: Context) -> None:
        context.used(tokens=10)

    chosen = {"default": coroutine, "thread": function, "process": handlers.spend}[lane]
    limits = [Limit(f"lane:{lane}", rates={"tokens": Rate(100, 3600)})]
    async with Scheduler(url, limits=limits) as scheduler:
        scheduler.add_handler("spend", chosen, lane=lane, costs={"tokens": 60})
        tasks = [await scheduler.submit("spend") for _ in range(4)]
        for task in tasks:
            await task.result(timeout_s=LIMIT_S)
        (view,) = await scheduler.limit()
        assert view.used == {"tokens": 40}


async def test_a_handler_finds_out_how_many_calls_a_service_takes(url: str) -> None:
    inside, refused = 0, 0

    async def ask() -> None:
        nonlocal inside, refused
        inside += 1
        try:
            if inside > 4:
                refused += 1
                raise RetryAfter(0.01, "too many")
            await asyncio.sleep(0.005)
        finally:
            inside -= 1

    async with Scheduler(url) as scheduler:
        scheduler.add_handler("ask", ask, learn=Learn(start=32))
        tasks = [await scheduler.submit("ask") for _ in range(200)]
        for task in tasks:
            await task.result(timeout_s=LIMIT_S)
        (view,) = await scheduler.limit()
    assert view.allowed is not None
    assert view.allowed < 12
    # Without learning each of 200 would be refused again and again.
    assert refused < 150


@pytest.mark.parametrize(
    "limits, told",
    [
        (
            [Limit("tenant", {"tasks": 1})],
            "limits[0].on: must be one of lane:NAME, handler:NAME, tenant:NAME, key:NAME",
        ),
        ([Limit("tennant:a", {"tasks": 1})], "did you mean 'tenant'?"),
        ([Limit("key:a"), Limit("key:a")], "limits[1]: there are two for 'key:a'"),
        ([Limit("key:a", {"tasks": 1.5})], "limits[0].running['tasks']: must be a whole number from 0 to 1000000"),
        ([Limit("key:a", {"g p u": 1})], "a unit is called by letters, digits and _"),
        ([Limit("key:a", {"gpu": -1})], "limits[0].running['gpu']: must be a number from 1e-06"),
        ([Limit("key:a", rates={"requests": 5})], "limits[0].rates['requests']: must be Rate(amount, per_s), not 5"),  # type: ignore[dict-item]
        ([Limit("key:a", rates={"requests": Rate(0.5, 1)})], "rates['requests'].amount: must be a number from 1 to"),
        ([Limit("key:a", rates={"requests": Rate(5, 0)})], "rates['requests'].per_s: must be a number of seconds"),
        ([Limit("key:a", learn=Learn(start=5, most=3))], "limits[0].learn.start: must be a whole number from 1 to 3"),
        ({"key:a": 1}, "limits: must be a list of Limit(…)"),
    ],
)
def test_a_limit_that_could_not_hold_is_refused_by_name(url: str, limits: Any, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Scheduler(url, limits=limits)
    assert told in str(caught.value)


async def test_odd_asks_are_refused_and_change_nothing(scheduler: Scheduler) -> None:
    with pytest.raises(InvalidInput, match=r"rates\['requests'\]: must be AMOUNT/TIME, such as 60/m"):
        scheduler.add_handler("a", print, rates={"requests": "60"})
    with pytest.raises(InvalidInput, match=r"running: must be a whole number from 1"):
        scheduler.add_handler("a", print, running=0)
    with pytest.raises(InvalidInput, match=r"resources\['tasks'\]: tasks are counted by themselves"):
        scheduler.add_handler("a", print, resources={"tasks": 1})
    with pytest.raises(InvalidInput, match=r"lanes\['gpu'\].resources\['gpu'\]: must be a number from 0"):
        Scheduler(scheduler.url, settings=Settings(lanes=(LaneSpec("gpu", 1, resources={"gpu": -1.0}),)))
    await scheduler.start()
    with pytest.raises(InvalidInput, match=r"costs\['requests'\]: requests are counted by themselves"):
        await scheduler.submit("a", costs={"requests": 2})
    with pytest.raises(InvalidInput, match=r"limit.on: there is no lane 'gpv'; there are default"):
        await scheduler.limit(Limit("lane:gpv", {"gpu": 1.0}))
    assert await scheduler.limit() == []


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    made = tmp_path / "work.db"
    with Client(f"sqlite:///{made}") as client:
        client.submit("any")
    return made


def limit(ledger: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["limit", *words, "--ledger", str(ledger)])


def test_the_command_sets_shows_lists_and_removes_limits(ledger: Path) -> None:
    assert limit(ledger, "list").stdout == "no limits\n"
    words = [
        "--running",
        "5",
        "--running",
        "gpu=0.5",
        "--rate",
        "60/m",
        "--rate",
        "tokens=1e5/30s",
        "--learn",
        "start=3",
    ]
    assert limit(ledger, "set", "tenant:acme", *words).exit_code == 0
    assert limit(ledger, "set", "key:*", "--running", "1").exit_code == 0
    found = json.loads(limit(ledger, "show", "tenant:acme", "--json").stdout)["limit"]
    assert found == {
        "on": "tenant:acme",
        "running": {"tasks": 5.0, "gpu": 0.5},
        "rates": {"requests": {"amount": 60.0, "per_s": 60.0}, "tokens": {"amount": 100_000.0, "per_s": 30.0}},
        "learn": {"start": 3, "least": 1, "most": 1000, "cut": 0.5},
    }
    table = limit(ledger, "list").stdout
    assert "0/5 tasks, 0/0.5 gpu, 0/60 requests in 60 s, 0/100000 tokens in 30 s" in table
    assert limit(ledger, "remove", "tenant:acme").stdout == "no limit for tenant:acme\n"
    assert [each["limit"]["on"] for each in json.loads(limit(ledger, "list", "--json").stdout)] == ["key:*"]


@pytest.mark.parametrize(
    "words, told",
    [
        (["set", "tenant:a"], "say --running, --rate or --learn"),
        (["set", "a", "--running", "1"], "must be one of lane:NAME"),
        (["set", "tenant:a", "--running", "many"], "running tasks: must be a number, not 'many'"),
        (["set", "tenant:a", "--running", "1", "--running", "2"], "running tasks: is set twice"),
        (["set", "tenant:a", "--rate", "60"], "rate requests: must be AMOUNT/TIME, such as 60/m, 100000/30s or 5/d"),
        (["set", "tenant:a", "--rate", "5/0s"], "per_s: must be a number of seconds from 0.001"),
        (["set", "tenant:a", "--learn", "pace=3"], "has no value 'pace'; there are start, least, most, cut"),
        (["show", "tenant:a"], "there is no limit for 'tenant:a'; there are none"),
    ],
)
def test_words_that_say_no_limit_are_refused_and_change_nothing(ledger: Path, words: list[str], told: str) -> None:
    done = limit(ledger, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split())
    assert limit(ledger, "list").stdout == "no limits\n"
