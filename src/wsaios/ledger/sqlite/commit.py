"""Writes commits: one statement a family, so the thread returns to Python once for each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from wsaios.kernel.errors import Fenced
from wsaios.kernel.failpoints import Failpoint
from wsaios.ledger.prepared import CHECKPOINTS_REMOVE, OF_LIVE_TASKS, Prepared, Write, as_json, matched

_PAIRS: Final = msgspec.json.Decoder(list[tuple[int, int]])


def hold(connection: apsw.Connection, advance: str, ledger: str, owner: Mapping[str, int]) -> None:
    """Make sure, inside a transaction, that the epoch of a commit is not over, and raise the high-water marks.

    Raises:
        Fenced: it is.
    """
    connection.execute(advance, owner)
    if connection.changes() != 1:
        raise Fenced(ledger, owner["epoch"])


class CommitWriter:
    """Writes commits through one connection; the caller takes care of errors of the database."""

    def __init__(self, ledger: str, connection: apsw.Connection, sql: Mapping[str, str], failpoint: Failpoint) -> None:
        """`ledger` is what messages call it."""
        self._ledger = ledger
        self._connection = connection
        self._cursor = connection.cursor()
        self._sql = sql
        self._failpoint = failpoint
        self.checkpoints = bool(connection.execute(sql["checkpoints_any"]).get)

    def write(self, batch: Prepared) -> int:
        """Write everything in one transaction, or nothing; returns the rows that were purged.

        Raises:
            Fenced, LedgerBroken: as `Ledger.commit`; nothing was written.
        """
        purged = 0
        self._run("commit_begin")
        try:
            self._failpoint("ledger.begin")
            hold(self._connection, self._sql["owner_advance"], self._ledger, batch.owner)
            self._failpoint("ledger.owner")
            for family, rows in batch.families:
                for write in rows:
                    self._write(write)
                if family == "purged":
                    purged = self._purge(batch.purged, batch.purge_rows)
                elif family == "saved":
                    self.checkpoints = True
                self._failpoint(f"ledger.{family}")
            self._failpoint("ledger.before_commit")
            self._run("commit_end")
        except BaseException:
            # Some errors of the database have already undone the transaction.
            if self._connection.in_transaction:
                self._run("commit_undo")
            raise
        self._failpoint("ledger.after_commit")
        return purged

    def _run(self, name: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._cursor.execute(self._sql[name], parameters)

    def _write(self, write: Write) -> None:
        if write.name == CHECKPOINTS_REMOVE and not self.checkpoints:
            return
        self._run(write.name, write.parameters)
        matched(self._ledger, write, self._connection.changes())

    def _purge(self, ranges: Sequence[tuple[int, int]], limit: int) -> int:
        found = self._cursor.execute(self._sql["purge_choose"], {"rows": as_json(ranges), "limit": limit}).get
        chosen = _PAIRS.decode(found)
        if not chosen:
            return 0
        ids = {"ids": as_json([task for task, _ in chosen])}
        for name in OF_LIVE_TASKS:
            self._run(name, ids)
        shards = Counter([shard for _, shard in chosen])
        self._run("shards_grow", {"rows": as_json([(shard, -count) for shard, count in shards.items()])})
        return len(chosen)
