"""From a commit to statements and their parameters, family by family: each is one statement over one JSON array."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from wsaios.kernel.ledger import Commit, Payload
from wsaios.kernel.task import Outcome
from wsaios.ledger.prepared import CHECKPOINTS_REMOVE, Makers, Write, as_json


def _rows(name: str, rows: Sequence[object], matched: str = "") -> list[Write]:
    return [Write(name, {"rows": as_json(rows)}, len(rows), matched)]


def _ids(name: str, ids: Iterable[int]) -> list[Write]:
    return [Write(name, {"ids": as_json(ids)})]


def _bytes(name: str, payloads: Sequence[Payload]) -> list[Write]:
    rows, place = [], 0
    for item in payloads:
        size = len(item.data)
        rows.append((item.id, item.codec, place, size))
        place += size
    return [Write(name, {"rows": as_json(rows), "data": _joined([item.data for item in payloads])})]


def _accepted(batch: Commit) -> list[Write]:
    shards = Counter([task.shard for task in batch.accepted])
    return [
        *_rows("tasks_add", batch.accepted),
        *_rows("shards_grow", list(shards.items()), "the shard of a new task"),
    ]


def _replayed(batch: Commit) -> list[Write]:
    return [
        *_rows("outcomes_recall", batch.replayed, "the outcome of a replayed task"),
        *_rows("tasks_add", batch.replayed),
    ]


def _ended(batch: Commit) -> list[Write]:
    outcomes = batch.ended
    ids = {"ids": as_json([outcome.id for outcome in outcomes])}
    return [
        Write("outcomes_add", _outcomes(outcomes, batch.results), len(outcomes), "a stored fence of a task that ended"),
        Write("tasks_remove", ids),
        Write(CHECKPOINTS_REMOVE, ids),
    ]


def _outcomes(outcomes: Sequence[Outcome], results: Sequence[Payload]) -> dict[str, Any]:
    found = {item.id: item.data for item in results}
    rows: list[tuple[object, ...]] = []
    chunks: list[bytes] = []
    end = 0
    for o in outcomes:
        place, size, data = None, 0, found.get(o.id)
        if data is not None:
            place, size = end, len(data)
            end += size
            chunks.append(data)
        rows.append(
            (
                o.id,
                o.stored_fence,
                o.fence,
                o.state,
                o.shard,
                o.ended_us,
                o.key,
                o.expires_us,
                o.codec,
                place,
                size,
                o.failure,
                o.body,
            )
        )
    return {"rows": as_json(rows), "data": _joined(chunks)}


def _definitions(batch: Commit) -> list[Write]:
    rows, place = [], 0
    for each in batch.definitions:
        rows.append((each.version, each.name, each.created_us, place, len(each.content)))
        place += len(each.content)
    return [
        Write("definitions_add", {"rows": as_json(rows), "data": _joined([one.content for one in batch.definitions])})
    ]


def _keys(batch: Commit) -> list[Write]:
    rows = {"rows": as_json(batch.keys), "now_us": batch.now_us}
    return [Write("keys_put", rows, len(batch.keys), "an idempotency key that is still in force")]


def _facts(batch: Commit) -> list[Write]:
    rows = [(component, key, None if value is None else as_json(value)) for component, key, value in batch.facts]
    put = Write("facts_put", {"rows": as_json(rows), "now_us": batch.now_us})
    return [put, *(_rows("facts_remove", rows) if any(row[2] is None for row in rows) else ())]


def _joined(chunks: list[bytes]) -> bytes:
    # Never empty: SQLite takes a slice of an empty blob for NULL.
    return b"".join((*chunks, b"\0"))


MAKERS: Final[Makers] = {
    "shards": lambda batch: _rows("shards_add", batch.shards),
    "batches": lambda batch: _rows("batches_put", batch.batches),
    "replayed": _replayed,
    "accepted": _accepted,
    "payloads": lambda batch: _bytes("payloads_add", batch.payloads),
    "updated": lambda batch: _rows("tasks_change", batch.updated, "a stored fence of a changed task"),
    "spilled": lambda batch: _rows("history_add", batch.spilled),
    "saved": lambda batch: _bytes("checkpoints_put", batch.saved),
    "ended": _ended,
    "results": lambda _: [],
    "links": lambda batch: _rows("links_add", batch.links),
    "links_done": lambda batch: _rows("links_remove", batch.links_done),
    "releases": lambda batch: _ids("releases_add", batch.releases),
    "releases_done": lambda batch: _ids("releases_remove", batch.releases_done),
    "keys": _keys,
    "facts": _facts,
    "definitions": _definitions,
    "runs": lambda batch: _rows("runs_put", batch.runs),
    "steps_gone": lambda batch: _rows("steps_remove", batch.steps_gone),
    "steps": lambda batch: _rows("steps_put", batch.steps),
    # Clients come through a socket; what they hand in is acknowledged by the commit itself.
    "taken": lambda _: [],
    "purged": lambda _: [],
}
