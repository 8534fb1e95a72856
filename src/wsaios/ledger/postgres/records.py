"""From rows of PostgreSQL to what the ledger stores."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wsaios.kernel.ledger import IdempotencyRow, Payload
from wsaios.kernel.run import Run, StepRow
from wsaios.kernel.task import Batch, Body, Failure, Outcome, Shard, Task

_BODIES: Final = msgspec.json.Decoder(list[Body])
_FAILURES: Final = msgspec.json.Decoder(list[Failure | None])
_FAILURE: Final = msgspec.json.Decoder(Failure)
_RANGES: Final = msgspec.json.Decoder(list[tuple[int, int]])
_ENDED: Final = msgspec.json.Decoder(dict[int, int])
_META: Final = msgspec.json.Decoder(dict[str, Any])

Rows = Sequence[Any]


def tasks_of(rows: Rows) -> list[Task]:
    """Live tasks."""
    # All bodies at once: each one alone costs five times as much.
    bodies = _BODIES.decode(f"[{','.join([row[7] for row in rows])}]")
    return [
        Task(id_, shard, state, fence, key, due_us, expires_us, body, fence)
        for (id_, shard, state, fence, key, due_us, expires_us, _), body in zip(rows, bodies, strict=True)
    ]


def outcomes_of(rows: Rows) -> list[Outcome]:
    """Outcomes; what a row holds beyond them is left alone."""
    bodies = _BODIES.decode(f"[{','.join([row[10] for row in rows])}]")
    failures = _FAILURES.decode(f"[{','.join([row[9] or 'null' for row in rows])}]")
    found = []
    for row, failure, body in zip(rows, failures, bodies, strict=True):
        id_, fence, state, shard, ended_us, key, expires_us, codec, size = row[:9]
        found.append(Outcome(id_, fence, fence, state, shard, ended_us, key, expires_us, codec, size, failure, body))
    return found


def batches_of(rows: Rows) -> list[Batch]:
    """Batches."""
    found = []
    for row in rows:
        id_, state, handler, tenant, created_us, sealed_us, count, keep, key, ranges, ended, meta = row
        found.append(
            Batch(
                id_,
                state,
                handler,
                tenant,
                created_us,
                sealed_us,
                count,
                keep,
                None if key is None else key.decode(),
                _RANGES.decode(ranges),
                _ENDED.decode(ended),
                _META.decode(meta),
            )
        )
    return found


def runs_of(rows: Rows) -> list[Run]:
    """Runs."""
    found = [Run(*row[:11]) for row in rows]
    for run, row in zip(found, rows, strict=True):
        run.failure = _failure(row[11])
    return found


def steps_of(rows: Rows, ends: Rows) -> list[StepRow]:
    """Rows of steps, with how their tasks ended."""
    known = {number: (state, size) for number, state, size in ends}
    found = [StepRow(*row[:7]) for row in rows]
    for step, row in zip(found, rows, strict=True):
        step.failure = _failure(row[7])
        step.ended, step.size = known.get(row[3], (0, 0))
    return found


def _failure(text: str | None) -> Failure | None:
    return None if text is None else _FAILURE.decode(text)


def shards_of(rows: Rows) -> list[Shard]:
    """Shards."""
    return [Shard(*row) for row in rows]


def payloads_of(rows: Rows) -> dict[int, Payload]:
    """Arguments, results or checkpoints by task."""
    return {row[0]: Payload(*row) for row in rows}


def keys_of(rows: Rows) -> list[IdempotencyRow]:
    """Idempotency keys."""
    return [
        IdempotencyRow(tenant.decode(), key.decode(), task, digest, until_us)
        for tenant, key, task, digest, until_us in rows
    ]
