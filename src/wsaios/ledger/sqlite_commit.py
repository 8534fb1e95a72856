"""What a commit writes: everything in one call of the database, so that the thread returns to Python once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from wsaios.kernel.errors import Fenced, LedgerBroken
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.kernel.ledger import Commit, Payload
from wsaios.kernel.task import Outcome, Task
from wsaios.ledger.statements import composed

_PAIRS: Final = msgspec.json.Decoder(list[tuple[int, int]])
_OF_LIVE_TASKS: Final = (
    "tasks_remove",
    "payloads_remove",
    "checkpoints_remove",
    "history_remove",
    "links_remove_child",
    "links_remove_parent",
)
_NO_ROWS: Final = dict.fromkeys(
    (
        "shards",
        "batches",
        "replayed",
        "accepted",
        "grown",
        "payloads",
        "payload_data",
        "updated",
        "spilled",
        "saved",
        "saved_data",
        "ended",
        "ended_data",
        "ended_ids",
        "ended_saved",
        "links",
        "links_done",
        "releases",
        "releases_done",
        "keys",
        "facts",
    )
) | dict.fromkeys(("replayed_rows", "grown_rows", "updated_rows", "ended_rows", "results_rows", "keys_rows"), 0)
_AS_GIVEN: Final = ("shards", "batches", "spilled", "links", "links_done", "releases", "releases_done")
_MATCHED: Final = ("replayed", "updated", "keys")


def as_json(value: object) -> str:
    """JSON text of anything that msgspec can write."""
    return msgspec.json.encode(value).decode()


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
        if failpoint is not nothing:
            connection.create_scalar_function("reached", failpoint, 1)
        connection.execute(sql["commit_form"])
        connection.execute(composed(sql["commit_apply"], sql, failpoints=failpoint is not nothing))

    def write(self, batch: Commit) -> int:
        """Write everything in one transaction, or nothing; returns the rows that were purged.

        Raises:
            Fenced, LedgerBroken: as `Ledger.commit`; nothing was written.
        """
        form = self._form(batch)
        self._failpoint("ledger.begin")
        try:
            purged = self._write_and_purge(form, batch) if batch.purged else self._write(form)
        except apsw.ConstraintError as error:
            if str(error) == "fenced":
                raise Fenced(self._ledger, batch.epoch) from error
            if error.extendedresult == apsw.SQLITE_CONSTRAINT_TRIGGER:
                raise LedgerBroken(self._ledger, f"{error}; nothing was written") from error
            raise
        self._failpoint("ledger.after_commit")
        return purged

    def _write(self, form: Mapping[str, Any]) -> int:
        self._cursor.execute(self._sql["commit_write"], form)
        return 0

    def _write_and_purge(self, form: Mapping[str, Any], batch: Commit) -> int:
        """What is purged is chosen first and deleted after, in more than one statement."""
        self._cursor.execute(self._sql["transaction_begin"])
        try:
            self._write(form)
            purged = self._purge(batch.purged, batch.purge_rows)
            self._failpoint("ledger.purged")
            self._cursor.execute(self._sql["transaction_end"])
        except BaseException:
            # Some errors of the database have already undone the transaction.
            if self._connection.in_transaction:
                self._cursor.execute(self._sql["transaction_undo"])
            raise
        return purged

    def _form(self, batch: Commit) -> dict[str, Any]:
        """The columns of `commit_form`."""
        form: dict[str, Any] = {**_NO_ROWS, "epoch": batch.epoch, "id_high": batch.id_high, "now_us": batch.now_us}
        for family in _AS_GIVEN:
            rows = getattr(batch, family)
            if rows:
                form[family] = as_json(rows)
        for family in _MATCHED:
            rows = getattr(batch, family)
            if rows:
                form[family], form[f"{family}_rows"] = as_json(rows), len(rows)
        if batch.accepted:
            form.update(_accepted(batch.accepted))
        if batch.payloads:
            form["payloads"], form["payload_data"] = _bytes(batch.payloads)
        if batch.saved:
            form["saved"], form["saved_data"] = _bytes(batch.saved)
            self.checkpoints = True
        if batch.ended or batch.results:
            form.update(self._ended(batch.ended, batch.results))
        if batch.facts:
            form["facts"] = as_json(
                [(owner, key, None if value is None else as_json(value)) for owner, key, value in batch.facts]
            )
        return form

    def _ended(self, outcomes: Sequence[Outcome], results: Sequence[Payload]) -> dict[str, Any]:
        found = {item.id: item.data for item in results}
        rows: list[tuple[Any, ...]] = []
        chunks: list[bytes] = []
        place = 0
        for o in outcomes:
            data = found.pop(o.id, None)
            lies = (None, 0) if data is None else (place, len(data))
            rows.append(
                (
                    *(o.id, o.stored_fence, o.fence, o.state, o.shard, o.ended_us, o.key, o.expires_us, o.codec),
                    *(*lies, o.failure, o.body),
                )
            )
            if data is not None:
                chunks.append(data)
                place += len(data)
        if found:
            raise LedgerBroken(self._ledger, f"{len(found)} results belong to no task that ended; nothing was written")
        ids = as_json([outcome.id for outcome in outcomes])
        return {
            "ended": as_json(rows),
            "ended_rows": len(rows),
            "ended_data": _joined(chunks),
            "ended_ids": ids,
            "ended_saved": ids if self.checkpoints else None,
            "results_rows": len(results),
        }

    def _purge(self, ranges: Sequence[tuple[int, int]], limit: int) -> int:
        found = self._cursor.execute(self._sql["purge_choose"], {"rows": as_json(ranges), "limit": limit}).get
        chosen = _PAIRS.decode(found)
        ids = as_json([task for task, _ in chosen])
        for name in _OF_LIVE_TASKS if chosen else ():
            self._cursor.execute(self._sql[name], {"ids": ids})
        grown = [(shard, -count) for shard, count in Counter(shard for _, shard in chosen).items()]
        self._cursor.execute(self._sql["shards_grow"], {"rows": as_json(grown)})
        return len(chosen)


def _accepted(tasks: Sequence[Task]) -> dict[str, Any]:
    grown = Counter(task.shard for task in tasks)
    return {"accepted": as_json(tasks), "grown": as_json(list(grown.items())), "grown_rows": len(grown)}


def _bytes(payloads: Sequence[Payload]) -> tuple[str, bytes]:
    rows, place = [], 0
    for item in payloads:
        rows.append((item.id, item.codec, place, len(item.data)))
        place += len(item.data)
    return as_json(rows), _joined(item.data for item in payloads)


def _joined(chunks: Iterable[bytes]) -> bytes:
    # Never empty: SQLite takes a slice of an empty blob for NULL.
    return b"".join((*chunks, b"\0"))
