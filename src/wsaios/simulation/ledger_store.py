"""What a simulated ledger keeps, and how a commit changes it: every rule of the real one, in dictionaries."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from wsaios.kernel.errors import LedgerBroken
from wsaios.kernel.ledger import Commit, IdempotencyRow, Payload
from wsaios.kernel.run import Run, RunState, StepRow, StepState, StoredDefinition
from wsaios.kernel.states import ENDED, State
from wsaios.kernel.task import Batch, BatchState, Outcome, Shard, Task

FACT_LOG_KEPT: Final = 64
_SLOT: Final = 1023 << 12

S = TypeVar("S", bound=msgspec.Struct)


def clone(row: S) -> S:
    """A copy that shares nothing with the original, as one that was written to a disk and read again."""
    return msgspec.json.decode(msgspec.json.encode(row), type=type(row))


def frozen(batch: Commit) -> Commit:
    """A commit whose rows nobody else holds."""
    return msgspec.structs.replace(
        batch,
        batches=[clone(row) for row in batch.batches],
        replayed=[clone(row) for row in batch.replayed],
        accepted=[clone(row) for row in batch.accepted],
        updated=[clone(row) for row in batch.updated],
        ended=[clone(row) for row in batch.ended],
        runs=[clone(row) for row in batch.runs],
        steps=[clone(row) for row in batch.steps],
    )


class Tables:
    """All rows of a ledger. Rows are never changed in place, so a shallow copy is a snapshot."""

    def __init__(self) -> None:
        self.owner = ""
        self.epoch = 0
        self.id_high = 0
        self.clock_us = 0
        self.shards: dict[int, Shard] = {}
        self.batches: dict[int, Batch] = {}
        self.live: dict[int, Task] = {}
        self.payloads: dict[int, Payload] = {}
        self.checkpoints: dict[int, Payload] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.results: dict[int, Payload] = {}
        self.history: dict[tuple[int, int], str] = {}
        self.links: dict[tuple[int, int], None] = {}
        self.releases: dict[int, None] = {}
        self.keys: dict[tuple[str, str], IdempotencyRow] = {}
        self.facts: dict[tuple[str, str], tuple[str, int]] = {}
        self.intake: dict[int, None] = {}
        self.definitions: dict[str, StoredDefinition] = {}
        self.runs: dict[int, Run] = {}
        self.steps: dict[tuple[int, int, int], StepRow] = {}
        self.fact_log: dict[tuple[str, str, int], tuple[str | None, int]] = {}

    def snapshot(self) -> dict[str, Any]:
        """What `restore` brings back."""
        return {name: value.copy() if isinstance(value, dict) else value for name, value in vars(self).items()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Undo everything since the snapshot."""
        vars(self).update(snapshot)

    def tasks(self) -> Iterator[Task | Outcome]:
        """Live and ended ones."""
        yield from self.live.values()
        yield from self.outcomes.values()

    def unfinished(self) -> dict[int, Batch]:
        """Batches that are staged or have rows that did not end, by id."""
        return {
            row.id: row
            for row in self.batches.values()
            if row.state == BatchState.STAGING or sum(row.ended.values()) < row.rows
        }


class CommitApplier:
    """Applies commits to tables; the caller takes a snapshot before and restores it when this raises."""

    def __init__(self, ledger: str, tables: Tables) -> None:
        """`ledger` is what messages call it."""
        self._ledger = ledger
        self._tables = tables

    def apply(self, batch: Commit) -> int:
        """Change the tables family by family; returns the rows that were purged.

        Raises:
            LedgerBroken: a rule was violated.
        """
        tables = self._tables
        tables.id_high = max(tables.id_high, batch.id_high)
        tables.clock_us = max(tables.clock_us, batch.now_us)
        self._add(tables.shards, ((shard.id, shard) for shard in batch.shards), "shard")
        tables.batches.update((row.id, clone(row)) for row in batch.batches)
        self._replay(batch.replayed)
        self._accept(batch.accepted)
        self._add(tables.payloads, ((row.id, clone(row)) for row in batch.payloads), "payload")
        self._update(batch.updated)
        self._add(tables.history, (((task, part), text) for task, part, text in batch.spilled), "part of a history")
        tables.checkpoints.update((row.id, clone(row)) for row in batch.saved)
        self._end(batch.ended, batch.results)
        self._hang(batch)
        self._put_keys(batch)
        self._put_facts(batch)
        self._put_runs(batch)
        self._take(batch.taken)
        return self._purge(batch.purged, batch.purge_rows) if batch.purged else 0

    def _fail(self, reason: str) -> LedgerBroken:
        return LedgerBroken(self._ledger, f"{reason}; nothing was written")

    def _add(self, table: dict[Any, Any], rows: Iterable[tuple[Any, Any]], what: str) -> None:
        for key, row in rows:
            if key in table:
                raise self._fail(f"there is already a {what} {key}")
            table[key] = row

    def _accept(self, tasks: list[Task]) -> None:
        for task in tasks:
            if task.shard not in self._tables.shards:
                raise self._fail("the shard of a new task did not match")
            if task.state in ENDED or task.state == State.NEW:
                raise self._fail(f"state {task.state} of a live task is none of 1…5")
        self._add(self._tables.live, ((task.id, self._stored(task)) for task in tasks), "live task")

    def _stored(self, task: Task) -> Task:
        return msgspec.structs.replace(clone(task), stored_fence=task.fence)

    def _replay(self, tasks: list[Task]) -> None:
        for task in tasks:
            old = self._tables.outcomes.pop(task.id, None)
            if old is None or old.shard != task.shard or old.fence >= task.fence:
                raise self._fail("the outcome of a replayed task did not match")
            self._tables.results.pop(task.id, None)
        self._accept(tasks)

    def _match(self, row: Task | Outcome, what: str) -> None:
        stored = self._tables.live.get(row.id)
        if stored is None or stored.fence != row.stored_fence or stored.shard != row.shard:
            raise self._fail(f"a stored fence of a {what} did not match")

    def _update(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._match(task, "changed task")
            if task.state in ENDED or task.state == State.NEW:
                raise self._fail(f"state {task.state} of a live task is none of 1…5")
        self._tables.live.update((task.id, self._stored(task)) for task in tasks)

    def _end(self, outcomes: list[Outcome], results: list[Payload]) -> None:
        tables = self._tables
        if {row.id for row in results} - {row.id for row in outcomes}:
            raise self._fail("results belong to no task that ended")
        given = {row.id: clone(row) for row in results}
        for row in outcomes:
            self._match(row, "task that ended")
            if row.state not in ENDED:
                raise self._fail(f"state {row.state} of an outcome is none of 6…10")
            size = len(given[row.id].data) if row.id in given else 0
            stored = msgspec.structs.replace(clone(row), stored_fence=row.fence, size=size)
            self._add(tables.outcomes, [(row.id, stored)], "outcome")
            if row.id in given:
                tables.results[row.id] = Payload(row.id, row.codec, given[row.id].data)
        for row in outcomes:
            tables.live.pop(row.id, None)
            tables.checkpoints.pop(row.id, None)

    def _hang(self, batch: Commit) -> None:
        tables = self._tables
        tables.links.update(dict.fromkeys(batch.links))
        for link in batch.links_done:
            tables.links.pop(link, None)
        tables.releases.update(dict.fromkeys(batch.releases))
        for parent in batch.releases_done:
            tables.releases.pop(parent, None)

    def _put_keys(self, batch: Commit) -> None:
        for row in batch.keys:
            old = self._tables.keys.get((row.tenant, row.key))
            if old is not None and old.digest and old.until_us > batch.now_us and old.task != row.task:
                raise self._fail("an idempotency key that is still in force did not match")
            self._tables.keys[row.tenant, row.key] = row

    def _put_facts(self, batch: Commit) -> None:
        tables = self._tables
        for component, key, value in batch.facts:
            known = [number for owner, name, number in tables.fact_log if (owner, name) == (component, key)]
            at = tables.facts.get((component, key))
            version = 1 + (at[1] if at is not None else max(known, default=0))
            text = None if value is None else msgspec.json.encode(value).decode()
            if text is None:
                tables.facts.pop((component, key), None)
            else:
                tables.facts[component, key] = (text, version)
            tables.fact_log[component, key, version] = (text, batch.now_us)
            for number in known:
                if number <= version - FACT_LOG_KEPT:
                    del tables.fact_log[component, key, number]

    def _put_runs(self, batch: Commit) -> None:
        tables = self._tables
        for each in batch.definitions:
            tables.definitions.setdefault(each.version, each)
        for run in batch.runs:
            if bool(run.ended_us) != RunState(run.state).ended:
                raise self._fail("a run has a time of its end, or none, against its state")
            tables.runs[run.id] = clone(run)
        for key in batch.steps_gone:
            tables.steps.pop(key, None)
        for step in batch.steps:
            if bool(step.task) != (step.state == StepState.TASK):
                raise self._fail("a step has a task, or none, against its state")
            tables.steps[step.key] = clone(step)

    def _take(self, places: list[int]) -> None:
        for place in places:
            if place not in self._tables.intake:
                raise self._fail(f"row {place} of the intake is not there")
            del self._tables.intake[place]

    def _purge(self, ranges: list[tuple[int, int]], limit: int) -> int:
        tables = self._tables
        within = {
            task
            for first, last in ranges
            for task in tables.live
            if first <= task <= last and task & _SLOT == first & _SLOT
        }
        chosen = sorted(within)[:limit]
        forget(tables, chosen)
        return len(chosen)


def forget(tables: Tables, tasks: Iterable[int]) -> None:
    """Remove tasks with all that hangs on them."""
    gone = set(tasks)
    for number in gone:
        for table in (tables.live, tables.outcomes, tables.results, tables.payloads, tables.checkpoints):
            table.pop(number, None)
    for part in [part for part in tables.history if part[0] in gone]:
        del tables.history[part]
    for link in [link for link in tables.links if link[0] in gone or link[1] in gone]:
        del tables.links[link]


def forget_shards(tables: Tables, unneeded: Callable[[Shard], bool], limit: int | None = None) -> int:
    """Remove shards that no task belongs to and that are not needed otherwise; returns how many went."""
    used = {row.shard for row in tables.tasks()}
    gone = sorted(shard.id for shard in tables.shards.values() if shard.id not in used and unneeded(shard))[:limit]
    for number in gone:
        del tables.shards[number]
    return len(gone)


def prune(tables: Tables, before_us: int, limit: int, held: Collection[int] | None) -> int:
    """As `Ledger.prune`."""
    runs = _prune_runs(tables, before_us, limit)
    named = {row.task for row in tables.steps.values()}
    unfinished, shards = tables.unfinished(), tables.shards
    staying = {row.id for row in tables.batches.values() if row.keep or row.id in unfinished}
    old = [row for row in tables.outcomes.values() if row.ended_us < before_us and row.id not in tables.releases]
    old = [row for row in old if row.id not in named]
    free = sorted((row.ended_us, row.id) for row in old if shards[row.shard].batch not in staying)[:limit]
    forget(tables, [number for _, number in free])
    over = sorted((row.until_us, pair) for pair, row in tables.keys.items() if row.until_us <= tables.clock_us)[:limit]
    for _, pair in over:
        del tables.keys[pair]
    logged = sorted((at_us, place) for place, (_, at_us) in tables.fact_log.items() if at_us < before_us)[:limit]
    for _, place in logged:
        del tables.fact_log[place]
    removed = runs + len(free) + len(over) + len(logged)
    if held is not None:
        removed += forget_shards(tables, lambda shard: shard.id not in held and shard.batch not in unfinished, limit)
    if removed < limit:
        used = {shards[row.shard].batch for row in tables.tasks()}
        for batch in list(tables.batches.values()):
            if batch.id not in staying and batch.id not in used and batch.created_us < before_us:
                del tables.batches[batch.id]
        forget_shards(tables, lambda shard: shard.batch != 0 and shard.batch not in tables.batches)
    return removed


def _prune_runs(tables: Tables, before_us: int, limit: int) -> int:
    """Remove runs that ended before a time, with their steps and with definitions that nobody needs."""
    old = sorted((run.ended_us, run.id) for run in tables.runs.values() if 0 < run.ended_us < before_us)[:limit]
    gone = {number for _, number in old}
    steps = [key for key in tables.steps if key[0] in gone]
    for key in steps:
        del tables.steps[key]
    for number in gone:
        del tables.runs[number]
    used = {run.version for run in tables.runs.values()}
    for version in [each for each in tables.definitions if each not in used]:
        if ("workflow", tables.definitions[version].name) not in tables.facts:
            del tables.definitions[version]
    return len(gone) + len(steps)


def counted(rows: Iterable[Task | Outcome]) -> dict[int, int]:
    """How many rows are in each state."""
    return dict(sorted(Counter(int(row.state) for row in rows).items()))
