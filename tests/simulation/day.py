"""One day: people and programs ask at random, things go wrong, and in the end the faults stop and everything drains."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from tests.simulation.acting import Acting
from tests.simulation.batching import Batching
from tests.simulation.fate import Fate
from tests.simulation.flows import Flows
from tests.simulation.intake import Shelf
from tests.simulation.limits import no_limits, some_limits
from tests.simulation.red import Check, require
from tests.simulation.scenario import LANES, POLICIES, VARIANTS
from tests.simulation.world import Tag
from wsaios.kernel.events import HandlerKnown, Hold, LaneKnown, Only, Reorder, Scope
from wsaios.kernel.policy import FairShare, Ordering
from wsaios.kernel.states import State
from wsaios.kernel.task import LaneSpec

PRUNE_AGE_US: Final = 5_000_000
_TAKES: Final = 0.3
_DRAIN_TURNS: Final = 20_000
WEIGHTS: Final = {
    "submit": 30.0,
    "family": 12.0,
    "batch": 25.0,
    "leave": 6.0,
    "act": 12.0,
    "replay": 4.0,
    "act on batch": 4.0,
    "act on lane": 2.0,
    "sweep": 1.0,
    "flush": 2.0,
    "know": 4.0,
    "resize": 2.0,
    "hold": 1.0,
    "only": 1.0,
    "order": 0.0,
    "alarm": 0.0,
    "flow": 0.0,
    "flow verb": 0.0,
    "signal": 0.0,
    "emit": 0.0,
    "limit": 0.0,
}


class Day:
    """A driver and the world around it, for as many turns as are wanted."""

    def __init__(self, driver: Fate) -> None:
        self.driver = driver
        self.world = self.driver.world
        self.acting = Acting(self.world)
        self.batching = Batching(self.world)
        self.shelf = Shelf(self.world)
        self.flows = Flows(self.world, driver.tables)
        driver.invariants.flows = self.flows
        self.flows.know(driver.alarms.plans)
        self.deeds: Counter[str] = Counter()
        self._rng = self.world.rng
        self.driver.visitor = self._visit
        self.driver.passer_by = self._do
        self.driver.meddler = lambda number: self.acting.task_verb(self._rng.choice(("cancel", "pause")), number)
        self.world.on_failure = self._failed
        self._deeds: dict[str, Callable[[], None]] = {
            "submit": self.world.submit,
            "family": self._family,
            "batch": self.batching.turn,
            "leave": self.shelf.leave,
            "act": self.acting.task,
            "replay": lambda: self.acting.task("replay"),
            "act on batch": lambda: self.acting.batch(self.batching.opened()),
            "act on lane": self.acting.lane,
            "sweep": self.acting.everything,
            "flush": self.world.flush,
            "know": self._know,
            "resize": self._resize,
            "hold": lambda: self._hold(self._rng.random() < 0.3),
            "only": self._only,
            "order": self._order,
            "alarm": driver.alarms.turn,
            "flow": self.flows.start,
            "flow verb": self.flows.act,
            "signal": self.flows.signal,
            "emit": self.flows.emit,
            "limit": lambda: self.world.limit(some_limits(self._rng)),
        }
        weights = WEIGHTS | driver.scenario.weights
        self._names = list(weights)
        self._chances = [weights[name] for name in self._names]

    def turn(self) -> None:
        """Perhaps somebody does something; then the driver turns."""
        scenario = self.driver.scenario
        while self._rng.random() < scenario.busy:
            self._do()
        if self._rng.random() < _TAKES:
            self.shelf.take()
        if self._rng.random() < scenario.prune:
            self._prune()
        if self._rng.random() < scenario.restart:
            self._restart()
        self.driver.turn()

    def _do(self) -> None:
        (deed,) = self._rng.choices(self._names, self._chances)
        self.deeds[deed] += 1
        self._deeds[deed]()

    def drain(self) -> None:
        """The faults stop, what is held back is let go: everything that can end ends."""
        driver = self.driver
        driver.calm = True
        driver.engine.calm(driver.clock.now_us())
        self._let_all_go()
        for turn in range(_DRAIN_TURNS):
            if self._over():
                break
            if turn % 50 == 49:
                self._let_all_go()
            self.shelf.take()
            driver.turn()
        self._check_drained()

    def _over(self) -> bool:
        driver = self.driver
        busy = driver.inbox or driver.again or self.world.pending or not driver.engine.idle or driver.missing()
        waits = any(component.startswith("trigger_w") for component, _ in driver.tables.facts)
        waits = waits or bool(self.flows.unfinished())
        return not busy and not waits and not driver.tables.live and driver.core.idle() and self.shelf.empty()

    def _let_all_go(self) -> None:
        driver = self.driver
        for event in (*driver.missing(), Hold(held=False), Only(0)):
            driver.post(event)
        for component, key in list(driver.tables.facts):
            if component == "pause":
                kind, _, rest = key.partition(":")
                self.acting.resume(_scope(kind, rest))
        for task in list(driver.tables.live.values()):
            if task.state == State.PAUSED:
                self.acting.task_verb("resume", task.id)
        self.flows.let_go()
        self.batching.finish()
        driver.purpose.finish()
        if driver.scenario.alarmed:
            driver.alarms.finish()
        if driver.limited.limits():
            self.world.limit(no_limits())

    def _check_drained(self) -> None:
        driver = self.driver
        left = {task.id: State(task.state).name for task in driver.tables.live.values()}
        require(not left, Check.DRAIN, "{} tasks never end: {}", len(left), list(driver.tables.live.values())[:3])
        require(driver.engine.idle, Check.DRAIN, "the engine is not idle")
        require(not driver.core.held(), Check.DRAIN, "slots are taken: {}", driver.core.held())
        require(not driver.core.book.tasks, Check.MEMORY, "{} tasks are still in memory", len(driver.core.book.tasks))
        require(not driver.tables.releases, Check.DEPENDENCIES, "never told: {}", list(driver.tables.releases))
        sweeps = [key for component, key in driver.tables.facts if component == "sweep" or key == "moving"]
        require(not sweeps, Check.DRAIN, "sweeps never end: {}", sweeps)
        require(not self.world.pending, Check.ANSWERED, "never told: {}", self.world.pending)
        driver.invariants.everything()
        driver.purpose.check_stored()
        self._check_orders()
        self.flows.check_drained(driver.core)
        self.shelf.check()
        driver.alarms.check(driver.law)

    def _check_orders(self) -> None:
        """A submission of which nobody knows was taken whole or not at all, and once where it carried a token."""
        found: dict[tuple[int, int], list[int]] = {}
        for number, tag in driver_tags(self.driver).items():
            found.setdefault(tag, []).append(number)
        for order in self.world.orders:
            ids = [found.get((order.serial, row), []) for row in range(len(order.tasks))]
            keyed = any(task.idempotency_key for task in order.tasks)
            if order.token or not keyed:
                require(max(map(len, ids)) <= 1, Check.IDEMPOTENCY, "{} was taken twice: {}", order.serial, ids)
            pruned = self.world.pruned
            if not keyed and not pruned:
                counts = {len(each) for each in ids}
                require(len(counts) == 1, Check.IDEMPOTENCY, "{} was taken in part: {}", order.serial, ids)
            if order.refused and order.ids is None and not order.token:
                require(not any(ids), Check.IDEMPOTENCY, "{} was refused and is there: {}", order.serial, ids)

    def _failed(self, number: int) -> None:
        if self._rng.random() < self.driver.scenario.replay:
            self.acting.task_verb("replay", number)

    def _family(self) -> None:
        """Children of some tasks; sometimes many of one that may still fail."""
        rng = self._rng
        if rng.random() < 0.3:
            self.world.submit([self.world.some_task()], rows=rng.randint(4, 9))
            return
        parents = {self.world.some_task() for _ in range(rng.randint(1, 3))}
        if rng.random() < 0.05:
            parents.add(987_654_321)
        self.world.submit(sorted(parents))

    def _know(self) -> None:
        missing = self.driver.missing()
        if missing and self._rng.random() < 0.7:
            self.driver.post(self._rng.choice(missing))
        else:
            name = self._rng.choice(sorted(VARIANTS))
            self.driver.post(HandlerKnown(self._rng.choice(VARIANTS[name])))

    def _resize(self) -> None:
        lane = self._rng.choice(LANES)
        slots = self._rng.randint(1, 3)
        reserved = {}
        if self.driver.scenario.weights.get("order") and slots > 1:
            reserved = {self._rng.choice(("interactive", "default")): self._rng.randint(0, slots - 1)}
        self.driver.post(LaneKnown(LaneSpec(lane.name, slots, lane.kind, reserved=reserved)))

    def _hold(self, held: bool) -> None:
        self.driver.post(Hold(held))

    def _only(self) -> None:
        batches = self.batching.sealed()
        if batches and self._rng.random() < 0.4:
            self.driver.post(Only(self._rng.choice(batches)))
        else:
            self.driver.post(Only(0))

    def _order(self) -> None:
        fair = self._rng.choice((None, FairShare(), FairShare({"acme": 3.0})))
        self.driver.post(Reorder(None, Ordering(self._rng.choice(POLICIES), fair)))

    def _prune(self) -> None:
        if self.driver.hears:
            return
        before_us = self.driver.clock.now_us() - PRUNE_AGE_US
        self.driver.ledger.prune(before_us, self._rng.randint(1, 20), self.driver.core.book.shards)
        self.driver.invariants.pruned(before_us)

    def _restart(self) -> None:
        """A stop in good order: nothing more starts, some of what runs ends, the rest goes back into the queue."""
        self.driver.post(Hold(held=True))
        for _ in range(self._rng.randint(0, 6)):
            self.driver.turn()
        self.driver.post(Hold(held=True))
        self.driver.recall()

    def _visit(self) -> None:
        """What a client does while no owner lives."""
        for _ in range(self._rng.randint(1, 3)):
            self._rng.choice((self.world.submit, self.acting.task, self._family))()
        if self.driver.scenario.alarmed:
            self.driver.alarms.emit()
        if self.driver.scenario.weights.get("emit"):
            self.flows.emit()


def _scope(kind: str, rest: str) -> Scope:
    if kind == "batch":
        return Scope("batch", int(rest))
    return Scope("lane", name=rest) if kind == "lane" else Scope("all")


def driver_tags(driver: Fate) -> dict[int, tuple[int, int]]:
    """(order, row) of every task that was submitted singly, by id."""
    tags = {number: msgspec.json.decode(row.data, type=Tag) for number, row in driver.tables.payloads.items()}
    return {number: (tag.order, tag.row) for number, tag in tags.items() if tag.order > 0}
