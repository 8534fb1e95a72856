"""How work comes in: checked against dependencies and idempotency keys, given an id and a place, and written."""

from collections.abc import Callable, Sequence
from typing import Final

from wsaios.kernel.errors import IdempotencyConflict, InvalidInput, UnknownLane, UnknownTask
from wsaios.kernel.events import Submit, TakeBatch, TakeIn
from wsaios.kernel.ids import encode
from wsaios.kernel.intake import LEFT
from wsaios.kernel.ledger import Answer, ById, IdempotencyOf, IdempotencyRow, Payload
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Failure, Flag, NewTask, Options, Task, clamp_priority
from wsaios.scheduler.book import Book

_READY: Final = int(State.READY)
_PENDING: Final = int(State.PENDING)
CLIENT: Final = "\0client"
CLIENT_WINDOW_US: Final = 3_600_000_000
NO_DEPENDENCY: Final = "waits for its dependencies"
NOT_YET: Final = "waits for its time"
Pair = tuple[str, str]
"""Tenant and idempotency key."""


class Intake:
    """Turns `Submit` into tasks.

    What needs the ledger's word first (keys, dependencies) is looked up and taken up again.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._keys: dict[Pair, IdempotencyRow] = {}
        self._depths: dict[int, int] = {}

    def begin(self) -> None:
        """Start a step: what was answered before may be out of date."""
        self._keys.clear()
        self._depths.clear()

    def submit(self, event: Submit) -> None:
        """Accept all tasks of the event or none."""
        parents: set[int] = set()
        pairs = set(_sent_as(event)) if event.again else set()
        for new in event.tasks:
            if new.depends_on:
                parents.update(new.depends_on)
            if new.idempotency_key:
                pairs.add((new.tenant, new.idempotency_key))
        refused = self._refusal(event.tasks)
        if refused is not None:
            self._book.reply(event.token, error=refused)
        elif pairs or parents:
            self._look_up(event, parents, pairs)
        else:
            self._accept_plain(event)

    def accept(self, new: NewTask, depth: int, step: tuple[int, int, int]) -> int:
        """Accept the work of a step of a run, whose depth is known; returns its id."""
        book = self._book
        number = new.id = book.ids.one(book.now_us)
        task = make(book, new, depth=depth)
        task.body.step = step
        start(task, book.now_us)
        self._add(task, new)
        return number

    def take_batch(self, event: TakeBatch) -> None:
        """Accept the head of a batch that a client left; its rows follow one by one."""
        book, batch = self._book, event.batch
        book.id_high = max(book.id_high, batch.id)
        book.batches[batch.id] = batch
        book.touch_batch(batch)
        book.commit.taken.append(event.place)
        book.reply(event.token)

    def take_in(self, event: TakeIn) -> None:
        """Accept what a client left; it was acknowledged then, so what cannot be accepted fails and says why."""
        parents = {parent for new in event.tasks for parent in new.depends_on}
        if not parents:
            self._take_in(event, {}, {})
            return
        self._with_parents(parents, lambda live, over: self._take_in(event, live, over))

    def _take_in(self, event: TakeIn, live: dict[int, Task], over: dict[int, State]) -> None:
        book = self._book
        book.commit.taken.append(event.place)
        called_off = book.called_off.get(event.batch)
        for new in event.tasks:
            reason = event.refused.get(new.id) or self._unfit(new, live, over)
            if reason is not None:
                self._turn_away(new, event, State.FAILED, reason, Failure("InvalidInput", reason))
            elif called_off is not None:
                self._turn_away(new, event, State.CANCELLED, called_off, None)
            else:
                self._take(new, live, over, event.batch, event.at_us)
        book.reply(event.token)

    def _turn_away(self, new: NewTask, event: TakeIn, state: State, reason: str, failure: Failure | None) -> None:
        book = self._book
        task = make(book, new, event.batch, event.at_us)
        task.state, task.body.reason = _PENDING, LEFT
        start(task, book.now_us)
        book.add(task, Payload(task.id, new.codec, new.payload))
        book.close(task, state, reason, failure=failure)

    def _unfit(self, new: NewTask, live: dict[int, Task], over: dict[int, State]) -> str | None:
        lanes = self._book.executor.lanes
        refused = UnknownLane(new.lane, list(lanes)) if new.lane and lanes and new.lane not in lanes else None
        gone = _refused(new, None, live, over) if new.depends_on else None
        error = refused or gone
        return None if error is None else str(error)

    def _with_parents(self, parents: set[int], then: Callable[[dict[int, Task], dict[int, State]], None]) -> None:
        live: dict[int, Task] = {}
        over: dict[int, State] = {}

        def found(answer: Answer) -> None:
            self._found(answer, live, over)
            then(live, over)

        self._book.ask(ById(tuple(sorted(parents))), found)

    def _found(self, answer: Answer, live: dict[int, Task], over: dict[int, State]) -> None:
        live.update((task.id, task) for task in self._book.adopt(answer.tasks))
        over.update((outcome.id, State(outcome.state)) for outcome in answer.outcomes)
        over.update(self._book.ended_now)
        self._depths.update((task.id, task.body.depth) for task in answer.tasks)
        self._depths.update((outcome.id, outcome.body.depth) for outcome in answer.outcomes)

    def _refusal(self, tasks: Sequence[NewTask]) -> Exception | None:
        lanes = self._book.executor.lanes
        for new in tasks:
            if new.lane and new.lane not in lanes and lanes:
                return UnknownLane(new.lane, list(lanes))
        return None

    def _look_up(self, event: Submit, parents: set[int], pairs: set[Pair]) -> None:
        """Parents and keys as of one commit.

        What is known of the ones must not be older than what is known of the others.
        """
        live: dict[int, Task] = {}
        over: dict[int, State] = {}

        def found(answer: Answer) -> None:
            self._found(answer, live, over)

        def told(answer: Answer) -> None:
            for row in answer.keys:
                self._keys.setdefault((row.tenant, row.key), row)
            self._accept(event, live, over)

        if parents:
            self._book.ask(ById(tuple(sorted(parents))), found)
        self._book.ask(IdempotencyOf(tuple(sorted(pairs)), self._book.now_us), told)

    def _accept_plain(self, event: Submit) -> None:
        book = self._book
        ids: list[int] = []
        for new in event.tasks:
            new.id = book.ids.one(book.now_us)
            ids.append(new.id)
            task = make(book, new)
            start(task, book.now_us)
            self._add(task, new)
        if event.client_token:
            book.commit.keys.extend(self._kept(event, ids))
        book.reply(event.token, ids)

    def _accept(self, event: Submit, live: dict[int, Task], over: dict[int, State]) -> None:
        book = self._book
        sent = [self._keys[pair] for pair in _sent_as(event) if pair in self._keys]
        if sent:
            book.reply(event.token, [row.task for row in sent])
            return
        ids: list[int] = []
        fresh: list[NewTask] = []
        rows: dict[Pair, IdempotencyRow] = {}
        for new in event.tasks:
            pair = (new.tenant, new.idempotency_key)
            known = (rows.get(pair) or self._keys.get(pair)) if new.idempotency_key else None
            refused = _refused(new, known, live, over)
            if refused is not None:
                book.reply(event.token, error=refused)
                return
            if known is not None:
                ids.append(known.task)
                continue
            new.id = book.ids.one(book.now_us)
            ids.append(new.id)
            fresh.append(new)
            if new.idempotency_key:
                rows[pair] = IdempotencyRow(*pair, new.id, new.digest, book.now_us + new.idempotency_window_us)
        rows.update(((row.tenant, row.key), row) for row in self._kept(event, ids))
        self._keys.update(rows)
        book.commit.keys.extend(rows.values())
        for new in fresh:
            self._take(new, live, over)
        book.reply(event.token, ids)

    def _kept(self, event: Submit, ids: Sequence[int]) -> list[IdempotencyRow]:
        """What a repeat of this submission will be told."""
        until_us = self._book.now_us + CLIENT_WINDOW_US
        return [IdempotencyRow(*pair, task, "", until_us) for pair, task in zip(_sent_as(event), ids, strict=False)]

    def _take(
        self, new: NewTask, live: dict[int, Task], over: dict[int, State], batch: int = 0, at_us: int | None = None
    ) -> None:
        book = self._book
        open_parents = [parent for parent in dict.fromkeys(new.depends_on) if parent in live]
        failed = [parent for parent in new.depends_on if over.get(parent, State.SUCCEEDED) != State.SUCCEEDED]
        depth = 1 + max((self._depths.get(parent, 0) for parent in new.depends_on), default=-1)
        task = make(book, new, batch, at_us, depth)
        if open_parents:
            task.body.dependencies_left = len(open_parents)
            task.state = _PENDING
            task.body.reason = NO_DEPENDENCY
        start(task, book.now_us)
        if failed:
            book.add(task, Payload(task.id, new.codec, new.payload))
            word = over[failed[0]].word
            book.close(task, State.CANCELLED, f"dependency {encode(failed[0])} is {word}")
            return
        for parent in open_parents:
            book.commit.links.append((parent, task.id))
            record = live[parent]
            record.body.flags |= Flag.HAS_DEPENDENTS
            book.touch(record)
        self._add(task, new)

    def _add(self, task: Task, new: NewTask) -> None:
        """Write the task, and have it in memory where its time or its turn will come."""
        book = self._book
        executor = book.executor
        book.add(task, Payload(task.id, new.codec, new.payload))
        if task.state == _READY:
            executor.offer(task, book.shards[task.shard])
        if task.due_us is not None:
            executor.due.add(task)
        if task.expires_us is not None:
            executor.expiring.add(task)


def make(book: Book, new: NewTask, batch: int = 0, at_us: int | None = None, depth: int = 0) -> Task:
    """The record of a new task that is not yet written; `at_us` is when it came, where that was before now.

    `depth` is the longest chain of tasks that it waits for.
    """
    now, priority, due = book.now_us, clamp_priority(new.priority), new.due_us
    came_us = now if at_us is None else min(at_us, now)
    shard = book.shard(new, batch)
    if due is not None and due <= now:
        due = None
    state, reason = (_READY, None) if due is None else (_PENDING, NOT_YET)
    options = new.options if new.options != _PLAIN else None
    body = Body(came_us, priority, 0, 0, 0, 0, 0, 0, 0, new.deadline_us, options, new.traceparent, reason, 0, [])
    body.depth = depth
    book.id_high = max(book.id_high, new.id)
    key = book.executor.place(shard, body, now)
    return Task(new.id, shard.id, state, 1, key, due, new.expires_us, body)


def _refused(
    new: NewTask, known: IdempotencyRow | None, live: dict[int, Task], over: dict[int, State]
) -> Exception | None:
    for parent in new.depends_on:
        if parent not in live and parent not in over:
            return InvalidInput("depends_on", str(UnknownTask(encode(parent))))
    if known is not None and known.digest != new.digest:
        return IdempotencyConflict(new.idempotency_key, encode(known.task))
    return None


def _sent_as(event: Submit) -> list[Pair]:
    """The keys under which a repeat of this submission finds the tasks of the first one."""
    if not event.client_token:
        return []
    return [
        (CLIENT, f"{event.client_token}#{place}" if place else event.client_token) for place in range(len(event.tasks))
    ]


def start(task: Task, now_us: int) -> None:
    """Write the first line of its history."""
    task.body.history.append((task.state, now_us, 1, task.body.reason))


_PLAIN: Final = Options()
