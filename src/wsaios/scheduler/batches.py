"""How a batch comes in: opened, staged in chunks, sealed with one row, or taken back without a trace."""

from functools import partial
from typing import Final

import msgspec

from wsaios.kernel.errors import NotPossible, UnknownBatch
from wsaios.kernel.events import AbortBatch, OpenBatch, SealBatch, StageRows
from wsaios.kernel.ids import IdRange, encode
from wsaios.kernel.ledger import Answer, BatchById, Payload
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState
from wsaios.scheduler.book import Book
from wsaios.scheduler.intake import make
from wsaios.scheduler.reorder import Reordering

STAGED: Final = "waits for its batch to be sealed"
_FIRST_RANGE: Final = 4096


class Batches:
    """Staged rows are stored as ready ones of a shard that nobody may start, so that sealing is one row."""

    def __init__(self, book: Book, reordering: Reordering) -> None:
        self._book = book
        self._reordering = reordering
        self._room: dict[int, int] = {}
        self._timed: set[int] = set()
        self._purged_rows = 0
        self.purging: dict[int, Batch] = {}

    def open(self, event: OpenBatch) -> None:
        """Begin a batch; the reply is its id."""
        batch = event.batch
        batch.id = self._book.ids.one(self._book.now_us)
        batch.created_us = self._book.now_us
        self._book.id_high = max(self._book.id_high, batch.id)
        self._book.batches[batch.id] = batch
        self._book.touch_batch(batch)
        self._book.reply(event.token, batch.id)

    def stage(self, event: StageRows) -> None:
        """Write rows that do not exist for anyone yet; their ids go on where the last chunk ended."""
        book = self._book
        batch = self._staging(event.token, "add rows to", event.batch)
        if batch is None:
            return
        new, ids = event.template, self._take_ids(batch, len(event.payloads))
        new.id = ids[-1]
        model = make(book, new, batch.id)
        body = model.body
        body.reason = STAGED if model.due_us is None else body.reason
        body.history = [(State.PENDING, book.now_us, 1, body.reason)]
        rows = [msgspec.structs.replace(model, id=number) for number in ids]
        book.stage(rows, [Payload(number, new.codec, data) for number, data in zip(ids, event.payloads, strict=True)])
        if model.due_us is not None or model.expires_us is not None:
            self._timed.add(batch.id)
        batch.rows += len(ids)
        window = book.executor.open(book.shards[model.shard], complete=False)
        window.parked = "seal"
        book.touch_batch(batch)
        book.reply(event.token, batch.rows)

    def seal(self, event: SealBatch) -> None:
        """One row makes all rows exist."""
        book = self._book
        batch = self._staging(event.token, "seal", event.batch)
        if batch is None:
            return
        self._room.pop(batch.id, None)
        if batch.ranges:
            first, _ = batch.ranges[-1]
            used = batch.rows - sum(length for _, length in batch.ranges[:-1])
            batch.ranges[-1] = (first, used)
        batch.state = BatchState.SEALED
        batch.sealed_us = book.now_us
        if batch.id in self._timed:
            self._timed.discard(batch.id)
            for timer in (book.executor.due, book.executor.expiring):
                for task in timer.reset():
                    book.forget(task)
        for window in list(book.executor.windows.values()):
            if window.shard.batch == batch.id and window.parked == "seal":
                book.executor.unpark(window)
                book.executor.settle(window)
        self._reordering.sealed(batch)
        book.touch_batch(batch)
        book.reply(event.token, batch)

    def abort(self, event: AbortBatch) -> None:
        """Take an open batch back; its rows are deleted in small steps, each with the next commit."""
        batch = self._staging(event.token, "abort", event.batch)
        if batch is not None:
            self.discard(batch)
            self._book.reply(event.token, batch.id)

    def discard(self, batch: Batch) -> None:
        """Delete what an interrupted submission has left."""
        batch.state = BatchState.ABORTED
        self._room.pop(batch.id, None)
        self._timed.discard(batch.id)
        self._book.touch_batch(batch)
        self.purging[batch.id] = batch
        for window in list(self._book.executor.windows.values()):
            if window.shard.batch == batch.id:
                self._book.executor.drop(window)

    def purge(self) -> None:
        """Ask for the next piece of the deletion, when there is one."""
        for number, batch in list(self.purging.items()):
            book = self._book
            spans = [(first, IdRange(first, length).last) for first, length in batch.ranges if length]
            if not spans:
                del self.purging[number]
                book.batches.pop(number, None)
                continue
            book.commit.purged.extend(spans)
            book.ask(BatchById(number), partial(self._purged, batch))
            break

    def heard(self, purged_rows: int) -> None:
        """How many rows the last commit deleted."""
        self._purged_rows = purged_rows

    def _purged(self, batch: Batch, _: Answer) -> None:
        if not self._purged_rows:
            self.purging.pop(batch.id, None)
            batch.rows, batch.ranges = 0, []
            self._book.touch_batch(batch)
            self._book.batches.pop(batch.id, None)

    def _staging(self, token: object, verb: str, number: int) -> Batch | None:
        batch = self._book.batches.get(number)
        if batch is None:
            self._book.reply(token, error=UnknownBatch(encode(number, "batch")))
        elif batch.state != BatchState.STAGING:
            word = BatchState(batch.state).name.lower()
            self._book.reply(token, error=NotPossible(verb, encode(number, "batch"), word))
            return None
        return batch

    def _take_ids(self, batch: Batch, count: int) -> list[int]:
        """Ids from the batch's open range, which is followed by one twice as long when it is full."""
        taken: list[int] = []
        while len(taken) < count:
            room = self._room.get(batch.id, 0)
            if not room:
                length = max(_FIRST_RANGE, count - len(taken), batch.ranges[-1][1] * 2 if batch.ranges else 0)
                fresh = self._book.ids.take(length, self._book.now_us)
                batch.ranges.append((fresh.first, fresh.length))
                self._book.id_high = max(self._book.id_high, fresh.last)
                room = length
            part = IdRange(*batch.ranges[-1])
            used = part.length - room
            here = min(room, count - len(taken))
            taken += part.span(used, here)
            self._room[batch.id] = room - here
        return taken
