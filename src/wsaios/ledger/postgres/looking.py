"""What people and gateways ask of a ledger on PostgreSQL, by names of `Reads`; each sees one moment of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from wsaios.kernel.ledger import Answer, EndedAfter, Ends, LiveAfter, Payload, Question, TaskView, Totals
from wsaios.kernel.states import ENDED, State
from wsaios.kernel.task import Batch, Outcome, Shard, Task
from wsaios.ledger.postgres import leaving, records
from wsaios.ledger.postgres.answers import Answers
from wsaios.ledger.postgres.commit import undo
from wsaios.ledger.postgres.link import Link
from wsaios.ledger.postgres.session import Session

T = TypeVar("T")

_ID_MAX: Final = (1 << 63) - 1
_NOWHERE: Final = Shard(0, "", "", "", 0, "")


async def task_view(session: Session, task_id: int) -> TaskView | None:
    """As `Reads.task_view`."""
    return await _moment(session, _view, task_id)


async def task_list(session: Session, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
    """As `Reads.task_list`."""
    return await _moment(session, _list, states, after, limit)


async def ahead(session: Session, shards: Sequence[int], key: int, task_id: int, limit: int) -> int:
    """As `Reads.ahead`."""
    return int(await session.value("ahead", shards=list(shards), key=key, id=task_id, limit=limit))


async def batch(session: Session, batch_id: int) -> Batch | None:
    """As `Reads.batch`."""
    return await _moment(session, _batch, batch_id)


async def batch_by_key(session: Session, key: str) -> Batch | None:
    """As `Reads.batch_by_key`."""
    return next(iter(records.batches_of(await session.rows("batch_by_key", key=key.encode()))), None)


async def batch_list(session: Session, limit: int) -> list[Batch]:
    """As `Reads.batch_list`."""
    return await _moment(session, _batches, limit)


async def outcomes(session: Session, first: int, last: int, limit: int) -> list[tuple[Outcome, bytes]]:
    """As `Reads.outcomes`."""
    rows = await session.rows("outcomes_between", first=first, last=last, limit=limit)
    return [(outcome, row[11] or b"") for outcome, row in zip(records.outcomes_of(rows), rows, strict=True)]


async def ends(session: Session, ids: Sequence[int]) -> Ends:
    """As `Reads.ends`; what ends between the two questions is in neither answer."""
    rows = await session.rows("ends_of", ids=list(ids))
    found = records.outcomes_of(rows)
    ended = {outcome.id for outcome in found}
    rest = [number for number in ids if number not in ended]
    return (
        [(outcome, row[11] or b"", row[12]) for outcome, row in zip(found, rows, strict=True)],
        await unknown(session, rest) if rest else [],
    )


async def ended_ids(session: Session, first: int, last: int, limit: int) -> list[tuple[int, int]]:
    """As `Reads.ended_ids`."""
    return [(number, state) for number, state in await session.rows("ended_ids", first=first, last=last, limit=limit)]


async def unknown(session: Session, ids: Sequence[int]) -> list[int]:
    """Those of the ids that no task has, in their order."""
    return [number for (number,) in await session.rows("unknown_ids", ids=list(ids))]


async def asked(session: Session, question: Question) -> Answer:
    """As `Reads.asked`."""
    return await _moment(session, _asked, question)


async def totals(session: Session) -> Totals:
    """As `Reads.totals`."""
    return await _moment(session, _totals)


class LinkReads:
    """The same through a link: methods by the names of `Reads`, to be awaited."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        read = globals()[name]
        return lambda *given: self._link.ask(lambda session: read(session, *given))


async def _moment(session: Session, asking: Callable[..., Awaitable[T]], *given: Any) -> T:
    """The answer of several statements that all see the same commit."""
    await session.change("reads_begin", {})
    try:
        return await asking(session, *given)
    finally:
        await undo(session)


async def _asked(session: Session, question: Question) -> Answer:
    return await Answers(session).answer(question)


async def _batch(session: Session, batch_id: int) -> Batch | None:
    told = records.batches_of(await session.rows("batch_by_id", id=batch_id))
    return told[0] if told else await leaving.batch_in(session, batch_id)


async def _batches(session: Session, limit: int) -> list[Batch]:
    told = records.batches_of(await session.rows("batch_list", limit=limit))
    told += await leaving.batches_in(session, limit)
    return sorted(told, key=lambda each: -each.id)[:limit]


async def _view(session: Session, task_id: int) -> TaskView | None:
    live = records.tasks_of(await session.rows("tasks_by_id", ids=[task_id]))
    outcomes = records.outcomes_of(await session.rows("outcomes_by_id", ids=[task_id]))
    if not live and not outcomes:
        return await leaving.view_of(session, task_id)
    ((codec, data, result_codec, result),) = await session.rows("arguments_and_result", id=task_id)
    view = TaskView(
        shard=_NOWHERE,
        live=live[0] if live else None,
        outcome=outcomes[0] if outcomes else None,
        payload=None if data is None else Payload(task_id, codec, data),
        result=None if result is None else Payload(task_id, result_codec, result),
        spilled=[entries for (entries,) in await session.rows("history_of", id=task_id)],
    )
    return (await _placed(session, [view]))[0]


async def _list(session: Session, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
    answers = Answers(session)
    views = [TaskView(shard=_NOWHERE, live=task) for task in await _live(session, answers, states, after, limit)]
    ended = tuple(state for state in states or ENDED if state in ENDED)
    if ended:
        answer = await answers.answer(EndedAfter(after, _ID_MAX, ended, limit))
        views += [TaskView(shard=_NOWHERE, outcome=outcome) for outcome in answer.outcomes]
    views = await _placed(session, views)
    if not states or State.PENDING in states:
        views += await leaving.views_after(session, after, limit)
    return sorted(views, key=lambda view: view.row.id)[:limit]


async def _totals(session: Session) -> Totals:
    live = dict(await session.rows("totals_live"))
    ended = dict(await session.rows("totals_ended"))
    left = await session.value("intake_total")
    if left:
        live[State.PENDING] = live.get(State.PENDING, 0) + left
    return Totals(live, ended, await session.value("size"))


async def _live(session: Session, answers: Answers, states: Sequence[int], after: int, limit: int) -> list[Task]:
    if not states:
        return (await answers.answer(LiveAfter(after, _ID_MAX, limit))).tasks
    found: list[Task] = []
    for state in set(states) - ENDED:
        if state == State.READY:
            rows = await session.rows("live_ready_by_id", after=after, limit=limit)
        else:
            rows = await session.rows("live_in_state", state=int(state), after=after, limit=limit)
        found += records.tasks_of(rows)
    return found


async def _placed(session: Session, views: list[TaskView]) -> list[TaskView]:
    """The views with their shards."""
    rows = await session.rows("shards_by_id", ids=sorted({view.row.shard for view in views}))
    shards = {shard.id: shard for shard in records.shards_of(rows)}
    for view in views:
        view.shard = shards[view.row.shard]
    return views
