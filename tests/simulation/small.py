"""A core with very little memory, so that seconds meet what millions of rows meet: rows that are not in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

import msgspec

from tests.simulation.language import LANGUAGE
from tests.simulation.scenario import US_PER_POINT, Scenario
from wsaios.components.executor import timers
from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.faculties import Hub
from wsaios.kernel.ledger import Opening
from wsaios.kernel.policy import Ordering, Priority
from wsaios.kernel.task import HandlerSpec, LaneSpec
from wsaios.planning import due
from wsaios.scheduler import batches, book, core, leftovers, links, reorder, runs, steps, verbs
from wsaios.scheduler.core import Core


class Known:
    """The lanes and handlers that the process at hand has made known."""

    def __init__(self) -> None:
        self.lanes: dict[str, LaneSpec] = {}
        self.handlers: dict[str, HandlerSpec] = {}


class SmallExecutor(TaskExecutor):
    """Keeps few rows of a shard, and fewer when there are many shards."""

    def __init__(self, rows: int, ordering: Ordering) -> None:
        super().__init__(ordering)
        self._rows = rows

    def room(self) -> int:
        return max(4, self._rows * 6 // (len(self.windows) or 1))


def small_core(known: Known, scenario: Scenario, opening: Opening, rng: Random, hub: Hub | None, *, died: bool) -> Core:
    """As `assemble` makes it, with small windows; without a hub it only takes in and acts."""
    chosen = [value for component, key, value in opening.facts if (component, key) == reorder.ORDER]
    ordering = msgspec.convert(chosen[0], Ordering) if chosen else Ordering(Priority(US_PER_POINT / 1e6))
    executor = SmallExecutor(scenario.room, ordering)
    for lane in known.lanes.values():
        executor.lane(lane)
    for handler in known.handlers.values():
        executor.handler(handler)
    made = Core(executor, opening, rng, hub=hub, died=died, recover=hub is not None)
    made.runs.speak(LANGUAGE)
    return made


@contextmanager
def small_pieces(scenario: Scenario) -> Iterator[None]:
    """Timers, sweeps, releases, batches and histories come in small pieces inside."""
    few = scenario.timers
    with (
        patch.multiple(timers, LOW_WATER=few, REFILL=2 * few, HIGH_WATER=4 * few),
        patch.object(links, "_PIECE", scenario.piece),
        patch.object(verbs, "_PIECE", scenario.piece),
        patch.object(reorder, "_PIECE", scenario.piece),
        patch.object(batches, "_FIRST_RANGE", scenario.piece),
        patch.multiple(steps, _AT_ONCE=scenario.piece, _PIECE=scenario.piece),
        patch.object(runs, "_LOADED", scenario.piece),
        patch.object(core, "_DUE_AT_ONCE", scenario.piece),
        patch.object(due, "LATE_US", 300_000),
        patch.multiple(leftovers, _WINDOWS=few, _SHARDS=few),
        patch.object(book, "HISTORY_KEPT", scenario.lines),
    ):
        yield
