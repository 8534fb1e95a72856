"""Triggers and events on PostgreSQL: the same tests as by the socket, and a scheduler that stands by."""

import asyncio

from tests.integration.door.owners import Owner
from tests.integration.door.test_triggers import (
    test_the_blocking_client_has_the_same_verbs,
    test_triggers_are_declared_and_events_emitted_beside_an_owner,
    test_without_an_owner_triggers_and_events_are_kept_for_the_next_one,
)
from wsaios import Scheduler

__all__ = [
    "test_the_blocking_client_has_the_same_verbs",
    "test_triggers_are_declared_and_events_emitted_beside_an_owner",
    "test_without_an_owner_triggers_and_events_are_kept_for_the_next_one",
]


async def taken_over(scheduler: Scheduler) -> None:
    while scheduler.on_standby:  # noqa: ASYNC110  # no one tells
        await asyncio.sleep(0.05)


async def test_a_scheduler_on_standby_hands_events_in_and_declares_its_triggers_when_it_takes_over(
    owner: Owner, url: str
) -> None:
    second = Scheduler(url)

    @second.on_event("e")
    async def heard(value: int) -> int:
        return value

    async with second:
        assert second.on_standby
        await second.triggers.on_event("e", "echo", {"value": "${ event.data.value }"}, name="first")
        await second.emit("e", {"value": 1})
        view = await second.triggers.get("first")
        assert await second.result(view.last_started or "", timeout_s=20) == 1
        assert [each.name for each in await second.triggers.list()] == ["first"]
        owner.kill()
        await taken_over(second)
        await second.flush()
        await second.emit("e", {"value": 2})
        found = {each.name: each.last_started for each in await second.triggers.list()}
        assert await second.result(found["heard"] or "", timeout_s=20) == 2
