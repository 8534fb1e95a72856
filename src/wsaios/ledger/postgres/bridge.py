"""Blocking calls into an event loop of their own: the driver of PostgreSQL is asynchronous, the Ledger port is not."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Bridge:
    """Runs one coroutine after the other, each in the thread that calls; its loop stands still in between."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns or raises."""
        with self._turn:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            if not _inside_a_loop():
                return self._loop.run_until_complete(work)
            # Two loops cannot run in one thread, even when the outer one is blocked by this very call.
            with ThreadPoolExecutor(1, "wsaios-postgres") as helper:
                return helper.submit(self._loop.run_until_complete, work).result()

    def close(self) -> None:
        """Let go of the loop; safe to call twice, and `run` makes a new one."""
        with self._turn:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.close()


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
