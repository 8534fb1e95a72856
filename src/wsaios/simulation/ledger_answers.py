"""What a simulated ledger says to questions of the core and of people."""

from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from typing import Any, assert_never

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import (
    Answer,
    BatchById,
    ById,
    DependentsOf,
    DueAfter,
    EndedAfter,
    ExpiringAfter,
    IdempotencyOf,
    LiveAfter,
    Question,
    ReadyAfter,
    TaskView,
    Totals,
)
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState, Outcome, Task
from wsaios.simulation.ledger_store import Tables, clone, counted


def answer(tables: Tables, question: Question) -> Answer:  # noqa: PLR0911  # one line a question
    """The answer as of now."""
    match question:
        case ReadyAfter(shard, key, number, limit):
            rows = _live(tables, lambda t: t.state == State.READY and t.shard == shard and (t.key, t.id) > (key, number))
            return Answer(tasks=_first(rows, limit, lambda task: (task.key, task.id)))
        case DueAfter(due_us, number, limit):
            rows = _live(tables, lambda t: t.state in _TIMED and t.due_us is not None and (t.due_us, t.id) > (due_us, number))
            return Answer(tasks=_first(rows, limit, lambda task: (task.due_us or 0, task.id)))
        case ExpiringAfter(expires_us, number, limit):
            rows = _live(
                tables,
                lambda t: t.state != State.RUNNING and t.expires_us is not None and (t.expires_us, t.id) > (expires_us, number),
            )
            return Answer(tasks=_first(rows, limit, lambda task: (task.expires_us or 0, task.id)))
        case ById(ids):
            return Answer(tasks=_among(tables.live, ids), outcomes=_among(tables.outcomes, ids))
        case LiveAfter(after, upto, limit):
            return Answer(tasks=_first(_live(tables, lambda t: after < t.id <= upto), limit, _id))
        case EndedAfter(after, upto, states, limit):
            ended = (row for row in tables.outcomes.values() if after < row.id <= upto and row.state in states)
            return Answer(outcomes=_first(ended, limit, _id))
        case DependentsOf(parent, limit):
            links = nsmallest(limit, (link for link in tables.links if link[0] == parent))
            return Answer(links=links, tasks=_among(tables.live, [child for _, child in links]))
        case IdempotencyOf(pairs, now_us):
            keys = [tables.keys[pair] for pair in pairs if pair in tables.keys]
            return Answer(keys=[row for row in keys if row.until_us > now_us])
        case BatchById(number):
            return Answer(batches=_among(tables.batches, [number]))
    assert_never(question)


_TIMED = frozenset({State.PENDING, State.RETRYING})


def _id(row: Any) -> int:
    return int(row.id)


def _live(tables: Tables, wanted: Callable[[Task], bool]) -> Iterable[Task]:
    return (task for task in tables.live.values() if wanted(task))


def _first[R: (Task, Outcome)](rows: Iterable[R], limit: int, order: Callable[[R], Any]) -> list[R]:
    return [clone(row) for row in nsmallest(limit, rows, key=order)]
