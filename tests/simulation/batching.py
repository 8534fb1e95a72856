"""Clients that hand in batches: opened, staged in chunks, then sealed, taken back or left behind."""

from enum import Enum
from random import Random
from typing import Final

import msgspec

from tests.simulation.red import Check, require
from tests.simulation.world import Tag, World
from wsaios.kernel.errors import NotPossible, UnknownBatch
from wsaios.kernel.events import AbortBatch, OpenBatch, SealBatch, StageRows
from wsaios.kernel.ids import IdRange, walk
from wsaios.kernel.task import Batch, BatchState, NewTask

_HANDLERS: Final = ("vector", "vector", "sheet", "echo", "once", "late")


class Stage(Enum):
    """How far a client has come; it asks one thing at a time."""

    OPENING = 0
    OPEN = 1
    ASKING = 2
    OVER = 3


class Client(msgspec.Struct):
    """One client with its batch; `rows` are acknowledged, `sealed` is what the seal answered."""

    serial: int
    template: NewTask
    left: int
    generation: int
    stage: Stage = Stage.OPENING
    number: int = 0
    rows: int = 0
    sent: int = 0
    sealed: Batch | None = None


class Batching:
    """Every client, each at its own pace."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clients: list[Client] = []

    def sealed(self) -> list[int]:
        """The batches whose seal was acknowledged."""
        return [client.number for client in self.clients if client.sealed is not None]

    def opened(self) -> list[int]:
        """Every batch of which a client knows."""
        return [client.number for client in self.clients if client.number]

    def turn(self) -> None:
        """A new client, or the next thing that one of those there does."""
        world = self._world
        ready = [client for client in self.clients if client.stage == Stage.OPEN]
        if not ready or world.rng.random() < 0.2:
            self._open()
            return
        client = world.rng.choice(ready)
        dice = world.rng.random()
        if client.left and dice < 0.75:
            self._stage(client)
        elif dice < 0.9:
            self._seal(client)
        else:
            self._abort(client)

    def finish(self) -> None:
        """Everyone comes to an end."""
        for client in self.clients:
            if client.stage == Stage.OPEN:
                self._seal(client)

    def _open(self) -> None:
        world, serial = self._world, len(self.clients) + 1
        client = Client(serial, _template(world.rng, world.clock.now_us()), world.rng.randint(0, 4), world.generation)
        self.clients.append(client)
        batch = Batch(0, 0, client.template.handler, client.template.tenant, 0, keep=world.rng.random() < 0.3)

        def told(value: object, error: Exception | None) -> None:
            require(error is None and isinstance(value, int), Check.ANSWERED, "a batch was not opened: {!r}", error)
            assert isinstance(value, int)
            client.number, client.stage = value, Stage.OPEN
            require(
                value in world.tables.batches, Check.EFFECTS, "batch {} is acknowledged and not in the ledger", value
            )

        world.ask("open batch", lambda token: OpenBatch(token, batch), told, lambda: self._leave(client))

    def _stage(self, client: Client) -> None:
        world, client.stage = self._world, Stage.ASKING
        client.left -= 1
        count = world.rng.randint(1, 7)
        payloads = [msgspec.json.encode(Tag(0, client.sent + row, batch=client.number)) for row in range(count)]
        client.sent += count

        def told(value: object, error: Exception | None) -> None:
            if self._refused(client, error):
                return
            client.rows += count
            client.stage = Stage.OPEN
            require(value == client.rows, Check.BATCHES, "{} rows are said to be staged, {} were", value, client.rows)
            stored = world.tables.batches[client.number].rows
            require(
                stored >= client.rows,
                Check.EFFECTS,
                "{} rows are acknowledged, {} are in the ledger",
                client.rows,
                stored,
            )

        template = msgspec.structs.replace(client.template)
        world.ask(
            "stage rows",
            lambda token: StageRows(token, client.number, template, payloads),
            told,
            lambda: self._give_up(client),
        )

    def _seal(self, client: Client) -> None:
        world, client.stage = self._world, Stage.ASKING

        def told(value: object, error: Exception | None) -> None:
            if self._refused(client, error):
                return
            assert isinstance(value, Batch)
            client.stage, client.sealed = Stage.OVER, msgspec.structs.replace(value, ranges=list(value.ranges))
            stored = world.tables.batches[client.number]
            require(
                stored.state == BatchState.SEALED, Check.EFFECTS, "the seal of {} is not in the ledger", client.number
            )
            require(
                value.rows == client.rows, Check.BATCHES, "{} rows are sealed, {} were staged", value.rows, client.rows
            )
            ids = list(walk([IdRange(*part) for part in value.ranges]))
            require(len(set(ids)) == client.rows, Check.BATCHES, "{} ids for {} rows", len(ids), client.rows)
            world.accepted.update(dict.fromkeys(ids))

        world.ask("seal batch", lambda token: SealBatch(token, client.number), told, lambda: self._leave(client))

    def _abort(self, client: Client) -> None:
        client.stage = Stage.ASKING

        def told(_: object, error: Exception | None) -> None:
            if not self._refused(client, error):
                client.stage = Stage.OVER

        self._world.ask(
            "abort batch", lambda token: AbortBatch(token, client.number), told, lambda: self._leave(client)
        )

    def _refused(self, client: Client, error: Exception | None) -> bool:
        """A batch may be gone because its owner died while it was staged."""
        if error is None:
            return False
        require(isinstance(error, NotPossible | UnknownBatch), Check.ANSWERED, "batch {}: {!r}", client.number, error)
        undisturbed = client.generation == self._world.generation
        require(not undisturbed, Check.ANSWERED, "batch {} is gone though no core was lost: {!r}", client.number, error)
        client.stage = Stage.OVER
        return True

    def _give_up(self, client: Client) -> None:
        """Nobody knows what became of a chunk, so the batch is taken back, as `Service.submit_many` does."""
        self._abort(client)

    def _leave(self, client: Client) -> None:
        client.stage = Stage.OVER


def _template(rng: Random, now_us: int) -> NewTask:
    return NewTask(
        rng.choice(_HANDLERS),
        b"{}",
        tenant="acme",
        priority=rng.choice((0, 10, rng.randint(-100, 100))),
        due_us=now_us + rng.randint(0, 1_000_000) if rng.random() < 0.3 else None,
        expires_us=now_us + rng.choice((50, 3_000_000)) * rng.randint(1, 1000) // 1000 if rng.random() < 0.3 else None,
        concurrency_key=rng.choice(("", "", "", "one")),
    )
