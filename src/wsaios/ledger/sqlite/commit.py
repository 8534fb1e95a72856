"""Writes commits: one statement a family, so the thread returns to Python once for each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from wsaios.kernel.errors import Fenced, LedgerBroken
from wsaios.kernel.failpoints import Failpoint
from wsaios.kernel.ledger import Commit, Question
from wsaios.ledger.sqlite.rows import CHECKPOINTS_REMOVE, Write, as_json, writes

_PAIRS: Final = msgspec.json.Decoder(list[tuple[int, int]])
_OF_LIVE_TASKS: Final = (
    "tasks_remove",
    "payloads_remove",
    "checkpoints_remove",
    "history_remove",
    "links_remove_child",
    "links_remove_parent",
)


class Prepared(NamedTuple):
    """A commit in the words of the database; nothing in it can change any more."""

    owner: dict[str, int]
    families: list[tuple[str, list[Write]]]
    purged: list[tuple[int, int]]
    purge_rows: int
    questions: list[Question]
    fetch: list[int]


def prepare(ledger: str, batch: Commit) -> Prepared:
    """Take out of a commit what is written.

    Raises:
        LedgerBroken: it contradicts itself.
    """
    owner = {"epoch": batch.epoch, "id_high": batch.id_high, "now_us": batch.now_us}
    families = writes(ledger, batch)
    return Prepared(owner, families, list(batch.purged), batch.purge_rows, list(batch.questions), list(batch.fetch))


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
        if write.matched and (changed := self._connection.changes()) != write.rows:
            what = f"{write.matched} did not match: {changed} of {write.rows} rows; nothing was written"
            raise LedgerBroken(self._ledger, what)

    def _purge(self, ranges: Sequence[tuple[int, int]], limit: int) -> int:
        found = self._cursor.execute(self._sql["purge_choose"], {"rows": as_json(ranges), "limit": limit}).get
        chosen = _PAIRS.decode(found)
        if not chosen:
            return 0
        ids = {"ids": as_json([task for task, _ in chosen])}
        for name in _OF_LIVE_TASKS:
            self._run(name, ids)
        shards = Counter([shard for _, shard in chosen])
        self._run("shards_grow", {"rows": as_json([(shard, -count) for shard, count in shards.items()])})
        return len(chosen)
