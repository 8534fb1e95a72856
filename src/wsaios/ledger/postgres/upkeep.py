"""Pruning in small steps, and the search for contradictions."""

from collections.abc import Collection, Mapping
from typing import Any

from wsaios.kernel.failpoints import Failpoint
from wsaios.ledger.postgres.commit import hold, undo
from wsaios.ledger.postgres.days import Days
from wsaios.ledger.postgres.rows import growth
from wsaios.ledger.postgres.session import Session
from wsaios.ledger.prepared import CHECKS, OF_ENDED_TASKS


class Pruner:
    """Deletes old outcomes step by step; each call goes on where the one before it came to."""

    def __init__(self, ledger: str, session: Session, failpoint: Failpoint, lease_us: int) -> None:
        self._failpoint = failpoint
        self._ledger = ledger
        self._session = session
        self._lease_us = lease_us
        self._days = Days(ledger, session, lease_us)
        self._from_us = 0
        self._beyond = 0

    async def prune(self, epoch: int, before_us: int, limit: int, in_memory: Collection[int] | None) -> int:
        """As `Ledger.prune`; counts outcomes, steps, runs, keys, old values of facts and shards that are not in memory.

        Raises:
            Fenced: the epoch is over.
        """
        dropped = 0
        if not self._from_us:
            dropped, self._beyond = await self._days.sweep(epoch, before_us, patient=in_memory is not None)
        await self._run("commit_begin")
        try:
            self._failpoint("prune.begin")
            await hold(self._session, self._ledger, {"epoch": epoch, "id_high": 0, "now_us": 0}, self._lease_us)
            removed = dropped + await self._runs(before_us, limit)
            self._failpoint("prune.runs")
            removed += await self._outcomes(before_us, limit)
            self._failpoint("prune.outcomes")
            clock_us = await self._session.value("clock_of")
            removed += await self._run("keys_forget", now_us=clock_us, limit=limit)
            self._failpoint("prune.keys")
            removed += await self._run("fact_log_forget", before_us=before_us, limit=limit)
            self._failpoint("prune.facts")
            if in_memory is not None:
                removed += await self._run("shards_forget_unused", held=list(in_memory), limit=limit)
            if removed < limit:
                await self._run("batches_forget", before_us=before_us)
                await self._run("shards_forget_batches")
                self._failpoint("prune.batches")
            self._failpoint("prune.before_commit")
            await self._run("commit_end")
        except BaseException:
            await undo(self._session)
            raise
        self._failpoint("prune.after_commit")
        return removed

    async def _runs(self, before_us: int, limit: int) -> int:
        """First the steps, so that what they name may go after them."""
        await self._run("runs_going", before_us=before_us, limit=limit)
        removed = await self._run("steps_forget", limit=limit)
        gone = await self._run("runs_forget")
        if gone:
            await self._run("definitions_forget")
        return removed + gone

    async def _outcomes(self, before_us: int, limit: int) -> int:
        chosen = await self._session.rows(
            "prune_choose", from_us=self._from_us, before_us=before_us, beyond=self._beyond, limit=limit
        )
        # Rows that must stay are passed once a sweep, not at every step of it.
        self._from_us = chosen[-1][2] if len(chosen) == limit else 0
        if chosen:
            ids: Mapping[str, Any] = {"ids": [task for task, _, _ in chosen]}
            for name in OF_ENDED_TASKS:
                await self._session.change(name, ids)
            await self._session.change("shards_grow", growth((shard for _, shard, _ in chosen), -1))
        return len(chosen)

    async def _run(self, name: str, **parameters: Any) -> int:
        return await self._session.change(name, parameters)


async def contradictions(session: Session) -> list[str]:
    """What is wrong in a ledger, in words with counts, as of one moment."""
    await session.change("reads_begin", {})
    found = []
    for name, words in CHECKS.items():
        count = await session.value(name)
        if count:
            found.append(f"{count} {words}")
    await session.change("reads_end", {})
    return found
