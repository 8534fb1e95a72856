"""Who owns a ledger: an advisory lock of a session, and beside it a lease by the clock of the database.

The lock is gone with its session, so nobody waits for an owner that died on a machine that says so. The lease ends an
owner that is silent: one that stands still, or whose machine or network is gone while the server still holds its
session. What makes either safe is neither, but the epoch that every commit checks.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Final, NamedTuple

import asyncpg

from wsaios.kernel.errors import Fenced, LedgerOwned, LedgerUnavailable
from wsaios.ledger.ownership import Holder
from wsaios.ledger.postgres.session import Session

_POLL_S: Final = 0.02
_WRITING_S: Final = 0.2
_GRACE_S: Final = 0.5


class Claim(NamedTuple):
    """What the owner's row says; `session` is a word that each opening makes up for itself.

    `left_us` is None when that owner left, and below 0 when its lease is over.
    """

    session: str
    holder: Holder
    left_us: int | None

    @property
    def free(self) -> bool:
        """Whether nobody owns the ledger any more, if nobody has the lock."""
        return self.left_us is None or self.left_us < 0 or self.holder.gone()


async def claim_of(session: Session) -> Claim:
    """What the owner's row of a ledger says, which must be there."""
    ((_, named, kind, host, pid, boot_id, started, who, since_us, left_us),) = await session.rows("owner_now")
    return Claim(named, Holder(kind, who, host, pid, boot_id, started, since_us), left_us)


class Gate:
    """The way to the lock of a ledger, for one session."""

    def __init__(self, ledger: str, schema: str, session: Session) -> None:
        """`ledger` is what messages call it."""
        self._ledger = ledger
        self._schema = schema
        self._session = session

    async def enter(self, wait_s: float) -> None:
        """Take the lock; a client that holds it for its one commit is waited for, and so is the end of a lease.

        Raises:
            LedgerOwned: an owner holds it, or a client for longer than `wait_s`.
            LedgerUnavailable: the session of an owner whose lease is over cannot be ended.
        """
        began, until_s = time.monotonic(), 0.0
        while True:
            locked = await self._session.value("lock_take", schema=self._schema)
            claim = await self.claim()
            if locked and (claim is None or claim.free):
                return
            waited_s = time.monotonic() - began
            if locked:
                # Its connection was cut, or its machine is gone: it may come back while its lease runs.
                await self.leave()
                until_s = until_s or waited_s + _left_s(claim) + _GRACE_S
                if claim is not None and waited_s > until_s:
                    raise LedgerOwned(self._ledger, claim.holder.described())
            else:
                await self._judge(claim, waited_s, wait_s)
            await asyncio.sleep(_POLL_S)

    async def enter_again(self, mine: Collection[str], old_pid: int, wait_s: float, fenced: Fenced) -> None:
        """Take the lock back after this owner lost its session, which the server may still think alive.

        `mine` are the words by which this owner may have named itself.

        Raises:
            Fenced: another owner took the ledger meanwhile; the one that is given.
            LedgerUnavailable: somebody keeps the lock without becoming the owner.
        """
        until_s = time.monotonic() + wait_s
        while True:
            locked = await self._session.value("lock_take", schema=self._schema)
            claim = await self.claim()
            if claim is None or claim.session not in mine:
                raise fenced
            if locked:
                return
            if await self._holding() == old_pid:
                await self._break(old_pid)
            if time.monotonic() > until_s:
                raise LedgerUnavailable(self._ledger, "another session keeps the lock of its owner; end that session")
            await asyncio.sleep(_POLL_S)

    async def leave(self) -> None:
        """Give the lock back."""
        await self._session.value("lock_release", schema=self._schema)

    async def claim(self) -> Claim | None:
        """What the owner's row says; None while there is no ledger."""
        ((ours, _),) = await self._session.rows("tables_there", schema=self._schema)
        if not ours:
            return None
        return await claim_of(self._session)

    async def _judge(self, claim: Claim | None, waited_s: float, wait_s: float) -> None:
        """Go on waiting for a lock that another session has, or raise with the name of its holder."""
        if claim is None or claim.left_us is None:
            # Whoever took the lock is about to write its name.
            if waited_s >= max(_WRITING_S, wait_s):
                raise LedgerOwned(self._ledger, "a process that does not say its name")
        elif claim.left_us < 0:
            pid = await self._holding()
            if pid is not None:
                await self._break(pid)
        elif (claim.holder.kind == "owner" and not claim.holder.gone()) or waited_s >= wait_s:
            raise LedgerOwned(self._ledger, claim.holder.described())

    async def _holding(self) -> int | None:
        pid: int | None = await self._session.value("lock_holder", schema=self._schema)
        return pid

    async def _break(self, pid: int) -> None:
        try:
            await self._session.value("lock_break", pid=pid)
        except asyncpg.InsufficientPrivilegeError as error:
            reason = (
                f"the lease of its owner is over, but its session (process {pid} of the server) belongs to another "
                "user; end it with pg_terminate_backend, or connect as that user"
            )
            raise LedgerUnavailable(self._ledger, reason) from error


def _left_s(claim: Claim | None) -> float:
    return 0.0 if claim is None or claim.left_us is None else claim.left_us / 1e6
