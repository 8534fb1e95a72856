"""Who waits for which task, batch or run to end."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from wsaios.kernel.events import Closed
from wsaios.kernel.run import Run
from wsaios.kernel.task import Batch

Whole = Batch | Run
"""What is over when all of it is; no two of them share a number."""
Listener = Callable[[list[Closed]], None]


class Watch:
    """Futures by task, batch and run, and listeners to everything that ends; told after the commit.

    A future that is done with None, and a listener that is told nothing, missed something: ask the ledger again.
    `noticed` is called whenever somebody begins to wait for tasks, `begun` with the versions of runs that triggers
    began.
    """

    def __init__(self) -> None:
        self._tasks: dict[int, list[asyncio.Future[Closed | None]]] = {}
        self._batches: dict[int, list[asyncio.Future[Whole | None]]] = {}
        self._listeners: dict[Listener, bool] = {}
        self.noticed: Callable[[], None] = _nothing
        self.begun: Callable[[Sequence[str]], None] = lambda _: None

    def waits_for(self, numbers: Iterable[int]) -> bool:
        """Whether somebody waits for the end of one of these tasks."""
        return any(self._listeners.values()) or any(number in self._tasks for number in numbers)

    def task(self, number: int) -> "asyncio.Future[Closed | None]":
        """Done when the task ends from now on; `drop` it when it is no longer wanted."""
        future: asyncio.Future[Closed | None] = asyncio.get_running_loop().create_future()
        self._tasks.setdefault(number, []).append(future)
        self.noticed()
        return future

    def drop(self, number: int, future: "asyncio.Future[Closed | None]") -> None:
        """No longer wait."""
        waiting = self._tasks.get(number)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._tasks[number]

    def batch(self, number: int) -> "asyncio.Future[Whole | None]":
        """Done when the last row of the batch ends, or the run."""
        future: asyncio.Future[Whole | None] = asyncio.get_running_loop().create_future()
        self._batches.setdefault(number, []).append(future)
        return future

    def drop_batch(self, number: int, future: "asyncio.Future[Whole | None]") -> None:
        """No longer wait."""
        waiting = self._batches.get(number)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._batches[number]

    def listen(self, listener: Listener, *, waits: bool = True) -> Callable[[], None]:
        """Have everything that ends told to `listener`; returns what ends that.

        `waits` False: it may be told a moment later.
        """
        self._listeners[listener] = waits
        self.noticed()

        def stop() -> None:
            self._listeners.pop(listener, None)

        return stop

    def closed(self, closed: list[Closed]) -> None:
        """Tell everyone."""
        tasks = self._tasks
        if tasks:
            for each in closed:
                for future in tasks.pop(each.outcome.id, ()):
                    if not future.done():
                        future.set_result(each)
        for listener in list(self._listeners):
            listener(closed)

    def finished(self, batches: Sequence[Whole], begun: Sequence[str] = ()) -> None:
        """Tell those who wait for batches or runs; and that triggers began runs of these versions."""
        if begun:
            self.begun(begun)
        for batch in batches:
            for future in self._batches.pop(batch.id, ()):
                if not future.done():
                    future.set_result(batch)

    def waited(self) -> tuple[list[int], list[int], bool]:
        """The tasks, and the batches and runs, that somebody waits for, and whether anybody listens to everything."""
        return list(self._tasks), list(self._batches), bool(self._listeners)

    def look_again(self, batches: list[int]) -> None:
        """Have those who wait for these batches or runs ask the ledger."""
        for number in batches:
            for future in self._batches.pop(number, ()):
                if not future.done():
                    future.set_result(None)

    def missed(self) -> None:
        """Nobody knows what ended meanwhile: everyone must ask the ledger."""
        for future in self._everyone():
            future.set_result(None)
        for listener in list(self._listeners):
            listener([])

    def fail(self, error: Exception) -> None:
        """Nothing more will come: tell everyone why."""
        for future in self._everyone():
            future.set_exception(error)
            future.exception()
        for listener in list(self._listeners):
            listener([])

    def _everyone(self) -> list["asyncio.Future[Closed | None] | asyncio.Future[Whole | None]"]:
        waiting: list[asyncio.Future[Closed | None] | asyncio.Future[Whole | None]] = []
        for tasks in self._tasks.values():
            waiting.extend(tasks)
        for batches in self._batches.values():
            waiting.extend(batches)
        self._tasks.clear()
        self._batches.clear()
        return [future for future in waiting if not future.done()]


def _nothing() -> None:
    """Nobody wants to know."""
