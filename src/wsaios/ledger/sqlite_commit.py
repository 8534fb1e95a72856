"""What a commit writes, family by family: each is one statement, so the thread returns to Python once a family."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from wsaios.kernel.errors import Fenced, LedgerBroken
from wsaios.kernel.failpoints import FAMILIES, Failpoint
from wsaios.kernel.ledger import Commit, Payload
from wsaios.kernel.task import Outcome, Task

_PAIRS: Final = msgspec.json.Decoder(list[tuple[int, int]])
_OF_LIVE_TASKS: Final = (
    "tasks_remove",
    "payloads_remove",
    "checkpoints_remove",
    "history_remove",
    "links_remove_child",
    "links_remove_parent",
)


def as_json(value: object) -> str:
    """JSON text of anything that msgspec can write."""
    return msgspec.json.encode(value).decode()


def hold(connection: apsw.Connection, advance: str, ledger: str, batch: Commit) -> None:
    """Make sure, inside a transaction, that the epoch of a commit is not over, and raise the high-water marks.

    Raises:
        Fenced: it is.
    """
    connection.execute(advance, {"epoch": batch.epoch, "id_high": batch.id_high, "now_us": batch.now_us})
    if connection.changes() != 1:
        raise Fenced(ledger, batch.epoch)


class CommitWriter:
    """Writes commits through one connection; the caller takes care of errors of the database."""

    def __init__(self, ledger: str, connection: apsw.Connection, sql: Mapping[str, str], failpoint: Failpoint) -> None:
        """`ledger` is what messages call it."""
        self._ledger = ledger
        self._connection = connection
        self._cursor = connection.cursor()
        self._sql = sql
        self._failpoint = failpoint
        self._purged = 0
        self.checkpoints = bool(connection.execute(sql["checkpoints_any"]).get)
        self._families: dict[str, Callable[[Commit], None]] = {
            "shards": lambda batch: self._rows("shards_add", batch.shards),
            "batches": lambda batch: self._rows("batches_put", batch.batches),
            "replayed": lambda batch: self._replayed(batch.replayed),
            "accepted": lambda batch: self._accepted(batch.accepted),
            "payloads": lambda batch: self._bytes("payloads_add", batch.payloads),
            "updated": lambda batch: self._rows("tasks_change", batch.updated, "a stored fence of a changed task"),
            "spilled": lambda batch: self._rows("history_add", batch.spilled),
            "saved": lambda batch: self._checkpoints(batch.saved),
            "ended": lambda batch: self._ended(batch.ended, batch.results),
            "results": lambda batch: self._belong(batch.ended, batch.results),
            "links": lambda batch: self._rows("links_add", batch.links),
            "links_done": lambda batch: self._rows("links_remove", batch.links_done),
            "releases": lambda batch: self._ids("releases_add", batch.releases),
            "releases_done": lambda batch: self._ids("releases_remove", batch.releases_done),
            "keys": self._keys,
            "facts": self._facts,
            "purged": lambda batch: self._purge(batch.purged, batch.purge_rows),
        }

    def write(self, batch: Commit) -> int:
        """Write everything in one transaction, or nothing; returns the rows that were purged.

        Raises:
            Fenced, LedgerBroken: as `Ledger.commit`; nothing was written.
        """
        self._purged = 0
        self._run("commit_begin")
        try:
            self._failpoint("ledger.begin")
            hold(self._connection, self._sql["owner_advance"], self._ledger, batch)
            self._failpoint("ledger.owner")
            for family in FAMILIES:
                if getattr(batch, family):
                    self._families[family](batch)
                    self._failpoint(f"ledger.{family}")
            self._failpoint("ledger.before_commit")
            self._run("commit_end")
        except BaseException:
            # Some errors of the database have already undone the transaction.
            if self._connection.in_transaction:
                self._run("commit_undo")
            raise
        self._failpoint("ledger.after_commit")
        return self._purged

    def _run(self, name: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._cursor.execute(self._sql[name], parameters)

    def _rows(self, name: str, rows: Sequence[object], matched: str = "") -> None:
        """Write rows; with `matched` every one must change a row of the ledger."""
        self._run(name, {"rows": as_json(rows)})
        if matched:
            self._expect(len(rows), matched)

    def _ids(self, name: str, ids: Iterable[int]) -> None:
        self._run(name, {"ids": as_json(ids)})

    def _bytes(self, name: str, payloads: Sequence[Payload]) -> None:
        rows, place = [], 0
        for item in payloads:
            rows.append((item.id, item.codec, place, len(item.data)))
            place += len(item.data)
        self._run(name, {"rows": as_json(rows), "data": _joined([item.data for item in payloads])})

    def _expect(self, rows: int, what: str) -> None:
        changed = self._connection.changes()
        if changed != rows:
            raise LedgerBroken(self._ledger, f"{what} did not match: {changed} of {rows} rows; nothing was written")

    def _accepted(self, tasks: Sequence[Task]) -> None:
        self._rows("tasks_add", tasks)
        shards = Counter(task.shard for task in tasks)
        self._rows("shards_grow", list(shards.items()), "the shard of a new task")

    def _replayed(self, tasks: Sequence[Task]) -> None:
        self._rows("outcomes_recall", tasks, "the outcome of a replayed task")
        self._rows("tasks_add", tasks)

    def _ended(self, outcomes: Sequence[Outcome], results: Sequence[Payload]) -> None:
        found = {item.id: item.data for item in results}
        rows, chunks, place = [], [], 0
        for o in outcomes:
            data = found.get(o.id)
            size = 0 if data is None else len(data)
            rows.append(
                (o.id, o.stored_fence, o.fence, o.state, o.shard, o.ended_us, o.key, o.expires_us, o.codec)
                + ((None, 0) if data is None else (place, size))
                + (o.failure, o.body)
            )
            if data is not None:
                chunks.append(data)
                place += size
        self._run("outcomes_add", {"rows": as_json(rows), "data": _joined(chunks)})
        self._expect(len(outcomes), "a stored fence of a task that ended")
        ids = as_json([outcome.id for outcome in outcomes])
        self._run("tasks_remove", {"ids": ids})
        if self.checkpoints:
            self._run("checkpoints_remove", {"ids": ids})

    def _belong(self, outcomes: Sequence[Outcome], results: Sequence[Payload]) -> None:
        """Refuse results of tasks that did not end; those that did were written beside their outcomes."""
        strays = {item.id for item in results} - {outcome.id for outcome in outcomes}
        if strays:
            raise LedgerBroken(self._ledger, f"{len(strays)} results belong to no task that ended; nothing was written")

    def _checkpoints(self, payloads: Sequence[Payload]) -> None:
        self._bytes("checkpoints_put", payloads)
        self.checkpoints = True

    def _keys(self, batch: Commit) -> None:
        self._run("keys_put", {"rows": as_json(batch.keys), "now_us": batch.now_us})
        self._expect(len(batch.keys), "an idempotency key that is still in force")

    def _facts(self, batch: Commit) -> None:
        rows = [(component, key, None if value is None else as_json(value)) for component, key, value in batch.facts]
        self._run("facts_put", {"rows": as_json(rows), "now_us": batch.now_us})
        if any(row[2] is None for row in rows):
            self._rows("facts_remove", rows)

    def _purge(self, ranges: Sequence[tuple[int, int]], limit: int) -> None:
        found = self._cursor.execute(self._sql["purge_choose"], {"rows": as_json(ranges), "limit": limit}).get
        chosen = _PAIRS.decode(found)
        if not chosen:
            return
        ids = [task for task, _ in chosen]
        for name in _OF_LIVE_TASKS:
            self._ids(name, ids)
        shards = Counter(shard for _, shard in chosen)
        self._rows("shards_grow", [(shard, -count) for shard, count in shards.items()])
        self._purged = len(ids)


def _joined(chunks: list[bytes]) -> bytes:
    # Never empty: SQLite takes a slice of an empty blob for NULL.
    return b"".join((*chunks, b"\0"))
