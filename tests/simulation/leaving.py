"""The law of effects: what leaves is compared with what the ledger holds at that very moment."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from tests.simulation.red import Check, require
from tests.simulation.scenario import HANDLERS
from tests.simulation.world import Order, Tag
from wsaios.kernel.engine import Attempt, AttemptRef, Ended, Noted, Unbegun, Verdict, Work
from wsaios.kernel.events import Closed, Effects, Event, Reported
from wsaios.kernel.ids import encode
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import BatchState, HandlerSpec, Task, effective
from wsaios.simulation.ledger_store import Tables

_SPECS: dict[str, HandlerSpec] = {spec.name: spec for spec in HANDLERS}


class Leaving:
    """Looks at every effect as it leaves; knows what has left before."""

    def __init__(self, tables: Tables, orders: Sequence[Order], pruned: AbstractSet[int]) -> None:
        """`orders` are what people asked for, `pruned` what the ledger has given up since."""
        self._tables = tables
        self._orders = orders
        self._pruned = pruned
        self._last_fence: dict[int, int] = {}
        self._runs: Counter[int] = Counter()
        self._sizes: dict[int, int] = {}
        self.works = 0
        self.met: Counter[str] = Counter()

    def committed(self, effects: Effects, events: list[Event]) -> None:
        """A replay, or an end that asks for another call or is none, allows another run of what may run once."""
        for task in effects.commit.replayed:
            self._runs[task.id] = 0
        saved: dict[AttemptRef, bytes] = {}
        for event in events:
            for report in event.reports if isinstance(event, Reported) else ():
                if isinstance(report, Unbegun) or (isinstance(report, Ended) and report.verdict == Verdict.RETRY_AFTER):
                    self._runs[report.task] = 0
                elif isinstance(report, Noted) and report.saved is not None:
                    saved[AttemptRef(report.task, report.fence)] = report.saved
        for ref, data in saved.items():
            if self._holds(ref):
                kept = self._tables.checkpoints.get(ref.task)
                require(kept is not None and kept.data == data, Check.EFFECTS, "{} saved {!r}, not {}", ref, data, kept)

    def work(self, work: Work, spec: HandlerSpec, running: int, now_us: int) -> None:
        """A work on its way to the engine; `running` works of this owner have a slot, this one included."""
        self.works += 1
        for attempt in work.attempts:
            if not self._runs[attempt.task]:
                self._first_run(attempt, now_us)
        size = len(work.attempts)
        self.met["several rows in one work"] += size > 1
        rows = [self._attempt(work, AttemptRef(attempt.task, attempt.fence)) for attempt in work.attempts]
        require(len({row.shard for row in rows}) == 1, Check.EFFECTS, "a work of {} rows of several shards", len(rows))
        lane = self._tables.shards[rows[0].shard].lane or spec.lane
        require(work.lane == lane, Check.SLOTS, "{} starts in lane {}, not {}", work.handler, work.lane, lane)
        require(len(rows) <= spec.batch_size, Check.EFFECTS, "{} got {} rows", work.handler, len(rows))
        for attempt, row in zip(work.attempts, rows, strict=True):
            payload, saved = self._tables.payloads[row.id], self._tables.checkpoints.get(row.id)
            same = (attempt.codec, attempt.payload) == (payload.codec, payload.data)
            require(same, Check.EFFECTS, "{} left with {!r}, not {!r}", encode(row.id), attempt.payload, payload.data)
            require(
                attempt.number == row.body.attempts,
                Check.EFFECTS,
                "attempt {} of {}",
                attempt.number,
                row.body.attempts,
            )
            known = attempt.saved == (saved.data if saved is not None else None)
            require(
                known, Check.EFFECTS, "{} left with the checkpoint {!r}, not {}", encode(row.id), attempt.saved, saved
            )
            self._halved(row, size)
            self.met["a checkpoint found again"] += attempt.saved is not None
            if row.body.deaths >= SUSPECT_DEATHS:
                self.met["a task that ran alone"] += 1
                require(running == 1, Check.ALONE, "{} runs beside {} others", encode(row.id), running - 1)

    def _halved(self, row: Task, size: int) -> None:
        """What crashed or timed out with others comes back with half as many at most."""
        before = row.body.history[-2][3] if len(row.body.history) > 1 else None
        most = self._sizes.get(row.id, 0)
        if before is not None and "in halves" in before:
            self.met["halves of a micro-batch"] += 1
            require(size <= max(1, most // 2), Check.EFFECTS, "{} of {} rows runs again with {}", row.id, most, size)
        self._sizes[row.id] = size

    def _first_run(self, attempt: Attempt, now_us: int) -> None:
        """What a task waited for is over when it starts."""
        tag = msgspec.json.decode(attempt.payload, type=Tag)
        if tag.order <= 0:
            return
        asked = self._orders[tag.order - 1].tasks[tag.row]
        due = asked.due_us is None or asked.due_us <= now_us
        require(due, Check.TIMERS, "{} starts at {}, it is due at {}", attempt.task, now_us, asked.due_us)
        for parent in asked.depends_on:
            outcome = self._tables.outcomes.get(parent)
            over = outcome is None and parent in self._pruned
            succeeded = over or (outcome is not None and outcome.state == State.SUCCEEDED)
            require(succeeded, Check.DEPENDENCIES, "{} starts, it depends on {}", attempt.task, outcome or parent)

    def closed(self, closed: Closed) -> None:
        """An end that watchers are told."""
        outcome = self._tables.outcomes.get(closed.outcome.id)
        same = outcome is not None and (outcome.state, outcome.fence) == (closed.outcome.state, closed.outcome.fence)
        require(same, Check.EFFECTS, "told that {}, the ledger has {}", closed.outcome, outcome)
        handler = self._tables.shards[closed.outcome.shard].handler
        require(closed.handler == handler, Check.EFFECTS, "told of {!r}, not {!r}", closed.handler, handler)
        result = self._tables.results.get(closed.outcome.id)
        require(
            closed.result == (result.data if result is not None else b""), Check.EFFECTS, "told {!r}", closed.result
        )

    def cancel(self, ref: AttemptRef) -> None:
        """An attempt that is to stop no longer holds its task."""
        require(not self._holds(ref), Check.EFFECTS, "{} is cancelled and still holds its task in the ledger", ref)

    def batch(self, number: int) -> None:
        """A batch that is said to be finished."""
        batch = self._tables.batches[number]
        over = batch.state == BatchState.SEALED and sum(batch.ended.values()) >= batch.rows
        require(over, Check.EFFECTS, "{} is said to be finished", batch)

    def _holds(self, ref: AttemptRef) -> bool:
        row = self._tables.live.get(ref.task)
        return row is not None and row.state == State.RUNNING and row.fence == ref.fence

    def _attempt(self, work: Work, ref: AttemptRef) -> Task:
        row = self._tables.live.get(ref.task)
        require(self._holds(ref), Check.EFFECTS, "{} leaves, the ledger has {}", ref, row)
        assert row is not None
        shard = self._tables.shards[row.shard]
        batch = self._tables.batches.get(shard.batch)
        exists = not shard.batch or (batch is not None and batch.state == BatchState.SEALED)
        require(exists, Check.BATCHES, "{} leaves, a row of {}", ref, batch)
        over = row.expires_us is not None and self._runs[row.id] == 0 and self._started_late(row)
        require(
            not over, Check.TIMERS, "{} starts at {}, it expired at {}", ref, row.body.history[-1][1], row.expires_us
        )
        require(ref.fence > self._last_fence.get(ref.task, 0), Check.ATTEMPT, "{} leaves a second time", ref)
        self._last_fence[ref.task] = ref.fence
        self._runs[ref.task] += 1
        if self._once(row, work.handler):
            require(
                self._runs[ref.task] == 1,
                Check.ONCE,
                "{} of {} runs for the {}. time",
                ref,
                work.handler,
                self._runs[ref.task],
            )
            require(work.at_most_once, Check.ONCE, "{} leaves without saying that it may run once only", ref)
        return row

    def _started_late(self, row: Task) -> bool:
        runs = sum(line[0] == State.RUNNING for line in row.body.history)
        assert row.expires_us is not None
        return runs == 1 and not row.body.spilled and row.expires_us <= row.body.history[-1][1]

    def _once(self, row: Task, handler: str) -> bool:
        return effective(row.body.options, _SPECS[handler].options).at_most_once
