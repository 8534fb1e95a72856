"""What a step has left behind, for the checks to look at."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tests.simulation.occupancy import Occupancy
from tests.simulation.scenario import Scenario
from tests.simulation.small import Known
from wsaios.kernel.engine import Work
from wsaios.kernel.events import Effects
from wsaios.kernel.ledger import Question
from wsaios.kernel.task import BatchState, HandlerSpec, LaneSpec, Shard, Task
from wsaios.scheduler.core import Core
from wsaios.simulation.engine import SimEngine
from wsaios.simulation.ledger_store import Tables


class After(msgspec.Struct):
    """The world right after a committed step: what it wanted, what the ledger holds, who runs.

    `started` are the works that were decided on all that the step knew, `asked` what the ledger has answered and the
    next step will hear; `again` whether it will hear anything, `did` whether the step did anything at all.
    """

    core: Core
    effects: Effects
    started: Sequence[Work]
    asked: Sequence[Question]
    again: bool
    did: bool
    tables: Tables
    engine: SimEngine
    known: Known
    occupancy: Occupancy
    limited: Any
    now_us: int
    scenario: Scenario
    held: bool = False
    only: int = 0

    def shard(self, number: int) -> Shard:
        """A shard of the ledger."""
        return self.tables.shards[number]

    def spec(self, shard: Shard) -> HandlerSpec | None:
        """The handler of a shard, if it is known."""
        return self.known.handlers.get(shard.handler)

    def lane(self, shard: Shard) -> LaneSpec | None:
        """The lane that a shard's tasks run in, if there is one."""
        spec = self.spec(shard)
        return self.known.lanes.get(shard.lane or spec.lane) if spec is not None else None

    def exists(self, task: Task) -> bool:
        """Whether a row exists for anyone: that of an unsealed or aborted batch does not."""
        number = self.shard(task.shard).batch
        if not number:
            return True
        batch = self.tables.batches.get(number)
        return batch is not None and batch.state == BatchState.SEALED

    def paused(self, shard: Shard, lane: str) -> bool:
        """Whether a scope that the shard belongs to is paused."""
        scopes: Sequence[str] = ("all:*", f"lane:{lane}", f"batch:{shard.batch}")
        return any(("pause", scope) in self.tables.facts for scope in scopes)
