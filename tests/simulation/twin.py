"""Two ledgers side by side: what the simulated one says, the real one must say too."""

from collections.abc import Collection
from typing import TypeVar

import msgspec

from tests.simulation.red import Check, require
from wsaios.kernel.failpoints import FAMILIES
from wsaios.kernel.ledger import Commit, Committed, Opening
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.simulation.ledger import CommitFault, SimLedger
from wsaios.simulation.ledger_store import Tables

T = TypeVar("T")


class TwinLedger(SimLedger):
    """A simulated ledger that has a real one do the same and compares every answer."""

    def __init__(self, tables: Tables, real: SqliteLedger | PostgresLedger) -> None:
        super().__init__(tables)
        self._real = real
        self._next_fault: CommitFault | None = None

    def fail_next(self, *faults: CommitFault) -> None:
        super().fail_next(*faults)
        self._next_fault = faults[0]

    def open(self, now_us: int, who: str) -> Opening:
        mine = super().open(now_us, who)
        # What is in memory only would be gone with a connection that is closed, so the next owner has the same one.
        theirs = self._real.open(now_us, who) if mine.epoch == 1 else self._real.reopen(now_us)
        return _same(mine, theirs, "open")

    def reopen(self, now_us: int) -> Opening:
        return _same(super().reopen(now_us), self._real.reopen(now_us), "reopen")

    def commit(self, batch: Commit) -> Committed:
        fault, self._next_fault = self._next_fault, None
        if fault != CommitFault.LOST:
            # Only the simulated clients leave something in an intake.
            theirs = self._real.commit(msgspec.structs.replace(batch, taken=[]))
        mine = super().commit(batch)
        return _same(mine, theirs, f"commit {[name for name in FAMILIES if getattr(batch, name)]}")

    def prune(self, before_us: int, rows: int, held: Collection[int] | None = None) -> int:
        mine, theirs = super().prune(before_us, rows, held), self._real.prune(before_us, rows, held)
        require(mine == theirs, Check.TWINS, "prune: {} rows, {} rows", mine, theirs)
        return mine

    def check(self) -> None:
        """Every task reads the same, and the real ledger finds no fault in itself."""
        mine = self.reads().task_list((), 0, 1_000_000)
        theirs = self._real.reads().task_list((), 0, 1_000_000)
        _same(mine, theirs, "the tasks in the end")
        faults = self._real.check()
        require(not faults, Check.TWINS, "the real ledger finds {}", faults)


def _same(mine: T, theirs: T, what: str) -> T:
    said, heard = (msgspec.json.decode(msgspec.json.encode(each)) for each in (mine, theirs))
    require(said == heard, Check.TWINS, "{}: {} and {}", what, said, heard)
    return mine
