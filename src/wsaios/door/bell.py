"""Tells the other side that there is something to look at: at once, and then not more often than 20 times a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from wsaios.kernel.errors import WsaiosError

GAP_S: Final = 0.05
_ALERT_S: Final = 2 * GAP_S
_AGAIN_S: Final = (0.004, 0.02)


class Alarm:
    """Wakes who waits when the bell rings; since that is seldom, it then wakes by itself for a while, and often.

    Who needs long for a look is woken less often, so that looking takes half of the time at most.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._alert_s = float("-inf")
        self._woken_s = 0.0

    def ring(self) -> None:
        """Wake who waits."""
        self._rung.set()

    async def wait(self, longest_s: float | None) -> None:
        """Return when it is time to look again, after `longest_s` at the latest (None: there is no latest)."""
        now_s = time.monotonic()
        again_s = min(max(_AGAIN_S[0], now_s - self._woken_s), _AGAIN_S[1])
        if now_s < self._alert_s:
            longest_s = again_s
        # wait_for() of Python 3.11 forgets that its task was cancelled when what it waits for comes at the same time.
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._rung.wait()
        self._woken_s = time.monotonic()
        if self._rung.is_set():
            self._rung.clear()
            self._alert_s = self._woken_s + _ALERT_S


class Bell:
    """Rings for everyone who pressed since it rang last."""

    def __init__(self, ring: Callable[[], Awaitable[None]], gap_s: float = GAP_S) -> None:
        self._ring = ring
        self._gap_s = gap_s
        self._pressed = False
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def press(self) -> None:
        """Ring soon."""
        self._pressed = True
        if self._task is None and not self._closing.is_set():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="wsaios-bell")

    async def close(self) -> None:
        """Ring once more if that is due, and no more."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            while self._pressed:
                self._pressed = False
                try:
                    await self._ring()
                except WsaiosError:
                    # Those who listen look by themselves when they hear nothing for long.
                    return
                try:
                    await asyncio.wait_for(self._closing.wait(), self._gap_s)
                except TimeoutError:
                    continue
        finally:
            self._task = None
