"""From any thread to the loop, with one wake-up for all that gathered."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands what any thread posts to `deliver` on the loop, in order; `after` follows each round.

    `items` are those that wait.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[T], None], after: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._after = after
        self.items: deque[T] = deque()
        self._signalled = False

    def post(self, item: T) -> None:
        """Have `item` delivered soon; a loop that is closed takes nothing more, and that is fine."""
        # Appended before the flag is read, while the loop clears the flag before it reads: nothing can be overlooked.
        self.items.append(item)
        if not self._signalled:
            self._signalled = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                self.items.clear()

    def collect(self) -> None:
        """On the loop: deliver now what was posted."""
        items = self.items
        while items:
            self._deliver(items.popleft())

    def _wake(self) -> None:
        self._signalled = False
        self.collect()
        self._after()
