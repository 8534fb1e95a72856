"""What is in the intake, as it is shown to people: tasks and batches that no scheduler has taken in yet."""

from typing import Any, Final

import msgspec

from wsaios.kernel.ids import IdRange
from wsaios.kernel.intake import LEFT, Kind, Leaving, Left, LeftBatch, LeftRows
from wsaios.kernel.ledger import Payload, TaskView
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState, Body, Shard, Task, grade_of
from wsaios.ledger.postgres.session import Session

_CALLS: Final = msgspec.msgpack.Decoder(list[Left])
_HEAD: Final = msgspec.msgpack.Decoder(LeftBatch)
_ROWS: Final = msgspec.msgpack.Decoder(LeftRows)


def leavings_of(rows: list[Any]) -> list[Leaving]:
    """Rows of the intake."""
    return [Leaving(*row) for row in rows]


def calls_of(leaving: Leaving) -> list[tuple[int, Left]]:
    """The tasks of a row that is not the head of a batch, each with its id."""
    ids = IdRange(leaving.first, leaving.length).span(0, leaving.length)
    if leaving.kind == Kind.TASKS:
        return list(zip(ids, _CALLS.decode(leaving.body), strict=True))
    part = _ROWS.decode(leaving.body)
    task, given = part.like.task, part.like.given
    calls = [Left(msgspec.structs.replace(task, payload=payload), given) for payload in part.rows]
    return list(zip(ids, calls, strict=True))


def batch_of(leaving: Leaving) -> Batch:
    """The batch of a head."""
    head = _HEAD.decode(leaving.body)
    return Batch(
        leaving.first,
        BatchState.SEALED,
        head.like.task.handler,
        head.like.task.tenant,
        leaving.at_us,
        leaving.at_us,
        head.rows,
        head.keep,
        None,
        head.ranges,
        {},
        head.meta,
    )


async def view_of(session: Session, number: int) -> TaskView | None:
    """A task that is in the intake, or None."""
    for leaving in leavings_of(await session.rows("intake_of", id=number)):
        if leaving.kind != Kind.BATCH:
            return next((_view(leaving, *call) for call in calls_of(leaving) if call[0] == number), None)
    return None


async def views_after(session: Session, after: int, limit: int) -> list[TaskView]:
    """Tasks in the intake with ids above `after`, by id."""
    views: list[TaskView] = []
    for leaving in leavings_of(await session.rows("intake_after", after=after, limit=limit)):
        views += [_view(leaving, *call) for call in calls_of(leaving) if call[0] > after]
        if len(views) >= limit:
            break
    return views[:limit]


async def batch_in(session: Session, number: int) -> Batch | None:
    """A batch whose head is in the intake, or None."""
    found = leavings_of(await session.rows("intake_of", id=number))
    return next(
        (batch_of(leaving) for leaving in found if leaving.kind == Kind.BATCH and leaving.first == number), None
    )


async def batches_in(session: Session, limit: int) -> list[Batch]:
    """Batches whose heads are in the intake, the latest first."""
    return [batch_of(leaving) for leaving in leavings_of(await session.rows("intake_heads", limit=limit))]


def _view(leaving: Leaving, number: int, left: Left) -> TaskView:
    new, at_us, state = left.task, leaving.at_us, State.PENDING
    shard = Shard(0, new.lane, new.tenant, new.handler, leaving.batch, new.concurrency_key, grade_of(new.priority))
    body = Body(at_us, new.priority, deadline_us=new.deadline_us, options=new.options, traceparent=new.traceparent)
    body.reason, body.history = LEFT, [(state, at_us, 1, LEFT)]
    task = Task(number, 0, state, 1, 0, new.due_us, new.expires_us, body)
    return TaskView(shard, live=task, payload=Payload(number, new.codec, new.payload))
