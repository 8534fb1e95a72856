"""Calls of watchers: they leave after the commit that holds what they tell of, and run where they harm nobody."""

from collections.abc import Callable
from typing import Any

from wsaios.scheduler.threads import CallThread

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Notices:
    """Collects calls of watchers; they run one after the other in a thread of their own."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told what a watcher raised, in that thread."""
        self._failed = failed
        self._waiting: list[Call] = []
        self._thread: CallThread | None = None

    def __call__(self, callback: Callable[..., Any], *arguments: object) -> None:
        """Have the callback called after the next commit."""
        self._waiting.append((callback, arguments))

    def take(self) -> list[Call]:
        """What belongs to the step that just ended."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def deliver(self, calls: list[Call]) -> None:
        """Run the calls; returns at once."""
        if not calls:
            return
        if self._thread is None:
            self._thread = CallThread("wsaios-watchers")
            self._thread.start()
        for callback, arguments in calls:
            self._thread.call(self._run, callback, arguments)

    def stop(self) -> None:
        """End after the calls given so far, without waiting for them."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def _run(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            callback(*arguments)
        except BaseException as error:  # noqa: BLE001  # a watcher is code of the user
            self._failed(error)
