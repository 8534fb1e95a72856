"""The life of every task as the ledger tells it: one place, one chain of changes, one outcome."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from tests.simulation.ends import check_end
from tests.simulation.red import Check, require
from tests.simulation.scenario import US_PER_POINT
from wsaios.kernel.ledger import Commit
from wsaios.kernel.policy import Facts, Fcfs, Mlfq, Ordering, Priority
from wsaios.kernel.states import ALLOWED, State
from wsaios.kernel.task import BatchState, Entry, Flag, Outcome, Task
from wsaios.scheduler.reorder import ORDER
from wsaios.scheduler.triggers.events import EMITTED
from wsaios.simulation.ledger_store import Tables

_ENTRIES: Final = msgspec.json.Decoder(list[Entry])


class Lives:
    """Follows tasks from commit to commit.

    `changes` counts the changes of state, `ended` the outcomes by (batch, state), those pruned since among them.
    """

    def __init__(self, tables: Tables, lines_kept: int) -> None:
        """`lines_kept` is how long a history may be beside its task."""
        self._tables = tables
        self._lines_kept = lines_kept
        self._outcomes: dict[int, Outcome] = {}
        self.known: dict[int, tuple[int, int]] = {}
        self._batch_of: dict[int, int] = {}
        self.changes: Counter[tuple[State, State]] = Counter()
        self.ended: Counter[tuple[int, int]] = Counter()
        self.met: Counter[str] = Counter()
        self.runs: set[int] = set()

    def committed(self, commit: Commit) -> None:
        """Look at every task that a commit names."""
        self.runs.update(run.id for run in commit.runs)
        replayed = {task.id for task in commit.replayed}
        for number in sorted(replayed):
            self._forget_outcome(number)
        families = (commit.replayed, commit.accepted, commit.updated, commit.ended)
        for number in {row.id for rows in families for row in rows}:
            self._look(number)

    def all(self, accepted: Iterable[int], pruned: set[int]) -> None:
        """Look at everything, whoever changed it; each of the accepted tasks is there."""
        tables = self._tables
        for number in accepted:
            if number not in tables.live and number not in tables.outcomes:
                require(number in pruned, Check.PLACE, "{} was accepted and is nowhere", number)
        for number in tables.live:
            self._look(number)
        for number in tables.outcomes:
            self._look(number)
        for number in [number for number in self._outcomes if number not in tables.outcomes]:
            require(number in pruned, Check.OUTCOME, "the outcome of {} is gone", number)
        self.runs.update(tables.runs)
        for row in tables.keys.values():
            places = (self.runs, tables.live, tables.outcomes, pruned)
            stands = any(row.task in place for place in places)
            require(stands or row.tenant == EMITTED, Check.IDEMPOTENCY, "{} stands for nothing", row)
        for number in tables.checkpoints:
            require(number in tables.live, Check.PLACE, "{} is no more and has a checkpoint", number)

    def prune(self, before_us: int) -> set[int]:
        """The outcomes that the ledger gave up; each had ended before the time."""
        gone = [number for number in self._outcomes if number not in self._tables.outcomes]
        for number in gone:
            batch = self._tables.batches.get(self._batch_of[number])
            finished = batch is None or (not batch.keep and sum(batch.ended.values()) >= batch.rows)
            require(finished, Check.PLACE, "{} was pruned, a row of {}", number, batch)
            ended_us = self._outcomes.pop(number).ended_us
            require(
                ended_us < before_us,
                Check.PLACE,
                "{} ended at {} and was pruned before {}",
                number,
                ended_us,
                before_us,
            )
        return set(gone)

    def _forget_outcome(self, number: int) -> None:
        old = self._outcomes.pop(number, None)
        if old is not None:
            self.ended[self._batch_of[number], old.state] -= 1

    def _look(self, number: int) -> None:
        live, outcome = self._tables.live.get(number), self._tables.outcomes.get(number)
        require(live is None or outcome is None, Check.PLACE, "{} is live and ended", number)
        row = live or outcome
        # A row that was accepted and purged within one commit is nowhere, and was never acknowledged.
        if row is None:
            return
        if outcome is not None:
            self._look_at_outcome(outcome)
        require(number in self._tables.payloads, Check.PLACE, "{} has no arguments", number)
        require(number <= self._tables.id_high, Check.PLACE, "{} is above {}", number, self._tables.id_high)
        self._look_at_key(row)
        self._look_at_history(row)

    def _look_at_key(self, row: Task | Outcome) -> None:
        """A place is that of the policy, once all that waits has been given its place by it."""
        facts, batch = self._tables.facts, self._tables.batches.get(self._tables.shards[row.shard].batch)
        chosen, key = facts.get(ORDER), row.body.accepted_us - row.body.priority * US_PER_POINT
        if chosen is not None:
            policy = msgspec.json.decode(chosen[0], type=Ordering).policy
            old = (
                isinstance(row, Outcome)
                or ("policy", "moving") in facts
                or (batch and batch.state != BatchState.SEALED)
            )
            # Under feedback queues what ran before was charged for the time that it used.
            charged = isinstance(policy, Mlfq) and row.body.flags & Flag.STARTED
            if old or charged or not isinstance(policy, Fcfs | Priority | Mlfq):
                return
            key = policy.key(Facts(row.body.priority, row.body.accepted_us))
        require(row.key == key, Check.ORDER, "the key of {} is {}, not {}", row.id, row.key, key)

    def _look_at_outcome(self, outcome: Outcome) -> None:
        number = outcome.id
        known = self._outcomes.get(number)
        if known is not None:
            require(known == outcome, Check.OUTCOME, "{} ended as {}, now as {}", number, known, outcome)
            return
        self._outcomes[number] = outcome
        self._batch_of[number] = self._tables.shards[outcome.shard].batch
        self.ended[self._batch_of[number], outcome.state] += 1
        failure = outcome.failure.kind if outcome.failure is not None else ""
        self.met[f"ended by {failure}" if failure else "ended without a failure"] += 1
        self.met["a history in parts"] += outcome.body.spilled > 0
        check_end(outcome, self._tables.shards[outcome.shard].handler)
        result = self._tables.results.get(number)
        if outcome.state == State.SUCCEEDED:
            said = None if result is None else msgspec.json.decode(result.data)
            require(
                said == [number, outcome.fence], Check.RESULT, "{} ended under {} with {}", number, outcome.fence, said
            )
        else:
            require(result is None, Check.RESULT, "{} is {} and has a result", number, State(outcome.state).name)

    def _look_at_history(self, row: Task | Outcome) -> None:
        """The lines that are new since the last look follow from those before."""
        body = row.body
        older = [self._tables.history[row.id, part] for part in range(body.spilled)]
        lines = [line for text in older for line in _ENTRIES.decode(text)] + body.history
        require(
            len(body.history) <= self._lines_kept + 1,
            Check.HISTORY,
            "{} keeps {} lines beside it",
            row.id,
            len(body.history),
        )
        known, last_fence = self.known.get(row.id, (0, 0))
        require(
            len(lines) >= known and lines[-1][2] >= last_fence, Check.HISTORY, "{} has fewer lines than before", row.id
        )
        for place in range(known, len(lines)):
            state, at_us, fence, _ = lines[place]
            before = lines[place - 1] if place else (State.NEW, 0, 0, None)
            change = (State(before[0]), State(state))
            require(change in ALLOWED, Check.HISTORY, "{} went from {} to {}", row.id, change[0].name, change[1].name)
            require(before[1] <= at_us, Check.HISTORY, "{} went back in time: {}", row.id, lines)
            require(before[2] <= fence, Check.HISTORY, "{}: the fence falls: {}", row.id, lines)
            raised = before[2] < fence or not _must_raise(*change)
            require(raised, Check.HISTORY, "{}: {} is under the fence of before: {}", row.id, change, lines)
            self.changes[change] += 1
        self.known[row.id] = len(lines), lines[-1][2]
        staged = lines[-1][0] == State.PENDING and row.state == State.READY
        require(
            staged or lines[-1][0] == row.state, Check.HISTORY, "{} is {}: {}", row.id, State(row.state).name, lines[-1]
        )
        require(lines[-1][2] <= row.fence, Check.HISTORY, "{} has fence {}: {}", row.id, row.fence, lines[-1])


def _must_raise(was: State, then: State) -> bool:
    """Whether whoever held the task before such a change may no longer commit."""
    if then in {State.RUNNING, State.PAUSED}:
        return True
    taken_back = was == State.RUNNING and then in {State.READY, State.CANCELLED, State.LOST}
    return taken_back or was in {State.FAILED, State.LOST}
