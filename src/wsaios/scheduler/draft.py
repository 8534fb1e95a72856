"""What the core holds in memory, and the commit that the step at hand writes."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final

from wsaios.kernel.events import Effects, Reply, Token
from wsaios.kernel.executor import Executor
from wsaios.kernel.ids import IdMaker
from wsaios.kernel.ledger import Commit, Opening, Payload, Question, ReadyAfter
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState, NewTask, Shard, Task, grade_of

SEALED: Final = "its batch was sealed"
CALLED_OFF: Final = "called_off"
"""Facts about batches that were cancelled while some of their rows were in the intake: by number, the reason."""
_READY: Final = int(State.READY)
_RUNNING: Final = int(State.RUNNING)


class Telling:
    """A parent that ended and whose dependents are being told how, piece by piece."""

    __slots__ = ("parent", "state")

    def __init__(self, parent: int, state: State) -> None:
        self.parent = parent
        self.state = state


class Draft:
    """Tasks, shards, batches and facts in memory, and the commit under construction.

    `begin` starts a commit, `finish` has everything in it that was touched, `handed` says that the ledger took that
    out. `visited` are batches that the step at hand looks at: finished ones are in memory no longer than that.

    `left` are the tasks that left memory after a commit whose answers were not heard yet and before the next such one,
    a set for each, the oldest first: what was answered to a commit knows nothing of its own set and of those behind it.
    """

    def __init__(self, executor: Executor, opening: Opening) -> None:
        self.executor = executor
        self.epoch = opening.epoch
        self.ids = IdMaker(opening.slot, opening.id_high)
        self.id_high = opening.id_high
        self.now_us = opening.clock_us
        self.tasks: dict[int, Task] = {}
        self.shards: dict[int, Shard] = {shard.id: shard for shard in opening.shards}
        self.batches: dict[int, Batch] = {batch.id: batch for batch in opening.batches}
        self.paused: set[str] = {key for component, key, _ in opening.facts if component == "pause"}
        self.called_off: dict[int, str] = {
            int(key): str(value) for component, key, value in opening.facts if component == CALLED_OFF
        }
        self.unanswered: set[Token] = set()
        self.notes: dict[int, tuple[float | None, str]] = {}
        self.telling: dict[int, Telling] = {}
        self.visited: list[int] = []
        self.counts: Counter[str] = Counter()
        self.transitions: Counter[tuple[int, int]] = Counter()
        self.shard_ids = {shard_key(shard): shard.id for shard in opening.shards}
        self._next_shard = opening.shard_high + 1
        self._dirty: dict[int, Task] = {}
        self._reborn: set[int] = set()
        self._touched_batches: dict[int, Batch] = {}
        self._fresh: dict[int, Payload] = {}
        self._visiting: list[Task] = []
        self.ended_now: dict[int, State] = {}
        self.left: deque[set[int]] = deque()
        self._asked: list[tuple[Question, Any]] = []
        self.effects = Effects(Commit(self.epoch, self.now_us))
        self.commit = self.effects.commit
        self.drafting = False
        self._begun_us = self.now_us

    def begin(self, now_us: int) -> None:
        """Go on at a time that never steps back; the first time after `finish` with an empty commit."""
        self.now_us = max(now_us, self.now_us)
        if not self.drafting:
            self.drafting = True
            self._begun_us = self.now_us
            self.effects = Effects(Commit(self.epoch, self.now_us))
            self.commit = self.effects.commit

    def ask(self, question: Question, then: Any) -> None:
        """Have the ledger answer with this commit; `then(answer)` runs at the start of the next step."""
        self._asked.append((question, then))

    def reply(self, token: Token, value: object = None, error: Exception | None = None) -> None:
        """Tell who asked, after the commit."""
        if token is not None:
            self.effects.replies.append(Reply(token, value, error))

    def warn(self, message: str, **fields: object) -> None:
        """Have a line logged, after the commit."""
        self.effects.warnings.append((message, fields))

    def shard(self, new: NewTask, batch: int) -> Shard:
        """The shard that a new task belongs to, made when there is none."""
        key = (new.lane, new.tenant, new.handler, batch, new.concurrency_key, grade_of(new.priority))
        number = self.shard_ids.get(key)
        if number is not None:
            return self.shards[number]
        shard = Shard(self._next_shard, *key)
        self._next_shard += 1
        self.shard_ids[key] = shard.id
        self.shards[shard.id] = shard
        self.commit.shards.append(shard)
        return shard

    def adopt(self, told: Iterable[Task]) -> list[Task]:
        """The records of live tasks that the ledger told.

        Those in memory where there are some, without what ended since and without rows of batches that are not
        sealed, which do not exist for anyone.
        """
        found = []
        for task in told:
            if task.id in self.ended_now or self._staged(task):
                continue
            record = self.tasks.setdefault(task.id, task)
            if record is task:
                self._settle_seal(task)
                self._visiting.append(task)
            found.append(record)
        return found

    def touch(self, task: Task) -> None:
        """Write a task although its state stays."""
        self._dirty[task.id] = task

    def touch_batch(self, batch: Batch) -> None:
        """Write a batch."""
        self._touched_batches[batch.id] = batch

    def finish(self) -> tuple[Effects, list[tuple[Question, Any]]]:
        """End the step: everything that changed is in the commit, what need not be in memory is forgotten."""
        commit, covers = self.commit, self.executor.covers
        for task in self._visiting:
            if task.id not in self._dirty:
                self.forget(task)
        for task in self._dirty.values():
            if task.id in self._reborn:
                commit.replayed.append(task)
            elif task.stored_fence == 0:
                commit.accepted.append(task)
            else:
                commit.updated.append(task)
            if task.state != _RUNNING and not covers(task):
                self._drop(task)
        self._settle_batches()
        commit.id_high, commit.now_us = self.id_high, self.now_us
        self.drafting = False
        asked = self._asked
        commit.questions.extend(question for question, _ in asked)
        self._dirty, self._touched_batches, self._fresh, self._asked = {}, {}, {}, []
        if self.left:
            self.left[-1].update(self.ended_now)
        self.effects.ended = self.ended_now
        self._reborn, self._visiting, self.visited, self.ended_now = set(), [], [], {}
        self.effects.again = bool(asked or commit.purged)
        if self.effects.again:
            self.left.append(set())
        self.effects.alone = bool(commit.purged) or any(type(question) is not ReadyAfter for question, _ in asked)
        return self.effects, asked

    def handed(self, effects: Effects) -> None:
        """From now on these are the fences that the ledger holds, for the next commit comes after this one."""
        commit = effects.commit
        for task in commit.accepted:
            task.stored_fence = task.fence
        for task in commit.updated:
            task.stored_fence = task.fence
        for task in commit.replayed:
            task.stored_fence = task.fence

    def forget(self, task: Task) -> None:
        """Drop a task from memory unless something still needs it there."""
        if task.id not in self._dirty and self.tasks.get(task.id) is task and not self.executor.covers(task):
            self._drop(task)

    def heard(self) -> None:
        """The oldest answers that were open are heard."""
        self.left.popleft()

    def _drop(self, task: Task) -> None:
        self.tasks.pop(task.id, None)
        self.notes.pop(task.id, None)
        if self.left:
            self.left[-1].add(task.id)

    def _settle_batches(self) -> None:
        """Write the batches that changed; those that are finished leave memory."""
        for batch in self._touched_batches.values():
            self.commit.batches.append(batch)
            if finished(batch):
                self.effects.batches.append(batch)
                self.batches.pop(batch.id, None)
                if self.called_off.pop(batch.id, None) is not None:
                    self.commit.facts.append((CALLED_OFF, str(batch.id), None))
                if f"batch:{batch.id}" in self.paused:
                    self._let_go(batch)
        for number in self.visited:
            if number not in self._touched_batches and number in self.batches and _over(self.batches[number]):
                del self.batches[number]

    def _let_go(self, batch: Batch) -> None:
        """A paused batch is finished: a row of it that is replayed must find neither the pause nor a parked window."""
        paused = f"batch:{batch.id}"
        self.paused.discard(paused)
        self.commit.facts.append(("pause", paused, None))
        for window in list(self.executor.windows.values()):
            if window.shard.batch == batch.id:
                self.executor.drop(window)

    def _settle_seal(self, task: Task) -> None:
        """Let the history of a staged row say when its batch was sealed, which one row told for all of them."""
        history = task.body.history
        number = self.shards[task.shard].batch
        if number and task.state == _READY and history[-1][0] == State.PENDING:
            batch = self.batches.get(number)
            if batch is not None and batch.sealed_us:
                task.body.reason = None
                history.append((State.READY, batch.sealed_us, task.fence, SEALED))
                self.transitions[State.PENDING, State.READY] += 1

    def _staged(self, task: Task) -> bool:
        batch = self.batches.get(self.shards[task.shard].batch)
        return batch is not None and batch.state != BatchState.SEALED


def shard_key(shard: Shard) -> tuple[str, str, str, int, str, int]:
    """What a shard stands for."""
    return shard.lane, shard.tenant, shard.handler, shard.batch, shard.concurrency_key, shard.grade


def finished(batch: Batch) -> bool:
    """Whether all of its rows have ended."""
    return batch.state == BatchState.SEALED and sum(batch.ended.values()) >= batch.rows


def _over(batch: Batch) -> bool:
    """Whether nothing will become of it any more, unless a row of it is replayed."""
    return batch.state == BatchState.ABORTED or finished(batch)
