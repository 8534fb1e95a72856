"""What a verb on many tasks has met when it is said to be done: everything in its scope that was there when asked."""

from itertools import pairwise

from tests.simulation.red import Check, require
from tests.simulation.world import World
from wsaios.kernel.events import Scope, Verb
from wsaios.kernel.states import ENDED, State
from wsaios.kernel.task import BatchState, Task

_REPLAYABLE = frozenset({State.FAILED, State.LOST})


class Swept:
    """The tasks that are in the scope now, and whether they were all met later."""

    def __init__(self, world: World, verb: Verb, scope: Scope) -> None:
        self._world = world
        self._scope = scope
        self._asked_us = world.clock.now_us()
        tables = world.tables
        self._live: list[int] = []
        self._ended: dict[int, int] = {}
        # Which lane a task belongs to is for the owner at hand to say.
        if scope.kind == "lane":
            return
        if verb == "cancel":
            self._live = [task.id for task in tables.live.values() if self._meets(task.shard)]
        elif verb == "replay":
            ended = [each for each in tables.outcomes.values() if each.state in _REPLAYABLE and not each.body.step]
            self._ended = {outcome.id: outcome.fence for outcome in ended if self._meets(outcome.shard)}

    def check(self) -> None:
        """The verb is said to be done."""
        tables = self._world.tables
        for number in self._live:
            task = tables.live.get(number)
            met = task is None or task.body.spilled or self._replayed(task)
            require(met, Check.EFFECTS, "{} is said to be cancelled, and left {}", self._scope.key, task)
        for number, fence in self._ended.items():
            outcome = tables.outcomes.get(number)
            met = outcome is None or outcome.fence > fence
            require(met, Check.EFFECTS, "{} is said to be replayed, and left {}", self._scope.key, outcome)

    def _meets(self, number: int) -> bool:
        batch = self._world.tables.batches.get(self._world.tables.shards[number].batch)
        if batch is not None and batch.state != BatchState.SEALED:
            return False
        return self._scope.kind == "all" or (batch is not None and batch.id == self._scope.number)

    def _replayed(self, task: Task) -> bool:
        """Whether it ended and lives again since it was asked for."""
        lines = pairwise(task.body.history)
        return any(one[0] in ENDED and then[1] >= self._asked_us for one, then in lines)
