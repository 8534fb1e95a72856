"""From a commit to statements and their parameters, family by family: each is one statement over one array a column."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from wsaios.kernel.ledger import Commit, Payload
from wsaios.kernel.task import Batch, BatchState, Failure, Task
from wsaios.ledger.prepared import CHECKPOINTS_REMOVE, Makers, Write, as_json


def growth(shards: Iterable[int], step: int) -> dict[str, list[int]]:
    """By how much shards grow when each of these has one task more, or with a step of −1 one less."""
    counted = Counter(shards)
    return {"ids": list(counted), "tasks": [step * count for count in counted.values()]}


def _columns(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, Sequence[object]]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _bytes(name: str, payloads: Sequence[Payload]) -> list[Write]:
    columns: dict[str, list[Any]] = {
        "ids": [item.id for item in payloads],
        "codecs": [item.codec for item in payloads],
        "data": [item.data for item in payloads],
    }
    return [Write(name, columns)]


def _tasks(tasks: Sequence[Task]) -> dict[str, list[Any]]:
    return {
        "ids": [task.id for task in tasks],
        "shards": [task.shard for task in tasks],
        "states": [task.state for task in tasks],
        "fences": [task.fence for task in tasks],
        "keys": [task.key for task in tasks],
        "due_us": [task.due_us for task in tasks],
        "expires_us": [task.expires_us for task in tasks],
        "bodies": [as_json(task.body) for task in tasks],
    }


def _shards(batch: Commit) -> list[Write]:
    names = ("ids", "lanes", "tenants", "handlers", "batches", "concurrency_keys", "grades")
    return [Write("shards_add", _columns(names, [msgspec.structs.astuple(shard) for shard in batch.shards]))]


_BATCH_COLUMNS: Final = (
    "ids",
    "states",
    "handlers",
    "tenants",
    "created_us",
    "sealed_us",
    "rows",
    "keeps",
    "keys",
    "ranges",
    "ended",
    "metas",
    "unfinished",
)


def _batches(batch: Commit) -> list[Write]:
    # A statement may touch a row once only; the last word is the one that counts.
    latest = {row.id: row for row in batch.batches}
    return [Write("batches_put", _columns(_BATCH_COLUMNS, [_batch(row) for row in latest.values()]))]


def _batch(row: Batch) -> tuple[object, ...]:
    return (
        row.id,
        row.state,
        row.handler,
        row.tenant,
        row.created_us,
        row.sealed_us,
        row.rows,
        row.keep,
        None if row.key is None else row.key.encode(),
        as_json(row.ranges),
        as_json(row.ended),
        as_json(row.meta),
        row.state == BatchState.STAGING or sum(row.ended.values()) < row.rows,
    )


def _accepted(batch: Commit) -> list[Write]:
    grown = growth((task.shard for task in batch.accepted), 1)
    return [
        Write("tasks_add", _tasks(batch.accepted)),
        Write("shards_grow", grown, len(grown["ids"]), "the shard of a new task"),
    ]


def _replayed(batch: Commit) -> list[Write]:
    columns = _tasks(batch.replayed)
    return [
        Write("outcomes_recall", columns, len(batch.replayed), "the outcome of a replayed task"),
        Write("tasks_add", columns),
    ]


def _updated(batch: Commit) -> list[Write]:
    columns = _tasks(batch.updated)
    columns["stored_fences"] = [task.stored_fence for task in batch.updated]
    return [Write("tasks_change", columns, len(batch.updated), "a stored fence of a changed task")]


def _ended(batch: Commit) -> list[Write]:
    outcomes = batch.ended
    results = {item.id: item.data for item in batch.results}
    columns: dict[str, list[Any]] = {
        "ids": [outcome.id for outcome in outcomes],
        "stored_fences": [outcome.stored_fence for outcome in outcomes],
        "fences": [outcome.fence for outcome in outcomes],
        "states": [outcome.state for outcome in outcomes],
        "shards": [outcome.shard for outcome in outcomes],
        "ended_us": [outcome.ended_us for outcome in outcomes],
        "keys": [outcome.key for outcome in outcomes],
        "expires_us": [outcome.expires_us for outcome in outcomes],
        "codecs": [outcome.codec for outcome in outcomes],
        "failures": [None if outcome.failure is None else as_json(outcome.failure) for outcome in outcomes],
        "bodies": [as_json(outcome.body) for outcome in outcomes],
        "results": [results.get(outcome.id) for outcome in outcomes],
    }
    return [
        Write("outcomes_add", columns, len(outcomes), "a stored fence of a task that ended"),
        Write("tasks_remove", columns),
        Write(CHECKPOINTS_REMOVE, columns),
    ]


def _spilled(batch: Commit) -> list[Write]:
    return [Write("history_add", _columns(("tasks", "parts", "entries"), batch.spilled))]


def _links(name: str, links: Sequence[tuple[int, int]]) -> list[Write]:
    return [Write(name, _columns(("parents", "children"), links))]


def _keys(batch: Commit) -> list[Write]:
    # The same word twice is one; two tasks that claim one key in one commit are refused by the statement.
    each = {(row.tenant, row.key, row.task if row.digest else 0): row for row in batch.keys}
    rows = [(row.tenant.encode(), row.key.encode(), row.task, row.digest, row.until_us) for row in each.values()]
    columns: dict[str, object] = {**_columns(("tenants", "keys", "tasks", "digests", "until_us"), rows)}
    columns["now_us"] = batch.now_us
    return [Write("keys_put", columns, len(rows), "an idempotency key that is still in force")]


def _facts(batch: Commit) -> list[Write]:
    rows = [
        (component.encode(), key.encode(), None if value is None else as_json(value))
        for component, key, value in batch.facts
    ]
    columns: dict[str, object] = {**_columns(("components", "keys", "texts"), rows)}
    columns["now_us"] = batch.now_us
    put = Write("facts_put", columns)
    return [put, Write("facts_remove", columns)] if any(row[2] is None for row in rows) else [put]


def _definitions(batch: Commit) -> list[Write]:
    latest = {each.version: each for each in batch.definitions}
    rows = [(each.version, each.name, each.created_us, each.content) for each in latest.values()]
    return [Write("definitions_add", _columns(("versions", "names", "created_us", "contents"), rows))]


_RUN_COLUMNS: Final = (
    "ids",
    "states",
    "versions",
    "names",
    "tenants",
    "priorities",
    "created_us",
    "ended_us",
    "tries",
    "inputs",
    "outputs",
    "failures",
)


def _runs(batch: Commit) -> list[Write]:
    latest = {each.id: each for each in batch.runs}
    rows = [(*msgspec.structs.astuple(each)[:-1], _failed(each.failure)) for each in latest.values()]
    return [Write("runs_put", _columns(_RUN_COLUMNS, rows))]


_STEP_COLUMNS: Final = ("runs", "numbers", "items", "tasks", "states", "at_us", "datas", "failures")


def _steps(batch: Commit) -> list[Write]:
    latest = {each.key: each for each in batch.steps}
    rows = [
        (*each.key, each.task, each.state, each.at_us, each.data, _failed(each.failure)) for each in latest.values()
    ]
    return [Write("steps_put", _columns(_STEP_COLUMNS, rows))]


def _failed(failure: Failure | None) -> str | None:
    return None if failure is None else as_json(failure)


def _taken(batch: Commit) -> list[Write]:
    return [Write("intake_remove", {"places": list(batch.taken)}, len(batch.taken), "a row of the intake")]


MAKERS: Final[Makers] = {
    "shards": _shards,
    "batches": _batches,
    "replayed": _replayed,
    "accepted": _accepted,
    "payloads": lambda batch: _bytes("payloads_add", batch.payloads),
    "updated": _updated,
    "spilled": _spilled,
    "saved": lambda batch: _bytes("checkpoints_put", list({item.id: item for item in batch.saved}.values())),
    "ended": _ended,
    "results": lambda _: [],
    "links": lambda batch: _links("links_add", batch.links),
    "links_done": lambda batch: _links("links_remove", batch.links_done),
    "releases": lambda batch: [Write("releases_add", {"ids": list(batch.releases)})],
    "releases_done": lambda batch: [Write("releases_remove", {"ids": list(batch.releases_done)})],
    "keys": _keys,
    "facts": _facts,
    "definitions": _definitions,
    "runs": _runs,
    "steps_gone": lambda batch: [Write("steps_remove", _columns(("runs", "numbers", "items"), batch.steps_gone))],
    "steps": _steps,
    "taken": _taken,
    "purged": lambda _: [],
}
