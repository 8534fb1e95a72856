"""Notices that an answer will never come: the way to the server is gone, and neither side was told.

A machine that vanished, a firewall that forgot a connection, an address that moved to another server: statements are
accepted by the network and reach nobody. Whoever waits for long asks over another connection whether the server works
for this one; what is slow, or on its way, is never given up.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import asyncpg

from wsaios.ledger.postgres.errors import DRIVER_ERRORS

T = TypeVar("T")
SILENT_S: Final = 3.0
"""How long an answer may take before anybody asks."""
_ASK_S: Final = 2.0
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
# struct tcp_info of Linux: how many bytes the other side has acknowledged, and how many came from it.
_COUNTED: Final = slice(120, 136)


class Attention:
    """Watches one connection.

    `patience_s` is how long an answer may take while the server cannot be asked; None: as long as the driver waits.
    """

    def __init__(self, connection: Any, dsn: str, question: str) -> None:
        """`question` is the text of a statement: whether process $1 of the server has had nothing to do for $2 s."""
        self._connection = connection
        self._dsn = dsn
        self._question = question
        self._pid: int = connection.get_server_pid()
        self.patience_s: float | None = None

    async def answered(self, work: Awaitable[T]) -> T:
        """What the work brings; the connection is dropped when no answer will come."""
        loop, asking = asyncio.get_running_loop(), []

        def ask() -> None:
            asking.append(loop.create_task(self._ask(), name="wsaios-attention"))

        timer = loop.call_later(SILENT_S, ask)
        try:
            return await work
        except TimeoutError:
            # Nothing that is said over it now would be answered either.
            self._connection.terminate()
            raise
        finally:
            timer.cancel()
            for task in asking:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                # A connection that was cut off is closed in the next turn of the loop, which may be its last one.
                await asyncio.sleep(0)

    async def _ask(self) -> None:
        began_s, counted = time.monotonic() - SILENT_S, None
        while not self._connection.is_closed():
            before, counted = counted, self._counted()
            # Bytes still come or go: a large statement, or a large answer, over a slow way.
            if counted is None or counted == before:
                forgotten = await self._forgotten()
                if forgotten is None and self.patience_s is not None:
                    forgotten = time.monotonic() - began_s > self.patience_s
                if forgotten:
                    self._connection.terminate()
                    return
            await asyncio.sleep(SILENT_S / 2)

    async def _forgotten(self) -> bool | None:
        """Whether the server has nothing to do for this connection; None: it cannot be asked."""
        named = {"application_name": "wsaios attention"}
        try:
            other = await asyncpg.connect(self._dsn, timeout=_ASK_S, command_timeout=_ASK_S, server_settings=named)
            try:
                return bool(await other.fetchval(self._question, self._pid, SILENT_S))
            finally:
                other.terminate()
        except (*DRIVER_ERRORS, ValueError):
            return None

    def _counted(self) -> bytes | None:
        """What the network has carried so far; None where the system does not say."""
        transport = self._connection._transport  # noqa: SLF001  # the driver has no other way to its socket
        connection = None if transport is None else transport.get_extra_info("socket")
        if _TCP_INFO is None or connection is None:
            return None
        try:
            counted: bytes = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _COUNTED.stop)[_COUNTED]
        except OSError:
            return None
        return counted or None
