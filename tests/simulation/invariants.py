"""All checks of a run, and when each of them looks."""

from collections import Counter
from typing import Final

from tests.simulation.facts import After
from tests.simulation.flows import Flows
from tests.simulation.leaving import Leaving
from tests.simulation.lives import Lives
from tests.simulation.memory import RoomCheck, TimerCheck, check_batches, check_dependencies, check_memory, check_pauses
from tests.simulation.order import OrderCheck
from tests.simulation.world import World
from wsaios.kernel.events import Effects, Event
from wsaios.kernel.ledger import DueAfter, ExpiringAfter, ReadyAfter
from wsaios.simulation.ledger_store import Tables

_EVERYTHING: Final = 25


class Invariants:
    """What must hold after every step."""

    def __init__(self, tables: Tables, world: World) -> None:
        self._tables = tables
        self._world = world
        self._steps = 0
        self.met: Counter[str] = Counter()
        self.flows: Flows | None = None
        self.lives = Lives(tables, world.scenario.lines)
        self.leaving = Leaving(tables, world.orders, world.pruned)
        self._order = OrderCheck()
        self._timers = TimerCheck()
        self._room = RoomCheck()

    def committed(self, effects: Effects, events: list[Event]) -> None:
        """A commit is durable; nothing of its step has left yet."""
        self.lives.committed(effects.commit)
        self.leaving.committed(effects, events)
        if self.flows is not None:
            self.flows.committed(effects)

    def after(self, after: After) -> None:
        """The effects of a step have left."""
        after.occupancy.check(after.core.executor.slots, after.known.lanes, after.engine.running())
        after.limited.check(after)
        self._order.after(after)
        self._timers.after(after)
        self._room.after(after)
        check_memory(after)
        check_pauses(after)
        check_dependencies(after)
        check_batches(after, self.lives.ended)
        for question in after.effects.commit.questions:
            beyond = isinstance(question, ReadyAfter | DueAfter | ExpiringAfter) and question.id > 0
            self.met[f"more of {type(question).__name__}"] += beyond
        self._steps += 1
        if self._steps % _EVERYTHING == 0:
            self.everything()

    def everything(self) -> None:
        """Look at every row of the ledger, whether a commit named it or not."""
        self.lives.all(self._world.accepted, self._world.pruned)

    def pruned(self, before_us: int) -> None:
        """Old outcomes were given up."""
        gone = self.lives.prune(before_us)
        self._world.pruned |= gone
        for number in gone:
            self._world.accepted.pop(number, None)
