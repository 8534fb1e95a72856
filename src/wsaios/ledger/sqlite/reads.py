"""The second, read-only way into a ledger."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import Answer, EndedAfter, Ends, LiveAfter, Payload, Question, TaskView, Totals
from wsaios.kernel.states import ENDED, State
from wsaios.kernel.task import Batch, Outcome, Shard, Task
from wsaios.ledger.prepared import as_json
from wsaios.ledger.sqlite.answers import Answers
from wsaios.ledger.sqlite.connection import translated

_BATCHES: Final = msgspec.json.Decoder(list[Batch])
_OUTCOME: Final = msgspec.json.Decoder(Outcome)
_OUTCOMES: Final = msgspec.json.Decoder(list[Outcome])
_NUMBERS: Final = msgspec.json.Decoder(list[int])
_PAIRS: Final = msgspec.json.Decoder(list[tuple[int, int]])
_SHARDS: Final = msgspec.json.Decoder(list[Shard])
_TASK: Final = msgspec.json.Decoder(Task)
_TASKS: Final = msgspec.json.Decoder(list[Task])
_TEXTS: Final = msgspec.json.Decoder(list[str])
_ID_MAX: Final = (1 << 63) - 1
_NOWHERE: Final = Shard(0, "", "", "", 0, "")


class SqliteReads:
    """`Reads` through one connection; each call sees one moment of the ledger."""

    def __init__(
        self,
        ledger: str,
        connection: apsw.Connection,
        sql: Mapping[str, str],
        gate: threading.RLock,
        path: Path | None = None,
    ) -> None:
        """`gate` guards the connection, which this object closes when `path`, its file, is given."""
        self._ledger = ledger
        self._connection: apsw.Connection | None = connection
        self._answers = Answers(connection, sql)
        self._sql = sql
        self._gate = gate
        self._path = path

    def task_view(self, task_id: int) -> TaskView | None:
        """As `Reads.task_view`."""
        with self._moment() as connection:
            row = connection.execute(self._sql["task_view"], {"id": task_id}).get
            live, outcome, codec, data, result_codec, result, spilled = row
            view = TaskView(
                shard=_NOWHERE,
                live=None if live is None else _TASK.decode(live),
                outcome=None if outcome is None else _OUTCOME.decode(outcome),
                payload=None if data is None else Payload(task_id, codec, data),
                result=None if result is None else Payload(task_id, result_codec, result),
                spilled=_TEXTS.decode(spilled),
            )
            return self._placed(connection, [view])[0] if view.live or view.outcome else None

    def task_list(self, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
        """As `Reads.task_list`."""
        with self._moment() as connection:
            place = {"after": after, "limit": limit}
            ended = tuple(state for state in states or ENDED if state in ENDED)
            views = [TaskView(shard=_NOWHERE, live=task) for task in self._live(connection, states, place)]
            if ended:
                question = EndedAfter(after, _ID_MAX, ended, limit)
                outcomes = self._answers.answer(question).outcomes
                views += [TaskView(shard=_NOWHERE, outcome=outcome) for outcome in outcomes]
            return self._placed(connection, sorted(views, key=lambda view: view.row.id)[:limit])

    def ahead(self, shards: Sequence[int], key: int, task_id: int, limit: int) -> int:
        """As `Reads.ahead`."""
        parameters = {"shards": as_json(list(shards)), "key": key, "id": task_id, "limit": limit}
        return int(self._one("ahead", parameters))

    def batch(self, batch_id: int) -> Batch | None:
        """As `Reads.batch`."""
        return next(iter(_BATCHES.decode(self._one("batch_by_id", {"id": batch_id}))), None)

    def batch_by_key(self, key: str) -> Batch | None:
        """As `Reads.batch_by_key`."""
        return next(iter(_BATCHES.decode(self._one("batch_by_key", {"key": key}))), None)

    def batch_list(self, limit: int) -> list[Batch]:
        """As `Reads.batch_list`."""
        return _BATCHES.decode(self._one("batch_list", {"limit": limit}))

    def outcomes(self, first: int, last: int, limit: int) -> list[tuple[Outcome, bytes]]:
        """As `Reads.outcomes`."""
        parameters = {"first": first, "last": last, "limit": limit}
        with self._moment() as connection:
            texts, data = connection.execute(self._sql["outcomes_between"], parameters).get
        return _with_results(_OUTCOMES.decode(texts), data)

    def ends(self, ids: Sequence[int]) -> Ends:
        """As `Reads.ends`."""
        with self._moment() as connection:
            wanted = {"ids": as_json(list(ids))}
            texts, data, handlers = connection.execute(self._sql["ends_of"], wanted).get
            ended = _with_results(_OUTCOMES.decode(texts), data)
            if len(ended) < len(ids):
                unknown = _NUMBERS.decode(connection.execute(self._sql["unknown_ids"], wanted).get)
            else:
                unknown = []
        named = zip(ended, _TEXTS.decode(handlers), strict=True)
        return [(outcome, result, handler) for (outcome, result), handler in named], unknown

    def ended_ids(self, first: int, last: int, limit: int) -> list[tuple[int, int]]:
        """As `Reads.ended_ids`."""
        return _PAIRS.decode(self._one("ended_ids", {"first": first, "last": last, "limit": limit}))

    def asked(self, question: Question) -> Answer:
        """As `Reads.asked`."""
        with self._moment():
            return self._answers.answer(question)

    def totals(self) -> Totals:
        """As `Reads.totals`."""
        with self._moment() as connection:
            live = dict(_PAIRS.decode(connection.execute(self._sql["totals_live"]).get))
            ended = dict(_PAIRS.decode(connection.execute(self._sql["totals_ended"]).get))
            size = int(connection.execute(self._sql["size"]).get)
        log = None if self._path is None else self._path.with_name(f"{self._path.name}-wal")
        return Totals(live, ended, size + (log.stat().st_size if log is not None and log.exists() else 0))

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""
        with self._gate:
            connection, self._connection = self._connection, None
            if connection is not None and self._path is not None:
                connection.close(force=True)

    @contextmanager
    def _moment(self) -> Iterator[apsw.Connection]:
        """The connection, on which every statement sees the same commit."""
        with self._gate, translated(self._ledger):
            if self._connection is None:
                raise LedgerUnavailable(self._ledger, "it was closed")
            with self._connection:
                yield self._connection

    def _one(self, name: str, parameters: Mapping[str, Any]) -> Any:
        with self._moment() as connection:
            return connection.execute(self._sql[name], parameters).get

    def _live(self, connection: apsw.Connection, states: Sequence[int], place: dict[str, int]) -> list[Task]:
        if not states:
            return self._answers.answer(LiveAfter(place["after"], _ID_MAX, place["limit"])).tasks
        found: list[Task] = []
        for state in set(states) - ENDED:
            name = "live_ready_by_id" if state == State.READY else "live_in_state"
            parameters = place if state == State.READY else place | {"state": int(state)}
            found += _TASKS.decode(connection.execute(self._sql[name], parameters).get)
        return found

    def _placed(self, connection: apsw.Connection, views: list[TaskView]) -> list[TaskView]:
        """The views with their shards."""
        ids = as_json(sorted({view.row.shard for view in views}))
        found = _SHARDS.decode(connection.execute(self._sql["shards_by_id"], {"ids": ids}).get)
        shards = {shard.id: shard for shard in found}
        for view in views:
            view.shard = shards[view.row.shard]
        return views


def _with_results(outcomes: list[Outcome], data: bytes) -> list[tuple[Outcome, bytes]]:
    """Outcomes, each with its part of the bytes of all results."""
    found, place = [], 0
    for outcome in outcomes:
        found.append((outcome, data[place : place + outcome.size] if outcome.size else b""))
        place += outcome.size
    return found
