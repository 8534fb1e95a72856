"""Copies one ledger to another in small steps, each of which says how far it came, and compares both at the end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from secrets import token_hex
from typing import Final, Protocol

import msgspec

from wsaios.kernel.errors import LedgerBroken, NotPossible, WsaiosError
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.transfer import TABLES, Mark, Side, Table, unfinished

WHO: Final = "wsaios ledger copy"
_WORD: Final = "copy-"
_BEAT_S: Final = 1.0


class Listener(Protocol):
    """Hears how a copy goes on."""

    def phase(self, phase: str, total: int) -> None:
        """A part of the work begins: ``move`` or ``verify``, over so many rows."""

    def advance(self, done: int) -> None:
        """So much of it is done."""


class Copied(msgspec.Struct, frozen=True):
    """What a copy has: rows by table, and how many of them an earlier run had brought over."""

    tables: dict[str, int]
    earlier: int

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.tables.values())


def copy(source: Side, target: Side, listener: Listener, failpoint: Failpoint = nothing) -> Copied:
    """Copy everything, or go on where an earlier run of the same copy came to; both sides are owned until it ends.

    Raises:
        LedgerOwned: a scheduler lives on one of them; names it.
        NotPossible: `target` holds something else, or `source` changed since the copy began.
        Fenced: another owner took one of them meanwhile; nothing of it was harmed.
        LedgerBroken, LedgerTooNew, LedgerUnavailable: as they say; also when both sides differ at the end.
    """
    try:
        word = source.enter(make=False)
        half = source.mark()
        if half is not None:
            raise unfinished(source.name, half.source)
        word = word if word.startswith(_WORD) else f"{_WORD}{token_hex(8)}"
        source.own(word)
        _refuse_waiting(source)
        failpoint("copy.owned")
        mark = _begun(source, target, word, failpoint)
        with _kept(source, target):
            counts = source.counts()
            total = sum(counts.values())
            if mark is not None:
                listener.phase("move", total)
                _move(source, target, listener, mark, failpoint)
                failpoint("copy.moved")
            _refuse_waiting(source, target)
            listener.phase("verify", total)
            _compare(source, target, listener, counts)
            failpoint("copy.compared")
            found = target.check()
            if found:
                # Nothing but what the original says too: both were just found to be the same.
                said = f"it contradicts itself: {'; '.join(found)}"
                raise LedgerBroken(source.name, f"{said}; its copy in {target.name} is the same, and was not finished")
        # Whoever had taken one of them meanwhile would be told here, before the copy counts as whole.
        source.renew()
        _refuse_waiting(source, target)
        if mark is not None:
            target.finish(source.heights())
        failpoint("copy.finished")
        return Copied({table.name: counts[table.name] for table in TABLES}, total if mark is None else mark.rows)
    finally:
        target.close()
        source.close()


def _refuse_waiting(source: Side, target: Side | None = None) -> None:
    """Refuse to leave work behind that clients left in an intake; with a target, they did so during the copy."""
    waiting = source.heights().waiting
    if waiting:
        hint = "start a scheduler on it, which takes that in, stop that, and copy"
        if target is not None:
            hint = f"let its clients rest, {hint} again from the start: {target.remedy}"
        raise NotPossible("copy", source.name, f"a ledger with {waiting:,} submissions that nobody took in", hint)


def _begun(source: Side, target: Side, word: str, failpoint: Failpoint) -> Mark | None:
    """Where the copy begins or goes on; None: it is whole already, and nobody had it since."""
    last = target.enter(make=True)
    failpoint("copy.entered")
    mark = target.mark()
    if mark is not None:
        _judge(source, target, mark, word)
    elif last != word:
        there = {**target.counts(), "intake": target.heights().waiting}
        held = {name: rows for name, rows in there.items() if rows}
        if held:
            what = ", ".join(f"{rows:,} in {name}" for name, rows in held.items())
            hint = "name a ledger that is not there yet, or an empty one"
            raise NotPossible("copy to", target.name, f"not empty ({what})", hint)
        mark = Mark(source.name, word, TABLES[0].name, TABLES[0].start, 0)
        # Before this process owns it by that word: a ledger with the word and without a mark is a whole copy.
        target.begin(mark)
    failpoint("copy.marked")
    target.own(word, source.heights())
    return mark


def _judge(source: Side, target: Side, mark: Mark, word: str) -> None:
    """Refuse to go on with the copy of something else."""
    if mark.word == word:
        return
    again = f"{target.remedy}, and copy again from the start"
    if mark.source != source.name:
        raise NotPossible(
            "copy to", target.name, f"an unfinished copy of {mark.source}", f"finish that one, or {again}"
        )
    state = f"{mark.rows:,} rows of a state that {source.name} has left: it was worked on since that copy began"
    raise NotPossible("go on with the copy in", target.name, state, again)


def _move(source: Side, target: Side, listener: Listener, mark: Mark, failpoint: Failpoint) -> None:
    names = [table.name for table in TABLES]
    done = mark.rows
    listener.advance(done)
    for table in TABLES[names.index(mark.table) :]:
        last = mark.last if table.name == mark.table else table.start
        while rows := source.page(table, last):
            last = table.key_of(rows[-1])
            done += len(rows)
            failpoint("copy.read")
            target.add(table, rows, mark._replace(table=table.name, last=last, rows=done))
            failpoint("copy.added")
            listener.advance(done)


def _compare(source: Side, target: Side, listener: Listener, counts: dict[str, int]) -> None:
    """Make sure that both sides have the same rows, by their number and a digest of each table.

    Raises:
        LedgerBroken: they have not.
    """
    done, there = 0, target.counts()
    for table in TABLES:
        (rows, digest), (copied, other) = _digest(source, table), _digest(target, table)
        if not (rows == copied == counts[table.name] == there[table.name] and digest == other):
            what = f"{copied:,} rows of {table.name} are not the {counts[table.name]:,} of {source.name}"
            raise LedgerBroken(target.name, f"{what}; {target.remedy}, and copy again from the start")
        done += rows
        listener.advance(done)


def _digest(side: Side, table: Table) -> tuple[int, bytes]:
    seen, encoder, last, count = blake2b(digest_size=16), msgspec.msgpack.Encoder(), table.start, 0
    while rows := side.page(table, last):
        last = table.key_of(rows[-1])
        count += len(rows)
        seen.update(b"".join([encoder.encode(row) for row in rows]))
    return count, seen.digest()


@contextmanager
def _kept(*sides: Side) -> Iterator[None]:
    """Inside, leases are prolonged, however long one step takes."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            for side in sides:
                # What is wrong, the next step says.
                with suppress(WsaiosError):
                    side.renew()

    thread = threading.Thread(target=beat, name="wsaios-copy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
