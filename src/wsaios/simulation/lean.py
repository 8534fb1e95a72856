"""A ledger and an engine for replays: nothing fails in them, so they hold what the core holds, and copy nothing."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from heapq import heappop, heappush
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec

from wsaios.kernel.engine import AttemptRef, Ended, Report, Resumed, Verdict, Work, Yielded
from wsaios.kernel.ledger import (
    Answer,
    ById,
    Commit,
    Committed,
    DependentsOf,
    DependentsOfMany,
    DueAfter,
    ExpiringAfter,
    IdempotencyOf,
    Opening,
    ReadyAfter,
)
from wsaios.kernel.states import State
from wsaios.kernel.task import Outcome, Shard, Task

_READY: Final = int(State.READY)
_PLACE: Final = itemgetter(0, 1)
_SLACK: Final = 8192
Row = tuple[int, int, Task]


class LeanLedger:
    """Answers what the core asks while it replays: ready rows, parents and dependents.

    Its rows are the core's own records. That is sound because a commit is heard before the next step begins.
    """

    def __init__(self, *, linked: bool) -> None:
        """`linked`: some tasks wait for others, so that outcomes are asked for."""
        self._linked = linked
        self._live: dict[int, Task] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._shards: dict[int, Shard] = {}
        self._ready: dict[int, list[Row]] = {}
        self._room: dict[int, int] = {}
        self._children: dict[int, dict[int, None]] = {}
        self._asked: dict[type, Callable[[Any], Answer]] = {
            ReadyAfter: self._ready_after,
            DueAfter: lambda _: Answer(),
            ExpiringAfter: lambda _: Answer(),
            IdempotencyOf: lambda _: Answer(),
            ById: lambda asked: self._by_id(asked.ids),
            DependentsOf: lambda asked: self._dependents((asked.parent,), asked.limit),
            DependentsOfMany: lambda asked: self._dependents(asked.parents, asked.limit),
        }

    def open(self, now_us: int) -> Opening:
        """An empty ledger."""
        return Opening(1, 1, 0, now_us, [], [], [], [], [], [])

    def commit(self, commit: Commit) -> Committed:
        """Take over what changed, and answer."""
        self._shards.update((shard.id, shard) for shard in commit.shards)
        if self._linked:
            self._live.update((task.id, task) for task in commit.accepted)
            self._outcomes.update((outcome.id, outcome) for outcome in commit.ended)
            for outcome in commit.ended:
                self._live.pop(outcome.id, None)
            for parent, child in commit.links:
                self._children.setdefault(parent, {})[child] = None
            for parent, child in commit.links_done:
                self._children[parent].pop(child, None)
        self._wait(commit.accepted)
        self._wait(commit.updated)
        if not commit.questions:
            return Committed()
        told = Committed([self._asked[type(question)](question) for question in commit.questions])
        named = {row.shard for each in told.answers for row in each.tasks}
        named |= {row.shard for each in told.answers for row in each.outcomes}
        told.shards = [self._shards[number] for number in sorted(named)]
        return told

    def _wait(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if task.state == _READY:
                rows = self._ready.setdefault(task.shard, [])
                rows.append((task.key, task.id, task))
                if len(rows) > self._room.get(task.shard, _SLACK):
                    self._sweep(task.shard)

    def _sweep(self, shard: int) -> list[Row]:
        """Forget what no longer waits, and sort the rest; one that came back may stand there twice."""
        rows = [row for row in self._ready.get(shard, ()) if row[2].state == _READY]
        rows.sort(key=_PLACE)
        rows = [next(same) for _, same in groupby(rows, key=_PLACE)]
        self._ready[shard] = rows
        self._room[shard] = _SLACK + 2 * len(rows)
        return rows

    def _ready_after(self, asked: ReadyAfter) -> Answer:
        place, found = (asked.key, asked.id), []
        for row in self._sweep(asked.shard):
            if row[:2] > place:
                found.append(row[2])
                if len(found) == asked.limit:
                    break
        return Answer(tasks=found)

    def _by_id(self, ids: Sequence[int]) -> Answer:
        live = [self._live[number] for number in ids if number in self._live]
        return Answer(tasks=live, outcomes=[self._outcomes[number] for number in ids if number in self._outcomes])

    def _dependents(self, parents: Sequence[int], limit: int) -> Answer:
        links = [(parent, child) for parent in parents for child in sorted(self._children.get(parent, ()))][:limit]
        children = {child: self._live[child] for _, child in links if child in self._live}
        return Answer(tasks=list(children.values()), links=links)


class Call(msgspec.Struct, eq=False):
    """A call: what is left of it, since when it has run, and in which turn between two rests it is."""

    ref: AttemptRef
    left_us: int
    since_us: int
    turn: int = 0
    rests: bool = False


class _Next(IntEnum):
    """What a call does next: it yields since its time is up or since it was asked to, or it ends."""

    END = 0
    USED_UP = 1
    ASKED = 2


class LeanEngine:
    """Calls that take as long as was recorded, and yield when their time is up or they are asked to."""

    def __init__(self) -> None:
        self._agenda: list[tuple[int, int, Call, int, _Next]] = []
        self._calls: dict[AttemptRef, Call] = {}
        self._number = 0
        self.yields = 0
        self.turns = array("q")
        """When each turn of a call began and ended, µs UTC, one after the other."""

    def next_us(self) -> int | None:
        """When a call ends or yields next."""
        return self._agenda[0][0] if self._agenda else None

    def take(self, work: Work, service_us: int, now_us: int) -> None:
        """Begin a call."""
        ref = AttemptRef(work.attempts[0].task, work.attempts[0].fence)
        call = self._calls[ref] = Call(ref, service_us, now_us)
        self._go(call, work.quantum_us)

    def resume(self, resumed: Sequence[Resumed], now_us: int) -> None:
        """Let calls that yielded go on."""
        for ref, quantum_us in resumed:
            call = self._calls[ref]
            call.rests, call.since_us = False, now_us
            self._go(call, quantum_us)

    def preempt(self, refs: Sequence[AttemptRef], now_us: int) -> None:
        """Ask calls to yield; they do at once."""
        for ref in refs:
            call = self._calls.get(ref)
            if call is not None and not call.rests:
                self._plan(now_us, call, _Next.ASKED)

    def reports(self, now_us: int) -> list[Report]:
        """What has happened by now."""
        told: list[Report] = []
        agenda = self._agenda
        while agenda and agenda[0][0] <= now_us:
            at_us, _, call, turn, what = heappop(agenda)
            if call.turn != turn or call.rests:
                continue
            self.turns.append(call.since_us)
            self.turns.append(at_us)
            if what != _Next.END:
                call.left_us -= at_us - call.since_us
                call.rests = True
                self.yields += 1
                told.append(Yielded(*call.ref, used_up=what == _Next.USED_UP))
            else:
                call.turn += 1
                del self._calls[call.ref]
                told.append(Ended(call.ref[0], call.ref[1], Verdict.SUCCEEDED))
        return told

    def _go(self, call: Call, quantum_us: int | None) -> None:
        call.turn += 1
        if quantum_us is not None and quantum_us < call.left_us:
            self._plan(call.since_us + quantum_us, call, _Next.USED_UP)
        else:
            self._plan(call.since_us + call.left_us, call, _Next.END)

    def _plan(self, at_us: int, call: Call, what: _Next) -> None:
        self._number += 1
        heappush(self._agenda, (at_us, self._number, call, call.turn, what))
