"""What the core has in mind, beside what the ledger holds."""

from collections import Counter
from functools import partial
from typing import Final

import msgspec

from tests.simulation.facts import After
from tests.simulation.limits import excused, gated
from tests.simulation.order import PATIENCE, lingering_until_us, may_start, place_of
from tests.simulation.red import Check, require
from wsaios.kernel.retry import POISON_LOSSES
from wsaios.kernel.states import State
from wsaios.kernel.task import BatchState, Flag, Task

_TIMED: Final = frozenset({State.PENDING, State.RETRYING})
_UNSTARTED: Final = frozenset({State.PENDING, State.READY, State.PAUSED})


def check_memory(after: After) -> None:
    """Every task in memory is as the ledger has it and is needed there; every running one is in memory."""
    book, covers = after.core.book, after.core.executor.covers
    for number, task in book.tasks.items():
        row = after.tables.live.get(number)
        require(row is not None, Check.MEMORY, "{} is in memory and not live in the ledger", task)
        assert row is not None
        same = task == row or _same_but_for_the_seal(after, task, row)
        require(same, Check.MEMORY, "memory has {}, the ledger {}", task, row)
        require(covers(task), Check.MEMORY, "{} need not be in memory", task)
    for number, row in after.tables.live.items():
        poison = row.body.losses >= POISON_LOSSES
        require(not poison, Check.OUTCOME, "{} lives after {} lost workers", number, row.body.losses)
        if row.state == State.RUNNING:
            require(number in book.tasks, Check.MEMORY, "{} runs and is not in memory", number)


class RoomCheck:
    """Of what is over nothing stays in memory, however many batches, keys and notes there were."""

    def __init__(self) -> None:
        self._most = 0
        self._live: set[int] = set()

    def after(self, after: After) -> None:
        """Look at what the core holds beside tasks."""
        book, executor, tables = after.core.book, after.core.executor, after.tables
        unfinished = tables.unfinished()
        for number, batch in book.batches.items():
            # One batch after the other is deleted.
            needed = number in unfinished or (batch.state == BatchState.ABORTED and after.effects.commit.purged)
            require(needed, Check.MEMORY, "batch {} is over and in memory", batch)
        stray = book.notes.keys() - book.tasks.keys()
        require(not stray, Check.MEMORY, "there are notes of {}, which are not in memory", stray)
        told = book.telling.keys() - tables.releases.keys()
        require(not told, Check.MEMORY, "dependents of {} are told, and it is over", told)
        live = {row.shard for row in tables.live.values()}
        live |= {shard.id for shard in tables.shards.values() if shard.batch in unfinished}
        # As far as the core knows, the ledger has rows of these.
        live |= {number for number, window in executor.windows.items() if not window.complete}
        # The core looks before its commit, when what ends with it is there and what comes with it already, too.
        self._most, self._live = max(self._most, len(live | self._live)), live
        room = max(after.scenario.timers, 2 * self._most)
        for what, count in (("shards", len(book.shards)), ("windows", len(executor.windows))):
            require(count <= room, Check.MEMORY, "{} {} in memory, of {} at most", count, what, self._most)


def check_pauses(after: After) -> None:
    """The facts of the ledger and the core's own set agree."""
    facts = {key for component, key in after.tables.facts if component == "pause"}
    require(facts == after.core.book.paused, Check.PAUSES, "facts {}, memory {}", facts, after.core.book.paused)


def check_dependencies(after: After) -> None:
    """A live task counts its open links; each open link has a parent that will tell, or is being told."""
    tables = after.tables
    opened = Counter(child for _, child in tables.links)
    for row in tables.live.values():
        left = row.body.dependencies_left
        require(
            left == opened[row.id],
            Check.DEPENDENCIES,
            "{} waits for {}, {} links are open",
            row.id,
            left,
            opened[row.id],
        )
    for parent in tables.releases:
        require(parent in tables.outcomes, Check.DEPENDENCIES, "{} did not end, and its dependents are told", parent)
    for parent, child in tables.links:
        if child not in tables.live or parent in tables.releases:
            continue
        live = tables.live.get(parent)
        tells = live is not None and bool(live.body.flags & Flag.HAS_DEPENDENTS)
        require(tells, Check.DEPENDENCIES, "{} waits for {}, which will never tell", child, parent)


class TimerCheck:
    """What waits for a time is in time, and the core asks to be woken for it."""

    def __init__(self) -> None:
        self._late = 0
        self._idle = 0

    def after(self, after: After) -> None:
        """Look at every row that waits for a time."""
        times: list[int] = []
        for row in after.tables.live.values():
            if after.exists(row):
                times.extend(_times(row))
        late = [at_us for at_us in times if at_us <= after.now_us]
        self._late = self._late + 1 if late else 0
        wake_us = after.effects.wake_us
        soon = after.again or (wake_us is not None and wake_us <= after.now_us)
        patient = not late or (soon and self._late <= PATIENCE)
        require(patient, Check.TIMERS, "the times {} are over for {} steps at {}", late, self._late, after.now_us)
        self._idle = 0 if after.did or not soon else self._idle + 1
        require(self._idle < 3, Check.TIMERS, "{} steps for nothing: wakes at {}, it is {}", 3, wake_us, after.now_us)
        times.extend(_fills(after))
        first = min(times, default=None)
        if first is not None and not after.again:
            require(
                wake_us is not None and wake_us <= max(first, after.now_us),
                Check.TIMERS,
                "wakes at {}, due {}",
                wake_us,
                first,
            )


def check_batches(after: After, outcomes: Counter[tuple[int, int]]) -> None:
    """`outcomes` counts (batch, state); what a batch says of itself is that, and an unsealed one has none."""
    counts: dict[int, dict[int, int]] = {}
    for (number, state), count in outcomes.items():
        if count and number:
            counts.setdefault(number, {})[state] = count
    for batch in after.tables.batches.values():
        counted = counts.get(batch.id, {})
        said = {int(state): count for state, count in batch.ended.items() if count}
        require(counted == said, Check.BATCHES, "batch {} says {}, the outcomes are {}", batch.id, said, counted)
        exists = batch.state == BatchState.SEALED
        require(exists or not said, Check.BATCHES, "batch {} is not sealed and has outcomes {}", batch.id, said)


def _same_but_for_the_seal(after: After, task: Task, row: Task) -> bool:
    """The line of the seal is told by the batch; memory writes it out, the ledger with the next change."""
    number = after.shard(row.shard).batch
    if not number or row.body.history[-1][0] != State.PENDING or row.state != State.READY:
        return False
    body = msgspec.structs.replace(task.body, history=task.body.history[:-1], reason=row.body.reason)
    line = task.body.history[-1]
    sealed_us = after.tables.batches[number].sealed_us
    return (line[0], line[1]) == (State.READY, sealed_us) and msgspec.structs.replace(task, body=body) == row


def _times(row: Task) -> list[int]:
    times = []
    if row.due_us is not None and row.state in _TIMED:
        times.append(row.due_us)
    if row.expires_us is not None and row.state in _UNSTARTED and not row.body.flags & Flag.STARTED:
        times.append(row.expires_us)
    return times


def _fills(after: After) -> list[int]:
    """When micro-batches have waited long enough, where a slot is free for them."""
    if after.held or after.core.executor.suspects or after.core.cycle.alone:
        return []
    rows: dict[int, list[Task]] = {}
    for row in after.tables.live.values():
        if row.state == State.READY and after.exists(row):
            rows.setdefault(row.shard, []).append(row)
    ends: list[int] = []
    for number, tasks in rows.items():
        shard = after.shard(number)
        lane = after.lane(shard)
        if lane is None or not may_start(after, shard, lane.name) or after.occupancy.room(lane, shard.grade) <= 0:
            continue
        head = min(tasks, key=partial(place_of, after))
        if not after.limited.lets(after, head, shard, lane.name) and not excused(after, head, shard, lane.name):
            free_us = after.limited.free_us(after, head, shard, lane.name)
            ends.extend(() if free_us is None else (free_us,))
        if not all(after.limited.lets(after, task, shard, lane.name) for task in tasks) or gated(
            after, shard, lane.name
        ):
            continue
        until_us = lingering_until_us(after, shard, tasks)
        if until_us is not None and until_us > after.now_us:
            ends.append(until_us)
    return ends
