"""How work comes in: checked against dependencies and idempotency keys, given an id and a place, and written."""

from collections.abc import Sequence
from typing import Final

from wsaios.kernel.errors import IdempotencyConflict, InvalidInput, UnknownLane, UnknownTask
from wsaios.kernel.events import Submit
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, ById, IdempotencyOf, IdempotencyRow, Payload
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Flag, NewTask, Options, Task, clamp_priority
from wsaios.scheduler.book import Book

_READY, _PENDING = State.READY, State.PENDING
CLIENT: Final = "\0client"
CLIENT_WINDOW_US: Final = 3_600_000_000
NO_DEPENDENCY: Final = "waits for its dependencies"
NOT_YET: Final = "waits for its time"


class Intake:
    """Turns `Submit` into tasks. What needs the ledger's word first (keys, dependencies) is looked up and taken up again."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._keys: dict[tuple[str, str], IdempotencyRow] = {}

    def begin(self) -> None:
        """Start a step: what was answered before may be out of date."""
        self._keys.clear()

    def submit(self, event: Submit) -> None:
        """Accept all tasks of the event or none."""
        parents = {parent for new in event.tasks for parent in new.depends_on}
        pairs = {(new.tenant, new.idempotency_key) for new in event.tasks if new.idempotency_key}
        if event.client_token:
            pairs.add((CLIENT, event.client_token))
        refused = self._refusal(event.tasks)
        if refused is not None:
            self._book.reply(event.token, error=refused)
        elif pairs:
            question = IdempotencyOf(tuple(sorted(pairs)), self._book.now_us)
            self._book.ask(question, lambda answer: self._with_keys(event, parents, answer))
        elif parents:
            self._look_up(event, parents)
        else:
            self._accept(event, {}, {})

    def _refusal(self, tasks: Sequence[NewTask]) -> Exception | None:
        lanes = self._book.executor.lanes
        for new in tasks:
            if new.lane and new.lane not in lanes and lanes:
                return UnknownLane(new.lane, list(lanes))
        return None

    def _with_keys(self, event: Submit, parents: set[int], answer: Answer) -> None:
        for row in answer.keys:
            self._keys.setdefault((row.tenant, row.key), row)
        if parents:
            self._look_up(event, parents)
        else:
            self._accept(event, {}, {})

    def _look_up(self, event: Submit, parents: set[int]) -> None:
        keys = dict(self._keys)

        def go_on(answer: Answer) -> None:
            self._keys = {**keys, **self._keys}
            live = {task.id: task for task in self._book.adopt(answer.tasks)}
            over = {outcome.id: State(outcome.state) for outcome in answer.outcomes} | self._book.ended_now
            self._accept(event, live, over)

        self._book.ask(ById(tuple(sorted(parents))), go_on)

    def _accept(self, event: Submit, live: dict[int, Task], over: dict[int, State]) -> None:
        ids: list[int] = []
        fresh: list[NewTask] = []
        sent = self._keys.get((CLIENT, event.client_token)) if event.client_token else None
        if sent is not None:
            self._book.reply(event.token, [sent.task])
            return
        for new in event.tasks:
            for parent in new.depends_on:
                if parent not in live and parent not in over:
                    self._book.reply(event.token, error=InvalidInput("depends_on", str(UnknownTask(encode(parent)))))
                    return
            known = self._keys.get((new.tenant, new.idempotency_key)) if new.idempotency_key else None
            if known is not None and known.digest != new.digest:
                error = IdempotencyConflict(new.idempotency_key, encode(known.task))
                self._book.reply(event.token, error=error)
                return
            if known is not None:
                ids.append(known.task)
                continue
            new.id = self._book.ids.one(self._book.now_us)
            ids.append(new.id)
            fresh.append(new)
            if new.idempotency_key:
                self._record_key(
                    new.tenant, new.idempotency_key, new.id, new.digest, new.idempotency_window_us
                )
        for new in fresh:
            self._take(new, live, over)
        if event.client_token:
            self._record_key(CLIENT, event.client_token, ids[0], "", CLIENT_WINDOW_US)
        self._book.reply(event.token, ids)

    def _record_key(self, tenant: str, key: str, task: int, digest: str, window_us: int) -> None:
        row = IdempotencyRow(tenant, key, task, digest, self._book.now_us + window_us)
        self._keys[tenant, key] = row
        self._book.commit.keys.append(row)

    def _take(self, new: NewTask, live: dict[int, Task], over: dict[int, State]) -> None:
        book = self._book
        open_parents = [parent for parent in dict.fromkeys(new.depends_on) if parent in live]
        failed = [parent for parent in new.depends_on if over.get(parent, State.SUCCEEDED) != State.SUCCEEDED]
        task = make(book, new)
        if open_parents:
            task.body.dependencies_left = len(open_parents)
            task.state = _PENDING
            task.body.reason = NO_DEPENDENCY
        start(task, book.now_us)
        book.add(task, Payload(task.id, new.codec, new.payload))
        if failed:
            word = over[failed[0]].word
            book.close(task, State.CANCELLED, f"dependency {encode(failed[0])} is {word}")
            return
        for parent in open_parents:
            book.commit.links.append((parent, task.id))
            record = live[parent]
            record.body.flags |= Flag.HAS_DEPENDENTS
            book.touch(record)
        if task.state == _READY:
            book.executor.offer(task, book.shards[task.shard])
        book.executor.due.add(task)
        book.executor.expiring.add(task)


def make(book: Book, new: NewTask, batch: int = 0) -> Task:
    """The record of a new task that is not yet written."""
    now = book.now_us
    shard = book.shard(new.lane, new.tenant, new.handler, batch, new.concurrency_key)
    priority = clamp_priority(new.priority)
    due = new.due_us if new.due_us is not None and new.due_us > now else None
    body = Body(
        now,
        priority,
        deadline_us=new.deadline_us,
        options=new.options if new.options != _PLAIN else None,
        traceparent=new.traceparent,
        reason=NOT_YET if due is not None else None,
        history=[],
    )
    state = _PENDING if due is not None else _READY
    book.id_high = max(book.id_high, new.id)
    return Task(new.id, shard.id, state, 1, book.executor.policy.key(priority, now), due, new.expires_us, body)


def start(task: Task, now_us: int) -> None:
    """Write the first line of its history."""
    task.body.history.append((task.state, now_us, 1, task.body.reason))


_PLAIN: Final = Options()
