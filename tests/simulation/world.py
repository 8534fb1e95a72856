"""The people and programs of a simulated day: what they ask for, and what they are told."""

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import msgspec

from tests.simulation.limits import asking
from tests.simulation.red import Check, require
from tests.simulation.scenario import HANDLERS, KEY_LIMITS, Scenario, limit_of
from wsaios.kernel.errors import IdempotencyConflict, InvalidInput, Unacknowledged
from wsaios.kernel.events import Barrier, Closed, Event, SetLimits, Submit
from wsaios.kernel.limit import Limit
from wsaios.kernel.states import State
from wsaios.kernel.task import NewTask, Options
from wsaios.simulation.clock import SimClock
from wsaios.simulation.ledger_store import Tables

WINDOW_US: Final = 2_000_000
_CHOSEN: Final = (State.PENDING, State.READY, State.RUNNING, State.RETRYING, State.PAUSED)
_TENANTS: Final = ("acme", "default")
_PLAIN_OPTIONS: Final = (
    None,
    None,
    None,
    Options(max_attempts=1),
    Options(max_attempts=2),
    Options(delivery="at_most_once"),
)


class Tag(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the arguments of every task say, so that a task found in the ledger tells who asked for it and how."""

    order: int = -1
    row: int = 0
    key: str = ""
    digest: str = ""
    batch: int = 0
    retried: bool = True


class Asked(msgspec.Struct):
    """One question on its way; `told(value, error)` hears the answer, `unheard()` that nobody will ever give one."""

    kind: str
    told: Callable[[object, Exception | None], None]
    unheard: Callable[[], None]


class Order(msgspec.Struct):
    """One submission, perhaps sent several times under its token."""

    serial: int
    tasks: list[NewTask]
    token: str = ""
    ids: list[int] | None = None
    refused: bool = False


class World:
    """Who asks and who is told. `post` hands an event to the scheduler.

    `accepted` are the tasks that were acknowledged, `pruned` those that the ledger has given up since; `generation`
    counts cores.
    """

    def __init__(self, rng: Random, scenario: Scenario, clock: SimClock, post: Callable[[Event], None]) -> None:
        self.rng = rng
        self.scenario = scenario
        self.clock = clock
        self.post = post
        self.tables = Tables()
        self.counts: Counter[str] = Counter()
        self.pending: dict[int, Asked] = {}
        self.orders: list[Order] = []
        self.accepted: dict[int, None] = {}
        self.pruned: set[int] = set()
        self.generation = 0
        self.on_failure: Callable[[int], None] = lambda _number: None
        self._tokens = 0

    def ask(
        self,
        kind: str,
        make: Callable[[int], Event],
        told: Callable[[object, Exception | None], None],
        unheard: Callable[[], None] = lambda: None,
    ) -> None:
        """Post what `make(token)` gives, and remember who waits."""
        self._tokens += 1
        self.pending[self._tokens] = Asked(kind, told, unheard)
        self.post(make(self._tokens))

    def answer(self, token: int, value: object, error: Exception | None) -> None:
        """A reply has come."""
        asked = self.pending.pop(token, None)
        require(
            asked is not None, Check.ANSWERED, "a reply to {}, which waits for none: {!r} {!r}", token, value, error
        )
        assert asked is not None
        if isinstance(error, Unacknowledged):
            self.counts[f"{asked.kind} unacknowledged"] += 1
            asked.unheard()
            return
        self.counts[asked.kind if error is None else f"{asked.kind} refused: {type(error).__name__}"] += 1
        asked.told(value, error)

    def owner_died(self) -> None:
        """Nobody will answer what was asked before."""
        pending, self.pending = self.pending, {}
        for asked in pending.values():
            self.counts["unanswered at a death"] += 1
            asked.unheard()

    def some_task(self) -> int:
        """The id of a task, mostly a recent one or one in a state that the dice choose; 12345 when there is none."""
        if not self.accepted:
            return 12_345
        if self.rng.random() < 0.4:
            state = self.rng.choice(_CHOSEN)
            found = [task.id for task in self.tables.live.values() if task.state == state and task.id in self.accepted]
            if found:
                return self.rng.choice(found)
        ids = list(self.accepted)
        return self.rng.choice(ids[-12:] if self.rng.random() < 0.7 else ids)

    def submit(self, parents: Iterable[int] = (), rows: int = 0) -> None:
        """One submission of so many tasks; 0: a few."""
        serial = len(self.orders) + 1
        order = Order(serial, [])
        keyed = self.rng.random() < 0.15
        if self.rng.random() < 0.4:
            order.token = f"token {serial}"
        for row in range(rows or (1 if keyed else self.rng.choice((1, 1, 1, 2, 3)))):
            order.tasks.append(self._task(order, row, keyed=keyed, parents=tuple(parents)))
        if keyed and self.rng.random() < 0.3:
            order.tasks.append(self._task(order, len(order.tasks), keyed=True, parents=tuple(parents)))
        self.orders.append(order)
        self._send(order)

    def flush(self) -> None:
        """A barrier."""
        self.ask("flush", Barrier, lambda _value, error: require(error is None, Check.ANSWERED, "{!r}", error))

    def limit(self, limits: list[Limit]) -> None:
        """Have these limits from now on."""
        self.ask("set limits", lambda token: SetLimits(token, limits), lambda _value, _error: None)

    def watch(self, closed: Closed) -> None:
        """A task ended; `on_failure` may want to do something about it at once."""
        if closed.outcome.state in {State.FAILED, State.LOST}:
            self.on_failure(closed.outcome.id)

    def _send(self, order: Order, *, again: bool = False) -> None:
        def told(value: object, error: Exception | None) -> None:
            self._acknowledged(order, value, error)

        def unheard() -> None:
            # Only what carries a token or a key can be sent again without doubling.
            if order.token or all(task.idempotency_key for task in order.tasks):
                self._send(order, again=True)

        tasks = [msgspec.structs.replace(task) for task in order.tasks]
        self.ask("submit", lambda token: Submit(token, tasks, order.token, again=again), told, unheard)
        if order.token and self.rng.random() < 0.1:
            same = [msgspec.structs.replace(task) for task in order.tasks]
            self.ask("submit again", lambda token: Submit(token, same, order.token, again=True), told)

    def _acknowledged(self, order: Order, value: object, error: Exception | None) -> None:
        if error is not None:
            expected = isinstance(error, IdempotencyConflict) or (
                isinstance(error, InvalidInput) and error.field == "depends_on"
            )
            require(expected, Check.ANSWERED, "order {} was refused: {!r}", order.serial, error)
            order.refused = True
            return
        assert isinstance(value, list)
        require(
            len(value) == len(order.tasks),
            Check.IDEMPOTENCY,
            "{}: {} ids for {}",
            order.serial,
            len(value),
            len(order.tasks),
        )
        if order.ids is not None and order.token:
            require(value == order.ids, Check.IDEMPOTENCY, "{} got {}, then {}", order.token, order.ids, value)
        order.ids = value
        for task, number in zip(order.tasks, value, strict=True):
            self._check_identity(order, task, number)
            self.accepted[number] = None

    def _check_identity(self, order: Order, task: NewTask, number: int) -> None:
        """The task that was acknowledged is the one that was asked for, or the one that its key stands for."""
        if number in self.pruned:
            return
        payload = self.tables.payloads.get(number)
        require(
            payload is not None,
            Check.EFFECTS,
            "order {} was acknowledged as {}, which is nowhere",
            order.serial,
            number,
        )
        assert payload is not None
        found = msgspec.json.decode(payload.data, type=Tag)
        if task.idempotency_key:
            row = self.tables.keys[task.tenant, task.idempotency_key]
            require(found.digest == task.digest, Check.IDEMPOTENCY, "{} got {}", task.digest, found)
            require(
                row.task == number,
                Check.IDEMPOTENCY,
                "{} stands for {}, not {}",
                task.idempotency_key,
                row.task,
                number,
            )
        else:
            require(payload.data == task.payload, Check.IDEMPOTENCY, "order {} got {}", order.serial, found)

    def _task(self, order: Order, row: int, *, keyed: bool, parents: tuple[int, ...]) -> NewTask:
        rng, now = self.rng, self.clock.now_us()
        handler = rng.choice(HANDLERS).name
        key = rng.choice((*KEY_LIMITS, f"key of {order.serial}")) if rng.random() < 0.25 else ""
        name = f"key {rng.randrange(6)}" if keyed else ""
        digest = rng.choice(("a", "a", "b")) if keyed else ""
        options = rng.choice(_PLAIN_OPTIONS)
        if key:
            options = msgspec.structs.replace(options or Options(), concurrency_limit=limit_of(key))
        if self.scenario.weights.get("limit"):
            options = asking(options, order.serial + row)
        tenant = rng.choice(_TENANTS)
        return NewTask(
            handler,
            msgspec.json.encode(
                Tag(order.serial, row, f"{tenant}/{name}" if name else "", digest, 0, bool(order.token))
            ),
            lane="default" if handler == "echo" and rng.random() < 0.2 else "",
            tenant=tenant,
            priority=rng.choice((0, 0, rng.randint(-100, 100), rng.randint(-150, 150))),
            due_us=now + rng.randint(-1000, 1_500_000) if rng.random() < 0.25 else None,
            # No number is drawn for it, so that what other seeds do stays as it was.
            deadline_us=now + 1000 * (order.serial * 7 % 900) if order.serial % 3 == 0 else None,
            expires_us=now + rng.randint(1, 2_000_000) if rng.random() < 0.25 else None,
            options=options,
            concurrency_key=key,
            idempotency_key=name,
            digest=digest,
            idempotency_window_us=WINDOW_US,
            depends_on=parents,
            traceparent=f"00-{order.serial:032x}-{row:016x}-01" if rng.random() < 0.2 else None,
        )
