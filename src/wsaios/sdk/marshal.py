"""Calls from other threads, run on the scheduler's loop."""

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="Settled")


class Home:
    """The loop and thread a scheduler lives on; before `settle` every thread is at home."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def settle(self) -> None:
        """This thread's running loop is home from now on."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def leave(self) -> None:
        """There is no home any more."""
        self._loop = None

    def run(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call at home, from whatever thread, and return what it returns."""
        loop = self._loop
        if loop is None or threading.get_ident() == self._thread:
            return function(*arguments, **options)

        async def at_home() -> T:
            return function(*arguments, **options)

        return asyncio.run_coroutine_threadsafe(at_home(), loop).result()

    def here(self) -> bool:
        """Whether the caller runs on the loop that is home."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """The loop that must be gone to; None: the one that runs here is the right one."""
        loop = self._loop
        return None if loop is asyncio.get_running_loop() else loop


class Settled(Protocol):
    """What has a home."""

    @property
    def home(self) -> Home:
        """Where it lives."""


def at_home(
    verb: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """A verb that may be awaited on any loop in any thread; it runs on the scheduler's."""

    @functools.wraps(verb)
    def call(self: S, /, *arguments: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
        # Nearly every call comes from home, and one coroutine around another costs.
        if self.home.here():
            return verb(self, *arguments, **options)
        return there(self, *arguments, **options)

    async def there(self: S, /, *arguments: P.args, **options: P.kwargs) -> T:
        loop = self.home.elsewhere()
        if loop is None:
            return await verb(self, *arguments, **options)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(verb(self, *arguments, **options), loop))

    return call


class AtHome(Generic[T]):
    """Stands for an object whose methods must run on the loop's thread."""

    def __init__(self, home: Home, real: T) -> None:
        self._home = home
        self._real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            return self._home.run(found, *arguments, **options)

        return call
