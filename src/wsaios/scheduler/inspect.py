"""What the scheduler says about tasks and batches, from the ledger and from what the core has in mind."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import UnknownBatch, UnknownTask
from wsaios.kernel.ids import IdRange, encode
from wsaios.kernel.intake import LEFT
from wsaios.kernel.ledger import Reads, TaskView
from wsaios.kernel.ports import Clock
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState, Entry, Outcome, Task
from wsaios.kernel.views import UNOWNED, BatchView, Overview, Status, Transition, Why, amount, moment, moment_or_none
from wsaios.scheduler import outlook
from wsaios.scheduler.core import Core

AHEAD_COUNTED: Final = 10_000
Read = Callable[..., Awaitable[Any]]


class Inspector:
    """Answers status, history and why. Reads go through `read`, which runs them off the loop."""

    def __init__(self, reads: Reads, read: Read, core: Callable[[], Core | None], clock: Clock) -> None:
        self._reads = reads
        self._read = read
        self._core = core
        self._clock = clock
        self._sealed: Batch | None = None

    async def view(self, number: int) -> TaskView:
        """The ledger's word on a task.

        Raises:
            UnknownTask: there is none.
        """
        view = await self._read(self._reads.task_view, number)
        if view is None:
            raise UnknownTask(encode(number))
        assert isinstance(view, TaskView)
        return view

    async def status(self, number: int) -> Status:
        """Where a task stands."""
        return await self.status_of(await self.view(number))

    async def status_of(self, view: TaskView) -> Status:
        """The status in a view."""
        shard, record = view.shard, view.row
        body = record.body
        state, staged = State(record.state), await self._staged(view)
        core = self._core()
        note = core.book.notes.get(record.id) if core is not None else None
        outcome = view.outcome
        # What a row waited for is over once its batch is sealed, which one row of the ledger says for all of them.
        sealed = state == State.READY and not staged and body.history[-1][0] == State.PENDING
        return Status(
            id=encode(record.id),
            state=State.PENDING.word if staged else state.word,
            attempt=body.attempts,
            reason=None if sealed else body.reason,
            handler=shard.handler,
            lane=shard.lane or self._lane_of(shard.handler),
            tenant=shard.tenant,
            priority=body.priority,
            batch=encode(shard.batch, "batch") if shard.batch else None,
            accepted_at=moment(body.accepted_us),
            ended_at=moment(outcome.ended_us) if outcome is not None else None,
            due_at=moment_or_none(view.live.due_us) if view.live is not None else None,
            expires_at=moment_or_none(record.expires_us),
            deadline=moment_or_none(body.deadline_us),
            progress=note[0] if note else None,
            note=note[1] if note else "",
            failure=outcome.failure if outcome is not None else None,
            losses=body.losses,
            row=await self._row_of(record.id, shard.batch) if shard.batch else None,
        )

    async def history(self, number: int) -> list[Transition]:
        """Every change of a task, oldest first."""
        view = await self.view(number)
        record = view.row
        entries: list[Entry] = []
        for part in view.spilled:
            entries.extend(msgspec.json.decode(part, type=list[Entry]))
        entries.extend(record.body.history)
        was, lines = State.NEW, []
        for state, at_us, fence, reason in entries:
            lines.append(Transition(was.word, State(state).word, moment(at_us), fence, reason))
            was = State(state)
        return lines

    async def why(self, number: int) -> Why:
        """What a task waits for, or how it ended."""
        view = await self.view(number)
        if view.outcome is not None:
            return _ended(view.outcome)
        task = view.live
        assert task is not None
        core = self._core()
        rest = outlook.rests(core, task) if core is not None and task.state == State.RUNNING else None
        why = await (self._waits(view, task) if core is None or rest is None else self._rests(core, view, task, rest))
        deadline_us = task.body.deadline_us
        if deadline_us is not None:
            in_time = None if core is None else outlook.in_time(core, view, task, why.starts_in_s, self._clock.now_us())
            why = msgspec.structs.replace(why, deadline=moment(deadline_us), in_time=in_time)
        if core is not None and core.reordering.busy:
            late = "; the order is being changed, and not all of what waits has its new place yet"
            why = msgspec.structs.replace(why, detail=why.detail + late)
        return why

    async def _rests(self, core: Core, view: TaskView, task: Task, rest: tuple[outlook.Place, int]) -> Why:
        """Of a call that waits to go on. How long others run until they let it, nobody knows."""
        place, since_us = rest
        where = outlook.where_kept(core, self._lane(view), view.shard.grade)
        detail = f"attempt {task.body.attempts} stopped at a checkpoint, and waits to go on in {where}"
        ahead = await self._ahead(view, place)
        kind = "order" if ahead else "slot"
        return Why(encode(task.id), State.RUNNING.word, kind, detail, moment(since_us), ahead)

    async def _waits(self, view: TaskView, task: Task) -> Why:
        kind, detail = self._left(task) or await self._waits_for(view, task)
        core, lane, ahead, wait_s = self._core(), self._lane(view), None, None
        if core is not None and lane not in core.executor.lanes:
            core = None
        if kind in {"slot", "order", "limit"}:
            ahead = await self._ahead(view, (task.key, task.id))
            if kind == "slot" and ahead and core is not None:
                kind, detail = "order", f"waits for its turn in {outlook.where_kept(core, lane, view.shard.grade)}"
        word = State.PENDING.word if kind == "seal" else State(task.state).word
        if core is not None and ahead is not None and kind != "limit":
            wait_s = outlook.starts_in_s(core, lane, view.shard.grade, ahead, self._clock.now_us())
        return Why(encode(task.id), word, kind, detail, moment(task.body.history[-1][1]), ahead, wait_s)

    async def batch(self, number: int) -> BatchView:
        """Where a batch stands, by the last commit: what the core counts may not be durable yet.

        Raises:
            UnknownBatch: there is none.
        """
        batch = await self._read(self._reads.batch, number)
        if batch is None:
            raise UnknownBatch(encode(number, "batch"))
        return batch_view(batch)

    async def batches(self, limit: int) -> list[BatchView]:
        """Batches, latest first."""
        return [batch_view(batch) for batch in await self._read(self._reads.batch_list, limit)]

    async def tasks(self, states: Sequence[int], after: int, limit: int) -> list[Status]:
        """Tasks with an id above `after` in one of the states (none: any), by id."""
        return [await self.status_of(view) for view in await self._read(self._reads.task_list, states, after, limit)]

    async def overview(self) -> Overview:
        """Counts over everything, and tasks that outlived their owners too often; may take a while on large ledgers."""
        totals = await self._read(self._reads.totals)
        core = self._core()
        views = await self._read(self._reads.task_list, (State.RUNNING,), 0, AHEAD_COUNTED)
        for number in list(core.executor.suspects) if core is not None else ():
            view = await self._read(self._reads.task_view, number)
            views.extend([view] if view is not None else [])
        return Overview(
            live={State(number).word: count for number, count in sorted(totals.live.items()) if count},
            ended={State(number).word: count for number, count in sorted(totals.ended.items()) if count},
            size_bytes=totals.size_bytes,
            owned=core is not None,
            suspects=[await self.status_of(view) for view in views if view.live and self._suspect(view.live)],
        )

    def _suspect(self, task: Task) -> bool:
        """Whether it was in flight at too many deaths; what still counts as running without an owner died once more."""
        deaths = task.body.deaths + (self._core() is None)
        return deaths >= SUSPECT_DEATHS

    def _left(self, task: Task) -> tuple[str, str] | None:
        if task.body.reason != LEFT:
            return None
        return "intake", LEFT if self._core() is not None else f"{LEFT}; {UNOWNED}"

    async def _waits_for(self, view: TaskView, task: Task) -> tuple[str, str]:
        state, body = State(task.state), task.body
        if state == State.RUNNING:
            return self._runs(body.attempts)
        if state == State.PAUSED:
            return "pause", body.reason or "paused"
        if body.dependencies_left:
            return "dependency", f"waits for {amount(body.dependencies_left, 'task')} that it depends on"
        if task.due_us is not None:
            what = "tried again" if state == State.RETRYING else "due"
            return "time", f"{what} at {moment(task.due_us):%Y-%m-%d %H:%M:%S} UTC" + (
                f" after {body.reason}" if state == State.RETRYING else ""
            )
        if await self._staged(view):
            return "seal", "its batch is not sealed yet"
        return self._line(view, task)

    def _runs(self, attempt: int) -> tuple[str, str]:
        if self._core() is None:
            return "slot", f"attempt {attempt} was running; {UNOWNED}"
        return "nothing", f"attempt {attempt} runs"

    def _line(self, view: TaskView, task: Task) -> tuple[str, str]:
        core = self._core()
        if core is None:
            return "slot", UNOWNED
        lane = self._lane(view)
        held = outlook.missing(core, view, lane) or outlook.parked(core, view, task)
        return held or ("slot", outlook.taken(core, lane, view.shard.grade))

    async def _ahead(self, view: TaskView, place: outlook.Place) -> int:
        core, lane = self._core(), self._lane(view)
        shards, resting = [view.shard.id], 0
        held = outlook.limit(core, view) if core is not None else None
        if held is not None:
            # They wait for the same limit, in whatever lane.
            shards = sorted({*held.queues, view.shard.id})
        elif core is not None:
            resting = outlook.rest_before(core, lane, place)
            shards = [
                window.shard.id
                for window in core.executor.windows.values()
                if window.lane == lane and window.parked in {"", "fill"}
            ]
            shards = sorted({*shards, view.shard.id})
        found = await self._read(self._reads.ahead, shards, *place, AHEAD_COUNTED)
        return min(int(found) + resting, AHEAD_COUNTED)

    async def _staged(self, view: TaskView) -> bool:
        if view.live is None or view.live.state != State.READY or not view.shard.batch:
            return False
        core = self._core()
        known = core.book.batches.get(view.shard.batch) if core is not None else None
        batch = known or await self._read(self._reads.batch, view.shard.batch)
        return batch is not None and batch.state == BatchState.STAGING

    async def _row_of(self, number: int, batch_number: int) -> int | None:
        """The place of a task in its batch, from 1."""
        batch, core = self._sealed, self._core()
        if batch is None or batch.id != batch_number:
            known = core.book.batches.get(batch_number) if core is not None else None
            batch = known or await self._read(self._reads.batch, batch_number)
            if batch is None:
                return None
            # The ranges of a sealed one never change, and lists ask for the same batch again and again.
            self._sealed = batch if batch.state == BatchState.SEALED else None
        before = 0
        for part in (IdRange(*each) for each in batch.ranges):
            place = part.place_of(number)
            if place is not None:
                return before + place + 1
            before += part.length
        return None

    def _lane(self, view: TaskView) -> str:
        return view.shard.lane or self._lane_of(view.shard.handler)

    def _lane_of(self, handler: str) -> str:
        core = self._core()
        spec = core.executor.handlers.get(handler) if core is not None else None
        return spec.lane if spec is not None else ""


def batch_view(batch: Batch) -> BatchView:
    """A batch as people see it."""
    return BatchView(
        id=encode(batch.id, "batch"),
        state=BatchState(batch.state).name.lower(),
        handler=batch.handler,
        tenant=batch.tenant,
        rows=batch.rows,
        ended={State(number).word: count for number, count in sorted(batch.ended.items()) if count},
        created_at=moment(batch.created_us),
        keep=batch.keep,
        meta=dict(batch.meta),
    )


def _ended(outcome: Outcome) -> Why:
    word = State(outcome.state).word
    detail = outcome.body.reason or f"ended after {amount(outcome.body.attempts, 'attempt')}"
    why = Why(encode(outcome.id), word, "nothing", detail, moment(outcome.ended_us))
    deadline_us = outcome.body.deadline_us
    if deadline_us is None:
        return why
    in_time = outcome.state == State.SUCCEEDED and outcome.ended_us <= deadline_us
    return msgspec.structs.replace(why, deadline=moment(deadline_us), in_time=in_time)
