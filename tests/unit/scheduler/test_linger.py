"""Which commits wait a moment for company, and what ends that moment."""

import asyncio

import pytest

from tests.unit.scheduler.test_core import NOW_US, ended, new_core, submitted
from wsaios.kernel.events import Effects, Event
from wsaios.kernel.task import NO_OPTIONS, HandlerSpec, Options
from wsaios.scheduler.core import Core
from wsaios.scheduler.linger import LONGEST_S, Linger
from wsaios.scheduler.watch import Watch
from wsaios.simulation.ledger import SimLedger


class Waiting:
    """A core that one task runs in, and what decides over the commit of its end."""

    def __init__(self, options: Options = NO_OPTIONS) -> None:
        self.watch, self.wakes = Watch(), asyncio.Event()
        self.linger = Linger(self.watch, self.wakes.set)
        self.ledger = SimLedger()
        self.core: Core = new_core(self.ledger, HandlerSpec("echo", "default", options=options))
        self.started = self._written([submitted("a", "echo")])
        (self.task,) = self.ledger.tables.live

    def _written(self, events: list[Event]) -> Effects:
        effects = self.core.step(events, NOW_US)
        self.core.handed(effects)
        self.ledger.commit(effects.commit)
        self.core.committed(effects)
        return effects

    def holds(self, *events: Event) -> bool:
        """Whether what these events led to may wait."""
        return self.linger.holds(events, self.core.book)


async def test_an_end_that_nobody_waits_for_lingers_until_its_moment_is_over() -> None:
    waiting = Waiting()
    end = ended(waiting.started)
    waiting.core.take([end], NOW_US + 1)
    assert waiting.holds(end)
    assert not waiting.wakes.is_set()
    async with asyncio.timeout(LONGEST_S + 30):
        await waiting.wakes.wait()
    assert not waiting.holds(end)
    # The next one has a moment of its own.
    assert waiting.holds(end)
    waiting.linger.end()


async def test_the_end_of_a_task_that_may_run_at_most_once_goes_at_once() -> None:
    waiting = Waiting(Options(delivery="at_most_once"))
    end = ended(waiting.started)
    waiting.core.take([end], NOW_US + 1)
    assert not waiting.holds(end)


async def test_an_end_goes_at_once_when_somebody_waits_for_it_or_begins_to() -> None:
    waiting = Waiting()
    end = ended(waiting.started)
    waiting.core.take([end], NOW_US + 1)
    future = waiting.watch.task(waiting.task)
    assert not waiting.holds(end)
    waiting.watch.drop(waiting.task, future)
    assert waiting.holds(end)
    waiting.watch.task(waiting.task)
    assert waiting.wakes.is_set()
    assert not waiting.holds(end)


async def test_who_hears_everything_waits_unless_it_says_otherwise() -> None:
    waiting = Waiting()
    end = ended(waiting.started)
    waiting.core.take([end], NOW_US + 1)
    waiting.watch.listen(lambda closed: None, waits=False)
    assert waiting.holds(end)
    stop = waiting.watch.listen(lambda closed: None)
    assert waiting.wakes.is_set()
    assert not waiting.holds(end)
    stop()
    assert waiting.holds(end)
    waiting.linger.end()


@pytest.mark.parametrize("handler", ["echo", "nobody"])
async def test_whatever_else_came_in_goes_at_once_and_takes_the_end_along(handler: str) -> None:
    waiting = Waiting()
    end, more = ended(waiting.started), submitted("b", handler)
    waiting.core.take([end], NOW_US + 1)
    assert waiting.holds(end)
    waiting.core.take([more], NOW_US + 2)
    assert not waiting.holds(end, more)
    commit = waiting.core.finish().commit
    assert (len(commit.ended), len(commit.accepted)) == (1, 1)
