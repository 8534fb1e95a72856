"""Cancel, pause, resume and replay at random: of tasks, batches, lanes and everything, some of which do not exist."""

from collections.abc import Sequence
from typing import Final

from tests.simulation.red import Check, require
from tests.simulation.scenario import LANES
from tests.simulation.swept import Swept
from tests.simulation.world import World
from wsaios.kernel.errors import NotPossible, UnknownBatch, UnknownLane, UnknownTask
from wsaios.kernel.events import Act, Scope, Verb
from wsaios.kernel.ids import encode
from wsaios.kernel.states import ENDED, State

VERBS: Final[tuple[Verb, ...]] = ("cancel", "pause", "resume", "replay")
_MILD: Final = (1, 3, 6, 3)
"""How often each verb is said of many tasks at once; what is paused should not stay so for long."""
_STATE_AFTER: Final = {"cancel": {State.CANCELLED}, "pause": {State.PAUSED}, "replay": {State.READY}}


class Acting:
    """What people do to work that is there."""

    def __init__(self, world: World) -> None:
        self._world = world

    def task(self, verb: Verb | None = None) -> None:
        """One verb on one task."""
        rng = self._world.rng
        number = self._world.some_task() if rng.random() < 0.97 else 1_234_567
        chosen = rng.choice(VERBS)
        self.task_verb(verb or chosen, number)

    def task_verb(self, verb: Verb, number: int) -> None:
        """This verb on this task."""

        def told(value: object, error: Exception | None) -> None:
            self._told_of_task(verb, number, value, error)

        self._world.ask(f"{verb} task", lambda token: Act(token, verb, Scope("task", number), "as the dice said"), told)

    def batch(self, batches: Sequence[int]) -> None:
        """One verb on one batch."""
        rng = self._world.rng
        number = rng.choice(batches) if batches and rng.random() < 0.95 else 7_654_321
        (verb,) = rng.choices(VERBS, _MILD)
        self._scope(verb, Scope("batch", number), UnknownBatch)

    def lane(self) -> None:
        """One verb on one lane."""
        rng = self._world.rng
        name = rng.choice(LANES).name if rng.random() < 0.95 else "nowhere"
        self._scope(rng.choices(VERBS, _MILD)[0], Scope("lane", name=name), UnknownLane)

    def everything(self) -> None:
        """One verb on everything."""
        self._scope(self._world.rng.choices(VERBS, _MILD)[0], Scope("all"), None)

    def resume(self, scope: Scope) -> None:
        """Let go on what is paused."""
        self._scope("resume", scope, UnknownBatch)

    def _scope(self, verb: Verb, scope: Scope, refusal: type[Exception] | None) -> None:
        world = self._world
        swept = Swept(world, verb, scope)

        def told(value: object, error: Exception | None) -> None:
            expected = isinstance(value, int) if error is None else refusal is not None and isinstance(error, refusal)
            require(expected, Check.ANSWERED, "{} {}: {!r} {!r}", verb, scope.key, value, error)
            if error is None:
                swept.check()

        world.ask(f"{verb} {scope.kind}", lambda token: Act(token, verb, scope, "as the dice said"), told)

    def _told_of_task(self, verb: Verb, number: int, value: object, error: Exception | None) -> None:
        """The ledger holds what the reply says: the last or an earlier line of the task's history."""
        tables = self._world.tables
        row = tables.live.get(number) or tables.outcomes.get(number)
        if isinstance(error, UnknownTask):
            known = number in self._world.accepted and number not in self._world.pruned
            require(not known, Check.ANSWERED, "{} is said to be unknown", encode(number))
            return
        if number in self._world.pruned:
            return
        require(
            row is not None, Check.EFFECTS, "{} of {} is answered, and it is nowhere: {!r}", verb, encode(number), error
        )
        assert row is not None
        if error is not None:
            require(isinstance(error, NotPossible), Check.ANSWERED, "{} {}: {!r}", verb, encode(number), error)
            return
        if verb == "pause" and self._world.rng.random() < 0.3:
            self.task_verb("resume", number)
        told = {State(line[0]) for line in row.body.history}
        wanted = _STATE_AFTER.get(verb, set(State) - ENDED)
        require(
            told & wanted,
            Check.EFFECTS,
            "{} of {} is answered with {!r}, found {}",
            verb,
            encode(number),
            value,
            sorted(told),
        )
