"""The changes of tasks: each goes through the transition table, the history and the fence."""

from collections.abc import Callable
from typing import Final

import msgspec

from wsaios.kernel.engine import Attempt, AttemptRef, Resumed
from wsaios.kernel.errors import IllegalTransition
from wsaios.kernel.events import Closed
from wsaios.kernel.executor import Seat
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Payload
from wsaios.kernel.states import ALLOWED, State
from wsaios.kernel.task import HISTORY_KEPT, Failure, Flag, Outcome, Shard, Task
from wsaios.scheduler.draft import Draft

_READY: Final = int(State.READY)
_RUNNING: Final = int(State.RUNNING)
_STARTED: Final = Flag.STARTED


class Book(Draft):
    """A draft that knows how tasks change.

    `key_freed` is told of every place under a concurrency key that became free.
    """

    key_freed: Callable[[str], None]

    def add(self, task: Task, payload: Payload) -> None:
        """Accept a new task; its first history entry is there already."""
        self.tasks[task.id] = self._dirty[task.id] = task
        self.commit.payloads.append(payload)
        self._fresh[task.id] = payload
        self.transitions[0, task.state] += 1

    def stage(self, tasks: list[Task], payloads: list[Payload]) -> None:
        """Write new tasks that nobody may start yet, without keeping them in memory; they may share their body."""
        self.commit.accepted += tasks
        self.commit.payloads += payloads
        self.transitions[0, State.PENDING] += len(tasks)

    def move(self, task: Task, state: State, reason: str | None = None, *, fence: bool = False) -> None:
        """Change the state of a live task; `fence` raises it, so that whoever holds the task now may no longer commit.

        Raises:
            IllegalTransition: the table has no such change.
        """
        was = task.state
        if (was, state) not in ALLOWED:
            raise IllegalTransition(encode(task.id), State(was).word, state.word)
        body = task.body
        if fence:
            task.fence += 1
        task.state = state
        body.reason = reason
        body.history.append((state, self.now_us, task.fence, reason))
        if len(body.history) > HISTORY_KEPT:
            self._spill(task)
        self.transitions[was, state] += 1
        self._dirty[task.id] = task
        if task.due_us is not None and was != _READY:
            self.executor.due.leave(task)
        if state == _RUNNING and task.expires_us is not None:
            self.executor.expiring.leave(task)
        if was == _READY and self.executor.slots.gates.any:
            self.executor.queues.left(task.shard)

    def start(self, tasks: list[Task], shard: Shard) -> list[Attempt]:
        """Ready tasks of one shard run now, each under a new fence.

        Their attempts, with payload -1 where it must be fetched.
        """
        now, fresh, fetch, dirty = self.now_us, self._fresh, self.commit.fetch, self._dirty
        tenant, batch, attempts = shard.tenant, shard.batch, []
        for task in tasks:
            body, number = task.body, task.id
            task.fence = fence = task.fence + 1
            task.state = _RUNNING
            body.attempts += 1
            body.flags |= _STARTED
            body.reason = None
            body.history.append((_RUNNING, now, fence, None))
            if len(body.history) > HISTORY_KEPT:
                self._spill(task)
            dirty[number] = task
            if task.expires_us is not None:
                self.executor.expiring.leave(task)
            payload = fresh.get(number)
            if payload is None:
                fetch.append(number)
                codec, data = -1, b""
            else:
                codec, data = payload.codec, payload.data
            attempts.append(Attempt(number, fence, body.attempts, codec, data, tenant, batch, None, body.traceparent))
        self.transitions[_READY, _RUNNING] += len(tasks)
        return attempts

    def only_ends(self) -> bool:
        """Whether nothing is to be written or started but for the ends of tasks."""
        if self._dirty or self._touched_batches or self._asked or self.effects.works or self.effects.cancels:
            return False
        return self.commit.writes_only_ends()

    def close(
        self,
        task: Task,
        state: State,
        reason: str | None = None,
        *,
        failure: Failure | None = None,
        result: bytes = b"",
        fence: bool = False,
    ) -> None:
        """End a task: its outcome is written once and never changes; `fence` as in `move`."""
        was = task.state
        if (was, state) not in ALLOWED:
            raise IllegalTransition(encode(task.id), State(was).word, state.word)
        stored = task.stored_fence
        if not stored:
            # It comes and goes with one commit: its row stands as it was until now.
            self._settle_birth(task)
            stored = task.fence
        if fence:
            task.fence += 1
        body = task.body
        body.reason = reason
        body.history.append((state, self.now_us, task.fence, reason))
        self.transitions[was, state] += 1
        outcome = Outcome(
            task.id,
            stored,
            task.fence,
            state,
            task.shard,
            self.now_us,
            task.key,
            task.expires_us,
            0,
            len(result),
            failure,
            body,
        )
        self._leave(task, state)
        self.commit.ended.append(outcome)
        if result:
            self.commit.results.append(Payload(task.id, 0, result))
        shard = self.shards[task.shard]
        self.effects.closed.append(Closed(outcome, result, shard.handler))
        if body.flags & Flag.HAS_DEPENDENTS:
            self.commit.releases.append(task.id)
            if task.id in self.commit.releases_done:
                self.commit.releases_done.remove(task.id)
        if shard.batch:
            self._count(shard.batch, state)

    def cancel_attempt(self, task: Task) -> bool:
        """Have the engine end what it runs for this task; True: it was not yet on its way, and never will be."""
        ref = AttemptRef(task.id, task.fence)
        # What started before this commit was begun has left, or leaves with an earlier one.
        if task.body.history[-1][1] >= self._begun_us and self._take_back(ref):
            return True
        self.effects.cancels.append(ref)
        if ref in self.executor.resting:
            # An engine that misses the first must not keep it for ever.
            self.executor.yields.goes_on(ref, self.now_us)
            self.effects.resumes.append(Resumed(ref, None))
        return False

    def free(self, ref: tuple[int, int], *, begun: bool = True) -> Seat | None:
        """An attempt leaves its slot and its place under a concurrency key; its seat the first time.

        Nothing is measured by one that had not `begun`.
        """
        executor = self.executor
        seat = executor.slots.leave(ref, self.now_us if begun else None)
        if executor.resting:
            executor.resting.leave(ref)
        if seat is not None and seat.key:
            self.key_freed(seat.key)
        if seat is not None and seat.size > 1:
            self.effects.sizes[AttemptRef(*ref)] = seat.size
        return seat

    def replay(self, outcome: Outcome) -> Task:
        """Make a live task of a failed one again; what it failed with goes into its history.

        Dependents that were not told of its failure yet wait for it again.
        """
        body, failure = outcome.body, outcome.failure
        what = str(failure) if failure else ""
        reason = f"replayed after {State(outcome.state).word}{' with ' + what if what else ''}"
        body.attempts = body.losses = body.deaths = body.cap = 0
        body.flags |= Flag.REPLAYED
        if body.flags & Flag.HAS_DEPENDENTS:
            self.telling.pop(outcome.id, None)
            self.commit.releases_done.append(outcome.id)
        body.reason = None
        fence = outcome.fence + 1
        body.history.append((State.READY, self.now_us, fence, reason))
        shard = self.shards[outcome.shard]
        # Another policy may hold than the one that gave it its place.
        key = self.executor.place(shard, body, self.now_us)
        task = Task(outcome.id, outcome.shard, State.READY, fence, key, None, outcome.expires_us, body)
        self.tasks[task.id] = self._dirty[task.id] = task
        self._reborn.add(task.id)
        self.transitions[outcome.state, State.READY] += 1
        if len(body.history) > HISTORY_KEPT:
            self._spill(task)
        if shard.batch:
            self._count(shard.batch, State(outcome.state), -1)
        return task

    def _take_back(self, ref: AttemptRef) -> bool:
        """Remove an attempt from the works that this commit would send to the engine."""
        works = self.effects.works
        for place, work in enumerate(works):
            if any((attempt.task, attempt.fence) == ref for attempt in work.attempts):
                work.attempts = [attempt for attempt in work.attempts if (attempt.task, attempt.fence) != ref]
                if not work.attempts:
                    del works[place]
                self.free(ref, begun=False)
                return True
        return False

    def _settle_birth(self, task: Task) -> None:
        row = msgspec.structs.replace(task)
        if task.id in self._reborn:
            self.commit.replayed.append(row)
            self._reborn.discard(task.id)
        else:
            self.commit.accepted.append(row)

    def _leave(self, task: Task, state: State) -> None:
        was = task.state
        task.state = state
        self.ended_now[task.id] = state
        self._dirty.pop(task.id, None)
        self.tasks.pop(task.id, None)
        self.notes.pop(task.id, None)
        self.executor.suspects.pop(task.id, None)
        if task.due_us is not None and was != _READY:
            self.executor.due.leave(task)
        if task.expires_us is not None:
            self.executor.expiring.leave(task)
        if was == _READY and self.executor.slots.gates.any:
            self.executor.queues.left(task.shard)

    def _count(self, number: int, state: State, by: int = 1) -> None:
        batch = self._touched_batches[number] = self.batches[number]
        batch.ended[int(state)] = batch.ended.get(int(state), 0) + by

    def _spill(self, task: Task) -> None:
        history = task.body.history
        kept = HISTORY_KEPT // 2
        old, task.body.history = history[:-kept], history[-kept:]
        self.commit.spilled.append((task.id, task.body.spilled, msgspec.json.encode(old).decode()))
        task.body.spilled += 1
