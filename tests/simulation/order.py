"""The one order, worked out by brute force from the ledger's rows: nothing here asks windows, heads or timers."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from tests.simulation.facts import After
from tests.simulation.limits import excused
from tests.simulation.red import Check, require
from tests.simulation.scenario import US_PER_POINT, limit_of
from wsaios.components.executor.resting import Resting
from wsaios.kernel.ledger import ReadyAfter
from wsaios.kernel.policy import Ordering
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import Flag, Shard, Task
from wsaios.scheduler.reorder import ORDER

_SPAN_US: Final = 200 * US_PER_POINT
PATIENCE: Final = 60
"""How many steps in a row rows may be on their way from the ledger while a slot is free."""


class Waiting(msgspec.Struct):
    """A ready task that could start now, but for a slot."""

    place: tuple[int, int]
    task: Task
    shard: Shard


Kind = tuple[str, int]
"""Tenant and class of work: tenants are alike where they do not share."""


def place_of(after: After, task: Task) -> tuple[int, int]:
    """Where a task stands: by priority and age, worked out from its facts alone, unless the policy was changed."""
    if ordering(after) is not None:
        return task.key, task.id
    return task.body.accepted_us - task.body.priority * US_PER_POINT, task.id


def ordering(after: After) -> Ordering | None:
    """The ordering that somebody chose; None: that of the beginning."""
    row = after.tables.facts.get(ORDER)
    return None if row is None else msgspec.json.decode(row[0], type=Ordering)


class OrderCheck:
    """No task starts while a better one that could start in the same lane waits, and no slot stays free beside one."""

    def __init__(self) -> None:
        self._patience: dict[str, int] = {}

    def after(self, after: After) -> None:
        """Look at what the step started and at what it left waiting."""
        _check_let(after)
        alone = after.core.executor.suspects or after.core.cycle.alone is not None
        if alone or after.held:
            self._patience.clear()
            return
        best: dict[str, dict[Kind, Waiting]] = {}
        chosen = ordering(after)
        shares = chosen is not None and chosen.fair is not None
        for lane, waiting in _waiting(after):
            kind = (waiting.shard.tenant if shares else "", waiting.shard.grade)
            known = best.setdefault(lane, {}).get(kind)
            if known is None or waiting.place < known.place:
                best[lane][kind] = waiting
        self._check_started(after, best)
        self._check_free(after, best)

    def _check_started(self, after: After, best: dict[str, dict[Kind, Waiting]]) -> None:
        for work in after.started:
            rows = [after.tables.live[attempt.task] for attempt in work.attempts]
            head = min(rows, key=lambda task: place_of(after, task))
            place, shard = place_of(after, head), after.shard(head.shard)
            self._check_resting(after, work.lane, shard, place)
            for (tenant, grade), waiting in best.get(work.lane, {}).items():
                # Slots may have been kept from a lower class; tenants that share take turns within a class.
                if grade < shard.grade or (tenant and (tenant, grade) != (shard.tenant, shard.grade)):
                    continue
                require(place <= waiting.place, Check.ORDER, "{}: {} started while {} waits", work.lane, place, waiting)
                later = head.body.accepted_us - waiting.task.body.accepted_us
                if ordering(after) is None:
                    seen = "{} came {} µs after {} and went first"
                    require(later <= _SPAN_US, Check.BOUND, seen, head.id, later, waiting.task.id)

    def _check_resting(self, after: After, lane: str, shard: Shard, place: tuple[int, int]) -> None:
        """A call that stopped at a checkpoint goes on before worse ones start; tenants that share take turns."""
        chosen = ordering(after)
        shares = chosen is not None and chosen.fair is not None
        for ref in after.core.executor.resting.refs():
            seat = after.core.executor.slots.seat(ref)
            if seat is None or seat.turn is None or seat.lane != lane or seat.shard.grade < shard.grade:
                continue
            if not shares or (seat.shard.tenant, seat.shard.grade) == (shard.tenant, shard.grade):
                rest = seat.turn.key, ref[0]
                require(place <= rest, Check.ORDER, "{}: {} started while {} waits to go on", lane, place, rest)

    def _check_free(self, after: After, best: dict[str, dict[Kind, Waiting]]) -> None:
        asked = {
            lane.name
            for question in after.asked
            if isinstance(question, ReadyAfter) and (lane := after.lane(after.shard(question.shard))) is not None
        }
        for name, lane in after.known.lanes.items():
            kinds = best.get(name, {})
            idle = any(after.occupancy.room(lane, grade) > 0 for _, grade in kinds)
            resting = after.core.executor.resting
            assert isinstance(resting, Resting)
            if not {"lane:" + name, "all:*"} & after.core.book.paused:
                rest = resting.best(name, partial(after.occupancy.room, lane))
                known = rest is None or name in asked
                require(known, Check.IDLE, "{}: slots are free, and {} waits to go on", name, rest)
            patience = self._patience[name] = self._patience.get(name, 0) + 1 if idle else 0
            if idle:
                seen = "{}: slots are free, and {} waits"
                require(name in asked and patience <= PATIENCE, Check.IDLE, seen, name, kinds)


def _check_let(after: After) -> None:
    """Nothing has started that was not let."""
    for work in after.started:
        shard = after.shard(after.tables.live[work.attempts[0].task].shard)
        let = not after.held and not after.paused(shard, work.lane) and after.only in {0, shard.batch}
        require(let, Check.PAUSES, "a task of {} starts", shard)


def _waiting(after: After) -> Iterator[tuple[str, Waiting]]:
    """Every ready task that could start now but for a slot, with its lane."""
    rows: dict[int, list[Task]] = {}
    for task in after.tables.live.values():
        if task.state == State.READY:
            rows.setdefault(task.shard, []).append(task)
    for number, tasks in rows.items():
        shard = after.shard(number)
        lane = after.lane(shard)
        if lane is None or not may_start(after, shard, lane.name) or _lingers(after, shard, tasks):
            continue
        for task in tasks:
            over = (
                task.expires_us is not None and task.expires_us <= after.now_us and not task.body.flags & Flag.STARTED
            )
            if not after.exists(task) or over or task.body.deaths >= SUSPECT_DEATHS:
                continue
            if after.limited.lets(after, task, shard, lane.name) and not excused(after, task, shard, lane.name):
                yield lane.name, Waiting(place_of(after, task), task, shard)


def may_start(after: After, shard: Shard, lane: str) -> bool:
    if after.paused(shard, lane) or (after.only and shard.batch != after.only):
        return False
    key = shard.concurrency_key
    return not key or after.occupancy.keyed(key) < limit_of(key)


def lingering_until_us(after: After, shard: Shard, tasks: list[Task]) -> int | None:
    """Until when an under-filled micro-batch of these ready tasks may wait for more; None: it may not."""
    spec = after.spec(shard)
    if spec is None or spec.batch_size == 1:
        return None
    if len(tasks) >= spec.batch_size:
        return None
    batch = after.tables.batches.get(shard.batch)
    sealed_us = batch.sealed_us if batch is not None else 0
    return min(max(task.body.history[-1][1], sealed_us) for task in tasks) + spec.max_wait_us


def _lingers(after: After, shard: Shard, tasks: list[Task]) -> bool:
    until_us = lingering_until_us(after, shard, tasks)
    return until_us is not None and after.now_us < until_us
