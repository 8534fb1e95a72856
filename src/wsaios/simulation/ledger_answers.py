"""What a simulated ledger says to questions of the core and of people."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Final, TypeVar

import msgspec

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import (
    Answer,
    BatchById,
    ById,
    DefinitionOf,
    DependentsOf,
    DependentsOfMany,
    DueAfter,
    EndedAfter,
    Ends,
    ExpiringAfter,
    FactOf,
    IdempotencyOf,
    LiveAfter,
    Question,
    ReadyAfter,
    ResultsOf,
    RunsBefore,
    RunsById,
    StepsOf,
    TaskView,
    Totals,
)
from wsaios.kernel.run import Run
from wsaios.kernel.states import WAITING, State
from wsaios.kernel.task import Batch, BatchState, Outcome, Task
from wsaios.simulation.ledger_store import Tables, clone, counted

R = TypeVar("R", Task, Outcome, Batch, Run)


def answer(tables: Tables, question: Question) -> Answer:
    """The answer as of now."""
    return _ASKED[type(question)](tables, question)


def _ready(tables: Tables, asked: ReadyAfter) -> Answer:
    after = (asked.key, asked.id)
    rows = (t for t in _in(tables, {State.READY}) if t.shard == asked.shard and (t.key, t.id) > after)
    return Answer(tasks=_first(rows, asked.limit, lambda task: (task.key, task.id)))


def _due(tables: Tables, asked: DueAfter) -> Answer:
    after = (asked.due_us, asked.id)
    rows = ((t.due_us, t) for t in _in(tables, {State.PENDING, State.RETRYING}) if t.due_us is not None)
    return Answer(tasks=_timed(((at, task) for at, task in rows if (at, task.id) > after), asked.limit))


def _expiring(tables: Tables, asked: ExpiringAfter) -> Answer:
    after = (asked.expires_us, asked.id)
    rows = ((t.expires_us, t) for t in _in(tables, WAITING) if t.expires_us is not None)
    return Answer(tasks=_timed(((at, task) for at, task in rows if (at, task.id) > after), asked.limit))


def _live(tables: Tables, asked: LiveAfter) -> Answer:
    return Answer(tasks=_first((t for t in tables.live.values() if asked.after < t.id <= asked.upto), asked.limit, _id))


def _by_id(tables: Tables, asked: ById) -> Answer:
    return Answer(tasks=_among(tables.live, asked.ids), outcomes=_among(tables.outcomes, asked.ids))


def _ended(tables: Tables, asked: EndedAfter) -> Answer:
    rows = (o for o in tables.outcomes.values() if asked.after < o.id <= asked.upto and o.state in asked.states)
    return Answer(outcomes=_first(rows, asked.limit, _id))


def _dependents(tables: Tables, asked: DependentsOf) -> Answer:
    links = nsmallest(asked.limit, (link for link in tables.links if link[0] == asked.parent))
    return Answer(links=links, tasks=_among(tables.live, [child for _, child in links]))


def _dependents_of_many(tables: Tables, asked: DependentsOfMany) -> Answer:
    links = nsmallest(asked.limit, (link for link in tables.links if link[0] in asked.parents))
    return Answer(links=links, tasks=_among(tables.live, sorted({child for _, child in links})))


def _keys(tables: Tables, asked: IdempotencyOf) -> Answer:
    keys = [tables.keys[pair] for pair in asked.pairs if pair in tables.keys]
    return Answer(keys=[row for row in keys if row.until_us > asked.now_us])


def _batch(tables: Tables, asked: BatchById) -> Answer:
    return Answer(batches=_among(tables.batches, [asked.id]))


def _runs(tables: Tables, asked: RunsById) -> Answer:
    return Answer(runs=_among(tables.runs, asked.ids))


def _runs_before(tables: Tables, asked: RunsBefore) -> Answer:
    rows = (r for r in tables.runs.values() if r.id < asked.before and (not asked.states or r.state in asked.states))
    return Answer(runs=_first(rows, asked.limit, lambda run: -run.id))


def _steps(tables: Tables, asked: StepsOf) -> Answer:
    place = (asked.run, asked.number, asked.item)
    keys = nsmallest(asked.limit, (key for key in tables.steps if key[0] == asked.run and key > place))
    rows = [clone(tables.steps[key]) for key in keys]
    for row in rows:
        outcome = tables.outcomes.get(row.task)
        row.ended, row.size = (outcome.state, outcome.size) if outcome is not None else (0, 0)
    return Answer(steps=rows)


def _results(tables: Tables, asked: ResultsOf) -> Answer:
    outcomes = (tables.outcomes[number] for number in sorted(set(asked.ids)) if number in tables.outcomes)
    told = [row.id for row in outcomes if row.state == State.SUCCEEDED and row.id in tables.results]
    return Answer(results=[clone(tables.results[number]) for number in told])


def _definition(tables: Tables, asked: DefinitionOf) -> Answer:
    found = tables.definitions.get(asked.version)
    return Answer(definitions=[] if found is None else [found])


def _fact(tables: Tables, asked: FactOf) -> Answer:
    found = tables.facts.get((asked.component, asked.key))
    return Answer(facts=[] if found is None else [msgspec.json.decode(found[0])])


_ASKED: Final[dict[type, Callable[[Tables, Any], Answer]]] = {
    ReadyAfter: _ready,
    DueAfter: _due,
    ExpiringAfter: _expiring,
    LiveAfter: _live,
    ById: _by_id,
    EndedAfter: _ended,
    DependentsOf: _dependents,
    DependentsOfMany: _dependents_of_many,
    IdempotencyOf: _keys,
    BatchById: _batch,
    RunsById: _runs,
    RunsBefore: _runs_before,
    StepsOf: _steps,
    ResultsOf: _results,
    DefinitionOf: _definition,
    FactOf: _fact,
}


class SimReads:
    """`Reads` of a simulated ledger."""

    def __init__(self, ledger: str, tables: Tables) -> None:
        self._ledger = ledger
        self._tables: Tables | None = tables

    def task_view(self, task_id: int) -> TaskView | None:
        """As `Reads.task_view`."""
        tables = self._read()
        view = _view(tables, tables.live.get(task_id), tables.outcomes.get(task_id))
        if view is not None:
            view.payload = tables.payloads.get(task_id)
            view.result = tables.results.get(task_id)
            view.spilled = [tables.history[part] for part in sorted(tables.history) if part[0] == task_id]
        return view

    def task_list(self, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
        """As `Reads.task_list`."""
        tables = self._read()
        rows = [row.id for row in tables.tasks() if row.id > after and (not states or row.state in states)]
        found = (_view(tables, tables.live.get(row), tables.outcomes.get(row)) for row in nsmallest(limit, rows))
        return [view for view in found if view is not None]

    def ahead(self, shards: Sequence[int], key: int, task_id: int, limit: int) -> int:
        """As `Reads.ahead`."""
        ready = (t for t in _in(self._read(), {State.READY}) if t.shard in shards)
        return min(limit, sum((t.key, t.id) < (key, task_id) for t in ready))

    def batch(self, batch_id: int) -> Batch | None:
        """As `Reads.batch`."""
        return next(iter(_among(self._read().batches, [batch_id])), None)

    def batch_by_key(self, key: str) -> Batch | None:
        """As `Reads.batch_by_key`."""
        named = [row for row in self._read().batches.values() if row.key == key and row.state != BatchState.ABORTED]
        return clone(max(named, key=_id)) if named else None

    def batch_list(self, limit: int) -> list[Batch]:
        """As `Reads.batch_list`."""
        return _first(self._read().batches.values(), limit, lambda row: -row.id)

    def outcomes(self, first: int, last: int, limit: int) -> list[tuple[Outcome, bytes]]:
        """As `Reads.outcomes`."""
        tables = self._read()
        rows = _first((row for row in tables.outcomes.values() if first <= row.id <= last), limit, _id)
        return [(row, tables.results[row.id].data if row.id in tables.results else b"") for row in rows]

    def ends(self, ids: Sequence[int]) -> Ends:
        """As `Reads.ends`."""
        tables = self._read()
        found = [tables.outcomes[number] for number in sorted(set(ids)) if number in tables.outcomes]
        return [
            (row, tables.results[row.id].data if row.id in tables.results else b"", tables.shards[row.shard].handler)
            for row in found
        ], [number for number in ids if number not in tables.live and number not in tables.outcomes]

    def ended_ids(self, first: int, last: int, limit: int) -> list[tuple[int, int]]:
        """As `Reads.ended_ids`."""
        return [(row.id, row.state) for row, _ in self.outcomes(first, last, limit)]

    def asked(self, question: Question) -> Answer:
        """As `Reads.asked`."""
        return answer(self._read(), question)

    def totals(self) -> Totals:
        """As `Reads.totals`; a simulated ledger has no bytes on disk."""
        tables = self._read()
        return Totals(counted(tables.live.values()), counted(tables.outcomes.values()), 0)

    def close(self) -> None:
        """Answer no more."""
        self._tables = None

    def _read(self) -> Tables:
        if self._tables is None:
            raise LedgerUnavailable(self._ledger, "it was closed")
        return self._tables


def _view(tables: Tables, live: Task | None, outcome: Outcome | None) -> TaskView | None:
    row = live or outcome
    if row is None:
        return None
    return TaskView(tables.shards[row.shard], clone(live) if live else None, clone(outcome) if outcome else None)


def _id(row: Task | Outcome | Batch | Run) -> int:
    return row.id


def _in(tables: Tables, states: Container[int]) -> Iterator[Task]:
    return (task for task in tables.live.values() if task.state in states)


def _timed(rows: Iterable[tuple[int, Task]], limit: int) -> list[Task]:
    return [clone(task) for _, task in nsmallest(limit, rows, key=lambda row: (row[0], row[1].id))]


def _first(rows: Iterable[R], limit: int, order: Callable[[R], Any]) -> list[R]:
    return [clone(row) for row in nsmallest(limit, rows, key=order)]


def _among(table: Mapping[int, R], ids: Iterable[int]) -> list[R]:
    return [clone(table[number]) for number in sorted(set(ids)) if number in table]
