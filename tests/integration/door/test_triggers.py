"""Triggers and events from another process, beside a live owner and without one, and over its death."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from tests.integration.door.owners import Owner
from wsaios import AsyncClient, Client
from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, NotPossible, UnknownTrigger

PAST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def last_result(client: AsyncClient, name: str) -> object:
    view = await client.triggers.get(name)
    assert view.last_started is not None
    return await client.result(view.last_started, timeout_s=20)


async def test_triggers_are_declared_and_events_emitted_beside_an_owner(owner: Owner, client: AsyncClient) -> None:
    triggers = client.triggers
    view = await triggers.on_event(
        "upload", "shout", {"text": "${ event.data.path }"}, name="up", where="event.data.ok"
    )
    assert (view.state, view.fired) == ("active", 0)
    assert (await client.emit("upload", {"path": "a", "ok": True})).startswith("event_")
    await client.emit("upload", {"path": "b", "ok": False})
    assert await last_result(client, "up") == "A"
    await triggers.cron("0 3 * * *", "shout", {"text": "night"}, tz="Europe/Berlin", name="nightly")
    await triggers.at(PAST, "shout", {"text": "past"}, name="past")
    await triggers.fire("nightly")
    assert [await last_result(client, name) for name in ("nightly", "past")] == ["NIGHT", "PAST"]
    assert {each.name: each.fired for each in await triggers.list()} == {"up": 1, "nightly": 1, "past": 1}
    assert len(await triggers.next("nightly", 3)) == 3
    assert await triggers.next("up") == []
    await triggers.pause("nightly")
    with pytest.raises(NotPossible):
        await triggers.fire("nightly")
    await triggers.remove("nightly")
    with pytest.raises(UnknownTrigger) as unknown:
        await triggers.resume("nightly")
    assert set(unknown.value.known) == {"past", "up"}
    with pytest.raises(InvalidInput, match="bad minute"):
        await triggers.cron("61 * * * *", "shout")


async def test_without_an_owner_triggers_and_events_are_kept_for_the_next_one(
    absent: Owner, client: AsyncClient
) -> None:
    await client.triggers.on_event("e", "shout", {"text": "${ event.data }"}, name="then")
    await client.emit("e", "first")
    await client.triggers.on_event("e", "shout", {"text": "late"}, name="late")
    await client.triggers.at(PAST, "shout", {"text": "at"}, name="at")
    assert [view.fired for view in await client.triggers.list()] == [0, 0, 0]
    with pytest.raises(NotPossible, match="start a scheduler"):
        await client.triggers.fire("then")
    absent.start()
    assert [await last_result(client, name) for name in ("then", "at")] == ["FIRST", "AT"]
    assert (await client.triggers.get("late")).fired == 0


async def test_events_that_are_emitted_while_owners_die_are_told_once(
    absent: Owner, client: AsyncClient, tmp_path: Path
) -> None:
    """Each event that was acknowledged starts its task once, whatever the owner was doing when it was killed."""
    told, notes = [], tmp_path / "notes"
    absent.start()
    line = {"path": str(notes), "line": "${ string(event.data) }"}
    await client.triggers.on_event("e", "notes", line, name="t")
    done = asyncio.Event()

    async def emit() -> None:
        number = 0
        while not done.is_set():
            told.append(await client.emit("e", number))
            number += 1

    emitting = asyncio.ensure_future(emit())
    for _ in range(2):
        await asyncio.sleep(0.3)
        absent.kill()
        absent.start()
    done.set()
    await asyncio.wait_for(emitting, 60)
    while await client.tasks(("ready", "running", "pending")):  # noqa: ASYNC110  # the ledger tells nobody
        await asyncio.sleep(0.05)
    view = await client.triggers.get("t")
    assert (view.fired, view.skipped) == (len(told), 0)
    # A task may run again where its owner died while it ran, and each ran.
    lines = notes.read_text(encoding="utf-8").split()
    assert {int(each) for each in lines} == set(range(len(told)))
    assert len(await all_tasks(client)) == len(told)


async def all_tasks(client: AsyncClient) -> list[str]:
    found: list[str] = []
    while page := await client.tasks(after=found[-1] if found else None, limit=1000):
        found += [each.id for each in page]
    return found


async def test_acting_on_a_ledger_that_is_not_there_says_so(absent: Owner, client: AsyncClient) -> None:
    with pytest.raises(LedgerUnavailable, match="there is no such ledger"):
        await client.triggers.list()
    with pytest.raises(LedgerUnavailable, match="there is no such ledger"):
        await client.triggers.pause("t")


def test_the_blocking_client_has_the_same_verbs(owner: Owner, url: str) -> None:
    with Client(url) as client:
        client.triggers.on_event("e", "echo", {"value": "${ event.data }"}, name="t")
        client.emit("e", [1, 2])
        (view,) = client.triggers.list()
        assert client.result(view.last_started or "", timeout_s=20) == [1, 2]
        assert client.triggers.remove("t").fired == 1
        assert client.triggers.list() == []
