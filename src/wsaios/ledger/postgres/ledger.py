"""The ledger on PostgreSQL: one owner, one transaction a commit, readers beside it."""

import threading
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from functools import partial
from secrets import token_hex
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import asdict

from wsaios.kernel.errors import Fenced, LedgerOwned, LedgerUnavailable
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.kernel.ledger import Commit, Committed, Opening, Reads
from wsaios.ledger.ownership import Holder, myself
from wsaios.ledger.postgres import records
from wsaios.ledger.postgres.address import address_of
from wsaios.ledger.postgres.answers import Answers
from wsaios.ledger.postgres.bridge import Bridge
from wsaios.ledger.postgres.commit import CommitWriter, hold, undo
from wsaios.ledger.postgres.days import make_ahead
from wsaios.ledger.postgres.errors import DRIVER_ERRORS, translated
from wsaios.ledger.postgres.ownership import Gate
from wsaios.ledger.postgres.reads import PostgresReads
from wsaios.ledger.postgres.rows import MAKERS
from wsaios.ledger.postgres.schema import refuse_half, require, upgrade
from wsaios.ledger.postgres.session import Session, named
from wsaios.ledger.postgres.upkeep import Pruner, contradictions
from wsaios.ledger.prepared import Prepared, prepare

T = TypeVar("T")

_SAFE: Final = 0.8
_SOON: Final = 0.3


class _Owned:
    """What belongs to the session of an owner and ends with it."""

    def __init__(self, ledger: str, session: Session, failpoint: Failpoint, lease_us: int) -> None:
        self.session = session
        self.writer = CommitWriter(ledger, session, failpoint, lease_us)
        self.answers = Answers(session)
        self.pruner = Pruner(ledger, session, failpoint, lease_us)
        self.sound = True


class PostgresLedger:
    """A ledger in one schema of a PostgreSQL database.

    Safe to use from several threads; `commit` and `prune` take turns.
    """

    def __init__(
        self, url: str, *, failpoint: Failpoint = nothing, lock_wait_s: float = 5.0, lease_s: float = 5.0
    ) -> None:
        """`lock_wait_s` is how long `open` waits for a client's commit, `lease_s` how long an owner may be silent.

        Raises:
            InvalidInput: `url` names no place for a ledger.
        """
        self.url = url
        self._address = address_of(url)
        self.name = self._address.name
        self.lease_s = lease_s
        self._failpoint = failpoint
        self._lock_wait_s = lock_wait_s
        self._lease_us = int(lease_s * 1e6)
        self._sql = named("commit", "answers", "opening", "reads", "upkeep", "intake")
        self._gate = threading.RLock()
        self._bridge = Bridge()
        self._holder: Holder | None = None
        self._owned: _Owned | None = None
        self._old_pid = 0
        self._mine: list[str] = []
        self._epoch = 0
        self._renewed_s = float("-inf")
        self._reader: PostgresReads | None = None

    def open(self, now_us: int, who: str) -> Opening:
        """As `Ledger.open`; `who` is what a second owner is told about this one."""
        return self._open(myself("owner", who, now_us))

    def open_as_client(self, now_us: int, who: str) -> Opening:
        """Hold the ledger for one commit while no owner lives; ids are made in slot 0. Otherwise as `open`."""
        return self._open(myself("client", who, now_us))

    def prepare(self, batch: Commit) -> Callable[[], Committed]:
        """As `Ledger.prepare`."""
        return partial(self._commit, prepare(self.name, batch, MAKERS))

    def commit(self, batch: Commit) -> Committed:
        """As `Ledger.commit`."""
        return self._commit(prepare(self.name, batch, MAKERS))

    def reopen(self, now_us: int) -> Opening:
        """As `Ledger.reopen`.

        Raises:
            Fenced: another owner took the ledger.
        """
        with self._gate:
            if self._holder is None:
                raise LedgerUnavailable(self.name, "it is not open; call open() first")
            holder = myself(self._holder.kind, self._holder.who, now_us)
            with translated(self.name):
                return self._bridge.run(self._begin_again(holder))

    def holds(self) -> bool:
        """As `Ledger.holds`."""
        return time.monotonic() - self._renewed_s < self.lease_s * _SAFE

    def renew(self) -> None:
        """As `Ledger.renew`."""
        with self._gate:
            owned = self._sound()
            if time.monotonic() - self._renewed_s >= self.lease_s * _SOON:
                self._run(owned, self._renew(owned.session))

    def prune(self, before_us: int, rows: int, held: Collection[int] | None = None) -> int:
        """As `Ledger.prune`."""
        with self._gate:
            owned = self._sound()
            return self._run(owned, owned.pruner.prune(self._epoch, before_us, rows, held))

    def reads(self) -> Reads:
        """As `Ledger.reads`; also without `open`. All that it gives out share one connection.

        Raises:
            LedgerUnavailable: there is no ledger yet, it has an older schema, or it is half a copy.
        """
        with self._gate:
            if self._reader is None:
                self._reader = PostgresReads(self._address, self._sql)
            return self._reader

    def check(self, *, half: bool = False) -> list[str]:
        """What is wrong inside the ledger, in words with counts; empty when nothing is. Reads everything.

        With `half` also in a copy that is not finished.

        Raises:
            LedgerBroken, LedgerTooNew, LedgerUnavailable: it cannot be read at all.
        """
        bridge = Bridge()
        try:
            with translated(self.name):
                return bridge.run(self._check(half=half))
        finally:
            bridge.close()

    def holder(self) -> Holder | None:
        """Who owns the ledger now, seen from outside and without waiting; None when nobody lives."""
        bridge = Bridge()
        try:
            with translated(self.name):
                return bridge.run(self._seen())
        finally:
            bridge.close()

    def close(self) -> None:
        """As `Ledger.close`; also closes what `reads` gave out."""
        with self._gate:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()
            owned, self._owned = self._owned, None
            if owned is not None:
                self._bridge.run(self._leave(owned))
            self._bridge.close()
            self._holder = None
            self._renewed_s = float("-inf")

    def _commit(self, batch: Prepared) -> Committed:
        with self._gate:
            owned = self._sound()
            return self._run(owned, self._write(owned, batch))

    def _run(self, owned: _Owned, work: Coroutine[Any, Any, T]) -> T:
        """What the work on an owner's session brings; when nobody knows how it ended, the session is not used again."""
        try:
            with translated(self.name):
                return self._bridge.run(work)
        except LedgerUnavailable:
            owned.sound = False
            raise

    async def _write(self, owned: _Owned, batch: Prepared) -> Committed:
        purged, began_s = 0, time.monotonic()
        if batch.families:
            purged = await owned.writer.write(batch)
            self._renewed_s = began_s
        answers = [await owned.answers.answer(question) for question in batch.questions]
        shards = await owned.answers.shards(batch.questions, answers) if answers else []
        done = Committed(answers=answers, shards=shards, purged_rows=purged)
        if batch.fetch:
            done.payloads = await owned.answers.payloads("payloads_of", batch.fetch)
            if owned.writer.checkpoints:
                done.saved = await owned.answers.payloads("checkpoints_of", batch.fetch)
        return done

    async def _renew(self, session: Session) -> None:
        began_s = time.monotonic()
        await hold(session, self.name, {"epoch": self._epoch, "id_high": 0, "now_us": 0}, self._lease_us)
        self._renewed_s = began_s

    def _open(self, holder: Holder) -> Opening:
        with self._gate:
            if self._holder is not None:
                raise LedgerOwned(self.name, f"this very object, opened as {self._holder.who!r}")
            try:
                with translated(self.name):
                    opening = self._bridge.run(self._begin(holder))
            except BaseException:
                self.close()
                raise
            self._holder = holder
            return opening

    async def _begin(self, holder: Holder) -> Opening:
        """Connect, take the lock, bring the schema up to date, raise the epoch and read what an owner needs."""
        session = await Session.open(self._address, self._sql, "owner")
        try:
            await Gate(self.name, self._address.schema, session).enter(self._lock_wait_s)
            self._failpoint("open.locked")
            await upgrade(session, self.name, self._address.schema, self._failpoint)
            await refuse_half(session, self.name)
            self._failpoint("open.migrated")
            return await self._take(session, holder)
        except BaseException:
            await session.close()
            raise

    async def _begin_again(self, holder: Holder) -> Opening:
        owned, self._owned = self._owned, None
        if owned is not None and owned.sound:
            session = owned.session
        else:
            if owned is not None:
                self._old_pid = owned.session.pid
                await owned.session.close()
            session = await Session.open(self._address, self._sql, "owner")
        try:
            if owned is None or session is not owned.session:
                gate = Gate(self.name, self._address.schema, session)
                await gate.enter_again(self._mine, self._old_pid, self._lock_wait_s, Fenced(self.name, self._epoch))
            return await self._take(session, holder)
        except BaseException:
            await session.close()
            raise

    async def _take(self, session: Session, holder: Holder) -> Opening:
        began_s = time.monotonic()
        wanted = 0 if holder.kind == "client" else None
        # Noted before it is written: whether it was is unknown when the connection breaks here.
        self._mine.append(token_hex(8))
        given = {"slot": wanted, "session": self._mine[-1], "now_us": holder.since_us, "lease_us": self._lease_us}
        await session.change("commit_begin", {})
        try:
            ((epoch, slot, id_high, clock_us),) = await session.rows("owner_take", **asdict(holder), **given)
            await session.change("shards_forget", {})
            self._failpoint("open.taking")
            await session.change("commit_end", {})
        except BaseException:
            await undo(session)
            raise
        self._failpoint("open.taken")
        if holder.kind == "owner":
            await make_ahead(session, holder.since_us)
        ready = [shard for (shard,) in await session.rows("shards_ready")]
        opening = Opening(
            epoch=epoch,
            slot=slot,
            id_high=id_high,
            clock_us=clock_us,
            shards=records.shards_of(await session.rows("shards_needed", ready=ready)),
            shard_high=await session.value("shard_highest"),
            ready_shards=ready,
            batches=records.batches_of(await session.rows("batches_unfinished")),
            running=records.tasks_of(await session.rows("tasks_running")),
            runs=records.runs_of(await session.rows("runs_unfinished")),
            releases=[parent for (parent,) in await session.rows("releases_all")],
            facts=[
                (component.decode(), key.decode(), msgspec.json.decode(text))
                for component, key, text in await session.rows("facts_all")
            ],
        )
        owned = _Owned(self.name, session, self._failpoint, self._lease_us)
        owned.writer.checkpoints = await session.value("checkpoints_any")
        self._mine = self._mine[-1:]
        self._owned, self._epoch, self._renewed_s = owned, epoch, began_s
        return opening

    async def _check(self, *, half: bool) -> list[str]:
        session = await Session.open(self._address, self._sql, "upkeep")
        try:
            await require(session, self.name, self._address.schema)
            if not half:
                await refuse_half(session, self.name)
            return await contradictions(session)
        finally:
            await session.close()

    async def _seen(self) -> Holder | None:
        session = await Session.open(self._address, self._sql, "upkeep")
        try:
            claim = await Gate(self.name, self._address.schema, session).claim()
            return None if claim is None or claim.free else claim.holder
        finally:
            await session.close()

    async def _leave(self, owned: _Owned) -> None:
        # What cannot be done now, the next owner does.
        with suppress(*DRIVER_ERRORS):
            if owned.sound:
                self._failpoint("close.begin")
                await owned.session.change("owner_leave", {"epoch": self._epoch})
                self._failpoint("close.left")
        await owned.session.close()
        self._failpoint("close.closed")

    def _sound(self) -> _Owned:
        if self._owned is None:
            raise LedgerUnavailable(self.name, "it is not open; call open() first")
        if not self._owned.sound:
            raise LedgerUnavailable(self.name, "a commit failed; nothing can be written before reopen()")
        return self._owned


class VisitedPostgresLedger(PostgresLedger):
    """A ledger that a client holds for a moment while no owner lives."""

    def open(self, now_us: int, who: str) -> Opening:
        """As `Ledger.open`, but a starting owner waits for this holder; ids are made in the ledger's own slot."""
        return self.open_as_client(now_us, who)
