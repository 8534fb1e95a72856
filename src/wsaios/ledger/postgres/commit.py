"""Writes commits: one statement a family, in one transaction under the owner's row."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from wsaios.kernel.errors import Fenced
from wsaios.kernel.failpoints import Failpoint
from wsaios.ledger.postgres.errors import DRIVER_ERRORS
from wsaios.ledger.postgres.rows import growth
from wsaios.ledger.postgres.session import Session
from wsaios.ledger.prepared import CHECKPOINTS_REMOVE, OF_LIVE_TASKS, Prepared, Write, matched


async def hold(session: Session, ledger: str, owner: Mapping[str, int], lease_us: int) -> None:
    """Make sure that the epoch of a commit is not over, prolong the lease, and raise the high-water marks.

    Raises:
        Fenced: it is.
    """
    if await session.change("owner_advance", {**owner, "lease_us": lease_us}) != 1:
        raise Fenced(ledger, owner["epoch"])


async def undo(session: Session) -> None:
    """Forget what was written in an open transaction; a connection that is gone has forgotten by itself."""
    if session.in_transaction():
        with suppress(*DRIVER_ERRORS):
            await session.change("commit_undo", {})


class CommitWriter:
    """Writes commits through one session; the caller takes care of errors of the database."""

    def __init__(self, ledger: str, session: Session, failpoint: Failpoint, lease_us: int) -> None:
        """`ledger` is what messages call it; each commit prolongs the lease to `lease_us` from now."""
        self._ledger = ledger
        self._session = session
        self._failpoint = failpoint
        self._lease_us = lease_us
        self.checkpoints = True

    async def write(self, batch: Prepared) -> int:
        """Write everything in one transaction, or nothing; returns the rows that were purged.

        Raises:
            Fenced, LedgerBroken: as `Ledger.commit`; nothing was written.
        """
        purged = 0
        await self._session.change("commit_begin", {})
        try:
            self._failpoint("ledger.begin")
            await hold(self._session, self._ledger, batch.owner, self._lease_us)
            self._failpoint("ledger.owner")
            for family, rows in batch.families:
                for write in rows:
                    await self._write(write)
                if family == "purged":
                    purged = await self._purge(batch.purged, batch.purge_rows)
                elif family == "saved":
                    self.checkpoints = True
                self._failpoint(f"ledger.{family}")
            self._failpoint("ledger.before_commit")
            await self._session.change("commit_end", {})
        except BaseException:
            await undo(self._session)
            raise
        self._failpoint("ledger.after_commit")
        return purged

    async def _write(self, write: Write) -> None:
        if write.name == CHECKPOINTS_REMOVE and not self.checkpoints:
            return
        matched(self._ledger, write, await self._session.change(write.name, write.parameters))

    async def _purge(self, ranges: Sequence[tuple[int, int]], limit: int) -> int:
        firsts, lasts = [first for first, _ in ranges], [last for _, last in ranges]
        chosen = await self._session.rows("purge_choose", firsts=firsts, lasts=lasts, limit=limit)
        if not chosen:
            return 0
        ids: dict[str, Any] = {"ids": [task for task, _ in chosen]}
        for name in OF_LIVE_TASKS:
            await self._session.change(name, ids)
        await self._session.change("shards_grow", growth((shard for _, shard in chosen), -1))
        return len(chosen)
