"""Calls of watchers: they leave after the commit that holds what they tell of, and run where they harm nobody."""

from collections.abc import Callable
from typing import Any

from wsaios.scheduler.threads import CallThread

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Notices:
    """Collects calls of watchers; each watcher has a thread of its own, so one that hangs delays nobody else."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told what a watcher raised, in that watcher's thread."""
        self._failed = failed
        self._waiting: list[Call] = []
        self._threads: dict[int, CallThread] = {}

    def __call__(self, callback: Callable[..., Any], *arguments: object) -> None:
        """Have the callback called after the next commit."""
        self._waiting.append((callback, arguments))

    def take(self) -> list[Call]:
        """What belongs to the step that just ended."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def deliver(self, calls: list[Call]) -> None:
        """Run the calls, those of one watcher in their order; returns at once."""
        for callback, arguments in calls:
            thread = self._threads.get(id(callback))
            if thread is None:
                thread = self._threads[id(callback)] = CallThread("wsaios-watcher")
                thread.start()
            thread.call(self._run, callback, arguments)

    def stop(self) -> None:
        """End after the calls given so far, without waiting for them."""
        for thread in self._threads.values():
            thread.stop()
        self._threads.clear()

    def _run(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            callback(*arguments)
        except BaseException as error:  # noqa: BLE001  # a watcher is code of the user
            self._failed(error)
