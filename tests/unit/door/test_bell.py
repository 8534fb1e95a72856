"""Whoever waits for the bell can be told to stop, whenever that is."""

import asyncio

import pytest

from wsaios.door.bell import Alarm


@pytest.mark.parametrize("turns", range(6))
async def test_one_who_is_woken_and_told_to_stop_at_once_stops(turns: int) -> None:
    alarm = Alarm()
    waiting = asyncio.ensure_future(alarm.wait(30.0))
    for _ in range(5):
        await asyncio.sleep(0)
    alarm.ring()
    for _ in range(turns):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_one_who_hears_nothing_looks_by_itself() -> None:
    alarm = Alarm()
    looking = asyncio.ensure_future(alarm.wait(0.01))
    done, _ = await asyncio.wait((looking,), timeout=30)
    assert looking in done
