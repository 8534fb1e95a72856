"""A ledger in memory that obeys: the rules of the real one, and commits that fail when a test says so."""

from collections import deque
from collections.abc import Callable, Collection
from enum import StrEnum
from functools import partial
from typing import Final
from weakref import WeakSet

import msgspec

from wsaios.kernel.errors import Fenced, LedgerOwned, LedgerUnavailable
from wsaios.kernel.failpoints import FAMILIES
from wsaios.kernel.ledger import Commit, Committed, Opening, Reads, ReadyAfter
from wsaios.kernel.run import RunState
from wsaios.kernel.states import State
from wsaios.simulation.ledger_answers import SimReads, answer
from wsaios.simulation.ledger_store import CommitApplier, Tables, clone, forget_shards, frozen, prune

_SLOTS: Final = 1022


class CommitFault(StrEnum):
    """How a commit fails: nothing of it was written, or all of it and only the word of it was lost."""

    LOST = "lost"
    APPLIED = "applied"


class SimLedger:
    """`Ledger` on `Tables`, which outlive their owners: another object on the same tables is the next owner."""

    lease_s = 0.0

    def __init__(self, tables: Tables | None = None, name: str = "sim") -> None:
        self.name = name
        self.tables = Tables() if tables is None else tables
        self._applier = CommitApplier(name, self.tables)
        self._who = ""
        self._epoch = 0
        self._client = False
        self._sound = False
        self._faults: deque[CommitFault] = deque()
        self._readers: WeakSet[SimReads] = WeakSet()

    def fail_next(self, *faults: CommitFault) -> None:
        """Let the next commits that write end with these, one each."""
        self._faults.extend(faults)

    def crash(self) -> None:
        """Die without a word: the lock is free, what was committed stays."""
        self._sound = False
        self._who = ""
        self.tables.owner = ""

    def open(self, now_us: int, who: str) -> Opening:
        """As `Ledger.open`."""
        return self._open(now_us, who, client=False)

    def open_as_client(self, now_us: int, who: str) -> Opening:
        """As `open` for one commit while no owner lives; ids are made in slot 0."""
        return self._open(now_us, who, client=True)

    def prepare(self, batch: Commit) -> Callable[[], Committed]:
        """As `Ledger.prepare`."""
        return partial(self.commit, frozen(batch))

    def commit(self, batch: Commit) -> Committed:
        """As `Ledger.commit`."""
        self._ready()
        done = Committed()
        if any(getattr(batch, family) for family in FAMILIES):
            fault = self._faults.popleft() if self._faults else None
            if fault != CommitFault.LOST:
                done.purged_rows = self._write(batch)
            if fault is not None:
                self._sound = False
                raise LedgerUnavailable(self.name, "a simulated fault: nobody knows whether it was written")
        tables = self.tables
        done.answers = [answer(tables, question) for question in batch.questions]
        told = zip(batch.questions, done.answers, strict=True)
        others = [each for question, each in told if not isinstance(question, ReadyAfter)]
        named = {task.shard for each in others for task in each.tasks}
        named |= {outcome.shard for each in others for outcome in each.outcomes}
        done.shards = [tables.shards[number] for number in sorted(named)]
        done.payloads = {number: tables.payloads[number] for number in batch.fetch if number in tables.payloads}
        done.saved = {number: tables.checkpoints[number] for number in batch.fetch if number in tables.checkpoints}
        return done

    def reopen(self, now_us: int) -> Opening:
        """As `Ledger.reopen`."""
        if not self._who:
            raise LedgerUnavailable(self.name, "it is not open; call open() first")
        return self._take(now_us)

    def holds(self) -> bool:
        """As `Ledger.holds`; the lock has no end."""
        return True

    def renew(self) -> None:
        """As `Ledger.renew`."""

    def prune(self, before_us: int, rows: int, held: Collection[int] | None = None) -> int:
        """As `Ledger.prune`."""
        self._ready()
        if self._epoch != self.tables.epoch:
            raise Fenced(self.name, self._epoch)
        return prune(self.tables, before_us, rows, held)

    def reads(self) -> Reads:
        """As `Ledger.reads`."""
        reader = SimReads(self.name, self.tables)
        self._readers.add(reader)
        return reader

    def close(self) -> None:
        """As `Ledger.close`."""
        if self._who:
            self.crash()
        for reader in list(self._readers):
            reader.close()
        self._readers.clear()

    def _open(self, now_us: int, who: str, *, client: bool) -> Opening:
        if self.tables.owner:
            raise LedgerOwned(self.name, repr(self.tables.owner))
        self.tables.owner = self._who = who
        self._client = client
        return self._take(now_us)

    def _take(self, now_us: int) -> Opening:
        tables = self.tables
        tables.epoch = self._epoch = tables.epoch + 1
        tables.clock_us = max(tables.clock_us, now_us)
        self._sound = True
        unfinished = tables.unfinished()
        forget_shards(tables, lambda shard: shard.batch not in unfinished)
        live = tables.live.values()
        needed = {task.shard for task in live if task.state in {State.READY, State.RUNNING}}
        needed |= {shard.id for shard in tables.shards.values() if shard.batch in unfinished}
        return Opening(
            epoch=tables.epoch,
            slot=0 if self._client else 1 + tables.epoch % _SLOTS,
            id_high=tables.id_high,
            clock_us=tables.clock_us,
            shards=[tables.shards[number] for number in sorted(needed)],
            shard_high=max(tables.shards, default=0),
            ready_shards=sorted({task.shard for task in live if task.state == State.READY}),
            batches=[clone(unfinished[number]) for number in sorted(unfinished)],
            running=[clone(task) for task in sorted(live, key=lambda task: task.id) if task.state == State.RUNNING],
            runs=[clone(run) for _, run in sorted(tables.runs.items()) if not RunState(run.state).ended],
            releases=sorted(tables.releases),
            facts=[(*place, msgspec.json.decode(text)) for place, (text, _) in sorted(tables.facts.items())],
        )

    def _write(self, batch: Commit) -> int:
        if batch.epoch != self.tables.epoch:
            raise Fenced(self.name, batch.epoch)
        before = self.tables.snapshot()
        try:
            return self._applier.apply(batch)
        except BaseException:
            self.tables.restore(before)
            raise

    def _ready(self) -> None:
        if not self._who:
            raise LedgerUnavailable(self.name, "it is not open; call open() first")
        if not self._sound:
            raise LedgerUnavailable(self.name, "a commit failed; nothing can be written before reopen()")
