"""The second, read-only way into a ledger."""

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import EndedAfter, LiveAfter, Payload, TaskView, Totals
from wsaios.kernel.states import ENDED, State
from wsaios.kernel.task import Batch, Outcome, Shard, Task
from wsaios.ledger.postgres import leaving, records
from wsaios.ledger.postgres.address import Address
from wsaios.ledger.postgres.answers import Answers
from wsaios.ledger.postgres.bridge import Bridge
from wsaios.ledger.postgres.commit import undo
from wsaios.ledger.postgres.errors import LOST, translated
from wsaios.ledger.postgres.schema import require
from wsaios.ledger.postgres.session import Session, Statement

T = TypeVar("T")

_ID_MAX: Final = (1 << 63) - 1
_NOWHERE: Final = Shard(0, "", "", "", 0, "")


class PostgresReads:
    """`Reads` through a connection of their own; each call sees one moment of the ledger."""

    def __init__(self, address: Address, sql: Mapping[str, Statement]) -> None:
        """Connect.

        Raises:
            LedgerUnavailable: there is no ledger yet, or it has an older schema.
        """
        self._address = address
        self._ledger = address.name
        self._sql = sql
        self._gate = threading.RLock()
        self._bridge = Bridge()
        self._session: Session | None = None
        self._closed = False
        try:
            with translated(self._ledger):
                self._bridge.run(self._connected())
        except BaseException:
            self.close()
            raise

    def task_view(self, task_id: int) -> TaskView | None:
        """As `Reads.task_view`."""
        return self._moment(lambda session: self._view(session, task_id))

    def task_list(self, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
        """As `Reads.task_list`."""
        return self._moment(lambda session: self._list(session, states, after, limit))

    def ahead(self, shards: Sequence[int], key: int, task_id: int, limit: int) -> int:
        """As `Reads.ahead`."""
        rows = self._rows("ahead", shards=list(shards), key=key, id=task_id, limit=limit)
        return int(rows[0][0])

    def batch(self, batch_id: int) -> Batch | None:
        """As `Reads.batch`."""

        async def found(session: Session) -> Batch | None:
            told = records.batches_of(await session.rows("batch_by_id", id=batch_id))
            return told[0] if told else await leaving.batch_in(session, batch_id)

        return self._moment(found)

    def batch_by_key(self, key: str) -> Batch | None:
        """As `Reads.batch_by_key`."""
        return next(iter(records.batches_of(self._rows("batch_by_key", key=key.encode()))), None)

    def batch_list(self, limit: int) -> list[Batch]:
        """As `Reads.batch_list`."""

        async def found(session: Session) -> list[Batch]:
            told = records.batches_of(await session.rows("batch_list", limit=limit))
            told += await leaving.batches_in(session, limit)
            return sorted(told, key=lambda batch: -batch.id)[:limit]

        return self._moment(found)

    def outcomes(self, first: int, last: int, limit: int) -> list[tuple[Outcome, bytes]]:
        """As `Reads.outcomes`."""
        rows = self._rows("outcomes_between", first=first, last=last, limit=limit)
        return [(outcome, row[11] or b"") for outcome, row in zip(records.outcomes_of(rows), rows, strict=True)]

    def ended_ids(self, first: int, last: int, limit: int) -> list[tuple[int, int]]:
        """As `Reads.ended_ids`."""
        return [(number, state) for number, state in self._rows("ended_ids", first=first, last=last, limit=limit)]

    def unknown(self, ids: Sequence[int]) -> list[int]:
        """As `Reads.unknown`."""
        return [number for (number,) in self._rows("unknown_ids", ids=list(ids))]

    def totals(self) -> Totals:
        """As `Reads.totals`."""
        return self._moment(_totals)

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""
        with self._gate:
            self._closed = True
            session, self._session = self._session, None
            if session is not None:
                self._bridge.run(session.close())
            self._bridge.close()

    def _rows(self, name: str, **given: Any) -> list[Any]:
        return self._run(lambda session: session.rows(name, **given))

    def _moment(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        """The answer of several statements that all see the same commit."""

        async def asked(session: Session) -> T:
            await session.change("reads_begin", {})
            try:
                return await ask(session)
            finally:
                await undo(session)

        return self._run(asked)

    def _run(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        with self._gate, translated(self._ledger):
            if self._closed:
                raise LedgerUnavailable(self._ledger, "it was closed")
            return self._bridge.run(self._asked(ask))

    async def _asked(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        fresh = self._session is None or self._session.closed()
        try:
            return await ask(await self._connected())
        except LOST:
            # The server may have been restarted since the last question; asking again changes nothing.
            if fresh:
                raise
            return await ask(await self._connected())

    async def _connected(self) -> Session:
        session = self._session
        if session is None or session.closed():
            self._session = None
            session = await Session.open(self._address, self._sql, "reader")
            try:
                await require(session, self._ledger, self._address.schema)
            except BaseException:
                await session.close()
                raise
            self._session = session
        return session

    async def _view(self, session: Session, task_id: int) -> TaskView | None:
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

    async def _list(self, session: Session, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
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
