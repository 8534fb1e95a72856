"""Clients that leave work in the intake of the ledger, and what takes it in: each row once, whoever dies when."""

from typing import Final

import msgspec

from tests.simulation.red import Check, require
from tests.simulation.scenario import HANDLERS
from tests.simulation.world import Tag, World
from wsaios.kernel.events import TakeIn
from wsaios.kernel.ids import SLOTS, IdMaker
from wsaios.kernel.task import NewTask

_REASON: Final = "as the dice said"


class Shelf:
    """Rows that were left, by their place; `tables.intake` has those that no commit has taken out."""

    def __init__(self, world: World) -> None:
        self._world = world
        # Slot 0 is that of clients who hold the ledger for a moment, and no owner ever gets the last one.
        self._ids = IdMaker(SLOTS - 1)
        self._rows: dict[int, TakeIn] = {}
        self._posted: set[int] = set()

    def leave(self) -> None:
        """A client leaves one to three tasks; some cannot be accepted, some depend on others."""
        world, rng = self._world, self._world.rng
        place = len(self._rows) + 1
        now_us = world.clock.now_us()
        tasks, refused = [], {}
        for row in range(rng.choice((1, 1, 2, 3))):
            new = NewTask(
                rng.choice(HANDLERS).name, msgspec.json.encode(Tag(0, row)), priority=rng.choice((0, 0, 9, -9))
            )
            new.id = self._ids.one(now_us)
            if rng.random() < 0.2:
                new.depends_on = (world.some_task(),)
            if rng.random() < 0.1:
                refused[new.id] = _REASON
            tasks.append(new)
        self._rows[place] = TakeIn(0, place, tasks, now_us, 0, refused)
        world.tables.intake[place] = None

    def take(self) -> None:
        """Whatever lies there is handed to the scheduler, unless it was and nobody has answered yet."""
        for place in [place for place in self._world.tables.intake if place not in self._posted]:
            self._post(place, self._rows[place])

    def empty(self) -> bool:
        """Whether everything was taken in."""
        return not self._world.tables.intake

    def check(self) -> None:
        """Every task that was ever left is somewhere."""
        tables, pruned = self._world.tables, self._world.pruned
        for row in self._rows.values():
            for task in row.tasks:
                there = task.id in tables.live or task.id in tables.outcomes or task.id in pruned
                require(there or row.place in tables.intake, Check.PLACE, "{} was left and is nowhere", task.id)

    def _post(self, place: int, row: TakeIn) -> None:
        world = self._world
        self._posted.add(place)

        def told(_: object, error: Exception | None) -> None:
            require(error is None, Check.ANSWERED, "row {} of the intake was refused: {!r}", place, error)
            require(place not in world.tables.intake, Check.EFFECTS, "row {} is taken in and still there", place)
            world.accepted.update((task.id, None) for task in row.tasks)

        def unheard() -> None:
            self._posted.discard(place)

        tasks = [msgspec.structs.replace(task) for task in row.tasks]
        world.ask(
            "take in",
            lambda token: TakeIn(token, place, tasks, row.at_us, row.batch, dict(row.refused)),
            told,
            unheard,
        )
