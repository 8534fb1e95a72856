"""A thread of its own for calls that block, each answered on the loop."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from wsaios.kernel.errors import NotRunning

T = TypeVar("T")
Job = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class CallThread:
    """Runs calls one after the other, in the order given."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin; must be called on the loop that will wait for the answers."""
        self._loop, self._stopped = asyncio.get_running_loop(), False
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def call(self, function: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        """A future of what the function returns or raises; NotRunning before `start` and after `stop`."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._loop is None or self._stopped:
            future.set_exception(NotRunning())
        else:
            self._jobs.put((future, function, arguments))
        return future

    def stop(self) -> None:
        """End after the calls given so far; later ones are refused."""
        self._stopped = True
        self._jobs.put(None)

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            future, function, arguments = job
            try:
                value, error = function(*arguments), None
            except BaseException as caught:  # noqa: BLE001  # whatever it is belongs to the caller
                value, error = None, caught
            loop = self._loop
            assert loop is not None
            try:
                loop.call_soon_threadsafe(_settle, future, value, error)
            except RuntimeError:
                return


def _settle(future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
