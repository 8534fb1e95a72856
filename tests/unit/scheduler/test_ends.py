"""Ends that are asked for together are looked up together, and what is on its way is not looked up at all."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.scheduler.test_core import NOW_US, ended, new_core, submitted
from wsaios.kernel.errors import LedgerUnavailable, UnknownTask
from wsaios.kernel.task import HandlerSpec
from wsaios.scheduler.ends import Ends
from wsaios.scheduler.flight import Airway, Flight
from wsaios.scheduler.threads import CallThread
from wsaios.simulation.ledger import SimLedger


async def test_ends_asked_for_in_one_turn_share_a_look_and_each_hears_its_own() -> None:
    ledger, looks = SimLedger(), 0
    core = new_core(ledger, HandlerSpec("echo", "default"))
    first = core.step([submitted("a", "echo"), submitted("b", "nobody")], NOW_US)
    core.handed(first)
    ledger.commit(first.commit)
    second = core.step([ended(first)], NOW_US + 1)
    core.handed(second)
    ledger.commit(second.commit)
    (gone,), (live,) = ledger.tables.outcomes, ledger.tables.live

    async def read(question: Callable[..., Any], *given: object) -> Any:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return question(*given)

    ends = Ends(ledger.reads(), read)
    told = await asyncio.gather(*map(ends.of, (gone, live, 5, gone)), return_exceptions=True)
    assert looks == 1
    assert told[1] is None
    assert isinstance(told[2], UnknownTask)
    for closed in (told[0], told[3]):
        assert not isinstance(closed, BaseException)
        assert closed is not None
        assert (closed.outcome.id, closed.result, closed.handler) == (gone, b"1", "echo")


async def test_a_ledger_that_cannot_be_read_is_told_to_everyone_and_asked_anew_next_time() -> None:
    failures = iter([LedgerUnavailable("work.db", "it was closed")])

    async def read(*_: object) -> Any:
        for failure in failures:
            raise failure
        return [], []

    ends = Ends(SimLedger().reads(), read)
    told = await asyncio.gather(ends.of(1), ends.of(2), return_exceptions=True)
    assert [type(each) for each in told] == [LedgerUnavailable] * 2
    assert await ends.of(1) is None


@pytest.mark.parametrize("number, expected", [(7, True), (8, False)])
def test_an_end_is_on_its_way_from_launch_until_the_flight_has_left(number: int, *, expected: bool) -> None:
    airway, flight = Airway("work.db", CallThread("never started"), lambda: None), Flight()
    flight.effects.ended = {7: 6}
    assert not airway.ends(number)
    airway.launch(flight, None)
    assert airway.ends(number) is expected
    airway.leave()
    assert not airway.ends(number)
