"""Pruning in small steps, and the search for contradictions."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

import apsw
import msgspec

from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.prepared import CHECKS, OF_ENDED_TASKS, as_json
from wsaios.ledger.sqlite.commit import hold

_CHOSEN: Final = msgspec.json.Decoder(list[tuple[int, int, int]])
_CHECKS: Final = {**CHECKS, "check_json": "tasks have a record that cannot be read"}


class Pruner:
    """Deletes old outcomes step by step; each call goes on where the one before it came to."""

    def __init__(
        self, ledger: str, connection: apsw.Connection, sql: Mapping[str, str], failpoint: Failpoint = nothing
    ) -> None:
        self._failpoint = failpoint
        self._ledger = ledger
        self._connection = connection
        self._sql = sql
        self._from_us = 0

    def prune(self, epoch: int, before_us: int, limit: int, in_memory: Collection[int] | None) -> int:
        """As `Ledger.prune`; counts outcomes, steps, runs, keys, old values of facts and shards that are not in memory.

        Raises:
            Fenced: the epoch is over.
        """
        self._run("commit_begin")
        try:
            self._failpoint("prune.begin")
            hold(
                self._connection, self._sql["owner_advance"], self._ledger, {"epoch": epoch, "id_high": 0, "now_us": 0}
            )
            removed = self._runs(before_us, limit)
            self._failpoint("prune.runs")
            removed += self._outcomes(before_us, limit)
            self._failpoint("prune.outcomes")
            clock_us = self._connection.execute(self._sql["clock_of"]).get
            removed += self._run("keys_forget", now_us=clock_us, limit=limit)
            self._failpoint("prune.keys")
            removed += self._run("fact_log_forget", before_us=before_us, limit=limit)
            self._failpoint("prune.facts")
            if in_memory is not None:
                removed += self._run("shards_forget_unused", held=as_json(list(in_memory)), limit=limit)
            if removed < limit:
                self._run("batches_forget", before_us=before_us)
                self._run("shards_forget_batches")
                self._failpoint("prune.batches")
            self._failpoint("prune.before_commit")
            self._run("commit_end")
        except BaseException:
            if self._connection.in_transaction:
                self._run("commit_undo")
            raise
        self._failpoint("prune.after_commit")
        return removed

    def _runs(self, before_us: int, limit: int) -> int:
        """First the steps, so that what they name may go after them."""
        self._run("runs_going", before_us=before_us, limit=limit)
        removed = self._run("steps_forget", limit=limit)
        gone = self._run("runs_forget")
        if gone:
            self._run("definitions_forget")
        return removed + gone

    def _outcomes(self, before_us: int, limit: int) -> int:
        place = {"from_us": self._from_us, "before_us": before_us, "limit": limit}
        chosen = _CHOSEN.decode(self._connection.execute(self._sql["prune_choose"], place).get)
        # Rows that must stay are passed once a sweep, not at every step of it.
        self._from_us = chosen[-1][2] if len(chosen) == limit else 0
        if chosen:
            ids = as_json([task for task, _, _ in chosen])
            for name in OF_ENDED_TASKS:
                self._run(name, ids=ids)
            shards = Counter(shard for _, shard, _ in chosen)
            self._run("shards_grow", rows=as_json([(shard, -count) for shard, count in shards.items()]))
        return len(chosen)

    def _run(self, name: str, **parameters: Any) -> int:
        self._connection.execute(self._sql[name], parameters)
        return self._connection.changes()


def contradictions(connection: apsw.Connection, sql: Mapping[str, str]) -> list[str]:
    """What is wrong in a ledger, in words with counts, as of one moment."""
    with connection:
        lines = [str(line) for (line,) in connection.execute(sql["check_pages"])]
        found = [] if lines == ["ok"] else [f"the file is damaged: {line}" for line in lines]
        for name, words in _CHECKS.items():
            count = connection.execute(sql[name]).get
            if count:
                found.append(f"{count} {words}")
    return found
