"""The Ledger port on SQLite: one connection that writes, owned through a lock file."""

import os
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Final
from weakref import WeakSet

import apsw
import msgspec
from msgspec.structs import asdict

from wsaios.kernel.errors import LedgerOwned, LedgerUnavailable
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.kernel.ledger import Commit, Committed, Opening, Reads
from wsaios.kernel.run import Run
from wsaios.kernel.task import Batch, Shard, Task
from wsaios.ledger.location import locate
from wsaios.ledger.ownership import Holder, OwnerLock, myself
from wsaios.ledger.prepared import Prepared, prepare
from wsaios.ledger.sqlite.answers import Answers
from wsaios.ledger.sqlite.commit import CommitWriter
from wsaios.ledger.sqlite.connection import Synchronous, connect, connect_reader, translated, write_ahead
from wsaios.ledger.sqlite.reads import SqliteReads
from wsaios.ledger.sqlite.rows import MAKERS
from wsaios.ledger.sqlite.schema import refuse_half, require, upgrade
from wsaios.ledger.sqlite.upkeep import Pruner, contradictions
from wsaios.ledger.statements import statements

_SHARDS: Final = msgspec.json.Decoder(list[Shard])
_BATCHES: Final = msgspec.json.Decoder(list[Batch])
_TASKS: Final = msgspec.json.Decoder(list[Task])
_RUNS: Final = msgspec.json.Decoder(list[Run])
_IDS: Final = msgspec.json.Decoder(list[int])
_FACTS: Final = msgspec.json.Decoder(list[tuple[str, str, str]])


class _Session:
    """What belongs to one writing connection and ends with it."""

    def __init__(self, ledger: str, connection: apsw.Connection, sql: Mapping[str, str], failpoint: Failpoint) -> None:
        self.connection = connection
        self.writer = CommitWriter(ledger, connection, sql, failpoint)
        self.answers = Answers(connection, sql)
        self.pruner = Pruner(ledger, connection, sql, failpoint)
        self.sound = True


class SqliteLedger:
    """A ledger in one SQLite file, or in memory for a process that keeps nothing.

    Safe to use from several threads; `commit` and `prune` take turns.
    """

    lease_s = 0.0

    def __init__(
        self,
        path_or_url: str | os.PathLike[str],
        *,
        failpoint: Failpoint = nothing,
        lock_wait_s: float = 5.0,
        synchronous: Synchronous = "FULL",
    ) -> None:
        """`lock_wait_s` is how long `open` waits for a client's short commit; only FULL survives a power cut.

        Raises:
            InvalidInput: `path_or_url` names no place for a ledger.
        """
        self._location = locate(path_or_url)
        self.name = self._location.name
        self._failpoint = failpoint
        self._lock_wait_s = lock_wait_s
        self._synchronous = synchronous
        self._sql = statements("sqlite", "commit", "answers", "opening", "reads", "upkeep")
        self._gate = threading.RLock()
        self._lock = None if self._location.path is None else OwnerLock(self.name, self._location.lock)
        self._holder: Holder | None = None
        self._session: _Session | None = None
        self._epoch = 0
        self._readers: WeakSet[SqliteReads] = WeakSet()

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
        """As `Ledger.reopen`."""
        with self._gate:
            if self._holder is None:
                raise LedgerUnavailable(self.name, "it is not open; call open() first")
            holder = myself(self._holder.kind, self._holder.who, now_us)
            session = self._session
            if session is not None and self._location.path is not None:
                self._session = None
                with suppress(apsw.Error):
                    session.connection.close(force=True)
            return self._begin(holder)

    def holds(self) -> bool:
        """As `Ledger.holds`; the lock has no end."""
        return True

    def renew(self) -> None:
        """As `Ledger.renew`."""

    def prune(self, before_us: int, rows: int, held: Collection[int] | None = None) -> int:
        """As `Ledger.prune`."""
        with self._gate:
            session = self._sound()
            with translated(self.name):
                return session.pruner.prune(self._epoch, before_us, rows, held)

    def reads(self) -> Reads:
        """As `Ledger.reads`; of a file also without `open`.

        Raises:
            LedgerUnavailable: there is no ledger yet, it has an older schema, or it is half a copy.
        """
        path = self._location.path
        with self._gate:
            if path is None:
                reader = SqliteReads(self.name, self._sound().connection, self._sql, self._gate)
            else:
                reader = SqliteReads(self.name, self._reader(path), self._sql, threading.RLock(), path)
            self._readers.add(reader)
            return reader

    def check(self, *, half: bool = False) -> list[str]:
        """What is wrong inside the ledger, in words with counts; empty when nothing is. Reads everything.

        With `half` also in a copy that is not finished.

        Raises:
            LedgerBroken, LedgerTooNew, LedgerUnavailable: it cannot be read at all.
        """
        with self._gate, translated(self.name):
            if self._location.path is None:
                return contradictions(self._sound().connection, self._sql)
            connection = self._reader(self._location.path, half=half)
            try:
                return contradictions(connection, self._sql)
            finally:
                connection.close()

    def close(self) -> None:
        """As `Ledger.close`; also closes what `reads` gave out."""
        self._close(OwnerLock.release)

    def _close(self, let_go: Callable[[OwnerLock], None]) -> None:
        with self._gate:
            for reader in list(self._readers):
                reader.close()
            self._readers.clear()
            session, self._session = self._session, None
            if session is not None:
                # What cannot be done now, the next owner does.
                with suppress(apsw.Error):
                    if session.sound:
                        self._failpoint("close.begin")
                        session.connection.execute(self._sql["owner_leave"], {"epoch": self._epoch})
                        self._failpoint("close.left")
                        # A reader elsewhere must not hold up a stop; then the next owner empties the log.
                        session.connection.set_busy_timeout(0)
                        session.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                        self._failpoint("close.emptied")
                with suppress(apsw.Error):
                    session.connection.close(force=True)
                self._failpoint("close.closed")
            if self._lock is not None and self._holder is not None:
                let_go(self._lock)
            self._holder = None

    def _commit(self, batch: Prepared) -> Committed:
        with self._gate:
            session = self._sound()
            try:
                with translated(self.name):
                    purged = session.writer.write(batch) if batch.families else 0
                    answers = [session.answers.answer(question) for question in batch.questions]
                    shards = session.answers.shards(batch.questions, answers) if answers else []
                    done = Committed(answers=answers, shards=shards, purged_rows=purged)
                    if batch.fetch:
                        done.payloads = session.answers.payloads("payloads_of", batch.fetch)
                        if session.writer.checkpoints:
                            done.saved = session.answers.payloads("checkpoints_of", batch.fetch)
                    return done
            except LedgerUnavailable:
                session.sound = False
                raise

    def _open(self, holder: Holder) -> Opening:
        with self._gate:
            if self._holder is not None:
                raise LedgerOwned(self.name, f"this very object, opened as {self._holder.who!r}")
            if self._lock is not None:
                self._lock.acquire(holder, self._lock_wait_s)
            self._holder = holder
            try:
                self._failpoint("open.locked")
                return self._begin(holder)
            except BaseException:
                # A path that is refused is left as it was found.
                self._close(OwnerLock.undo)
                raise

    def _begin(self, holder: Holder) -> Opening:
        """Connect under the lock that is held, raise the epoch and read what an owner needs."""
        with translated(self.name):
            if self._session is None:
                self._session = _Session(self.name, self._connect(), self._sql, self._failpoint)
            connection = self._session.connection
            if connection.in_transaction:
                connection.execute(self._sql["commit_undo"])
            opening = self._take(connection, holder)
            self._session.sound = True
        self._epoch = opening.epoch
        return opening

    def _reader(self, path: Path, *, half: bool = False) -> apsw.Connection:
        if not path.exists():
            raise LedgerUnavailable.missing(self.name)
        with translated(self.name, path):
            connection = connect_reader(path)
            try:
                require(connection, self.name)
                if not half:
                    refuse_half(connection, self.name)
            except BaseException:
                connection.close(force=True)
                raise
            return connection

    def _connect(self) -> apsw.Connection:
        connection = connect(self._location.path, self._synchronous)
        try:
            upgrade(connection, self.name, self._failpoint)
            refuse_half(connection, self.name)
            write_ahead(connection)
            self._failpoint("open.migrated")
        except BaseException:
            connection.close(force=True)
            raise
        return connection

    def _take(self, connection: apsw.Connection, holder: Holder) -> Opening:
        sql = self._sql
        wanted = 0 if holder.kind == "client" else None
        given = {"slot": wanted, "session": token_hex(8), "now_us": holder.since_us}
        with connection:
            epoch, slot, id_high, clock_us = connection.execute(sql["owner_take"], asdict(holder) | given).get
            connection.execute(sql["shards_forget"])
            self._failpoint("open.taking")
        self._failpoint("open.taken")

        def one(name: str, **parameters: str) -> str:
            return str(connection.execute(sql[name], parameters).get)

        ready = one("shards_ready")

        return Opening(
            epoch=epoch,
            slot=slot,
            id_high=id_high,
            clock_us=clock_us,
            shards=_SHARDS.decode(one("shards_needed", ready=ready)),
            shard_high=int(one("shard_highest")),
            ready_shards=_IDS.decode(ready),
            batches=_BATCHES.decode(one("batches_unfinished")),
            running=_TASKS.decode(one("tasks_running")),
            runs=_RUNS.decode(one("runs_unfinished")),
            releases=_IDS.decode(one("releases_all")),
            facts=[(owner, key, msgspec.json.decode(text)) for owner, key, text in _FACTS.decode(one("facts_all"))],
        )

    def _sound(self) -> _Session:
        if self._session is None:
            raise LedgerUnavailable(self.name, "it is not open; call open() first")
        if not self._session.sound:
            raise LedgerUnavailable(self.name, "a commit failed; nothing can be written before reopen()")
        return self._session
