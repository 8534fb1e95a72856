"""Windows and shards of what is over: they leave memory, so that a process does not grow with what it has met."""

from typing import Final

from wsaios.scheduler.book import Book
from wsaios.scheduler.draft import shard_key

_WINDOWS: Final = 256
_SHARDS: Final = 4096


class Leftovers:
    """Looks at everything only when there is twice as much as it left the last time, so that each costs little."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._windows = _WINDOWS
        self._shards = _SHARDS

    def sweep(self) -> None:
        """Drop what nobody needs, when there is enough of it."""
        book = self._book
        shards = len(book.shards) > self._shards
        if shards or len(book.executor.windows) > self._windows:
            self._drop_windows()
        if shards:
            self._drop_shards()

    def _drop_windows(self) -> None:
        """Those with nothing in them, and those of batches that are finished."""
        batches, executor = self._book.batches, self._book.executor
        for window in list(executor.windows.values()):
            over = window.shard.batch and window.shard.batch not in batches
            empty = window.complete and window.head() is None and window.parked != "seal"
            if not window.asked and (over or empty):
                executor.drop(window)
        self._windows = max(_WINDOWS, 2 * len(executor.windows))

    def _drop_shards(self) -> None:
        """Those of which nothing is in memory; an answer of the ledger that names one brings it back."""
        book = self._book
        needed = {task.shard for task in book.tasks.values()}
        needed.update(book.executor.windows)
        for shard in list(book.shards.values()):
            if shard.id not in needed and shard.batch not in book.batches:
                del book.shards[shard.id]
                if book.shard_ids.get(shard_key(shard)) == shard.id:
                    del book.shard_ids[shard_key(shard)]
        self._shards = max(_SHARDS, 2 * len(book.shards))
