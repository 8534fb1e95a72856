"""A bad connection: stands between a client and the owner's socket, and loses an answer."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Self


class Proxy:
    """Takes the place of a ledger's socket, and breaks one connection when `arm` says so."""

    def __init__(self, ledger: Path) -> None:
        self.place = ledger.with_name(f"{ledger.name}.sock")
        self._real = ledger.with_name("real.sock")
        self._drop_after = b""
        self._forwards = True
        self._then: Callable[[], None] = lambda: None
        self.dropped = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.place.rename(self._real)
        self._server = await asyncio.start_unix_server(self._meet, str(self.place))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._real.exists():
            self._real.rename(self.place)

    def arm(self, drop_after: bytes, *, forwards: bool = True, then: Callable[[], None] = lambda: None) -> None:
        """Lose the answer to the next message with these bytes, and the connection; `then` is called after that.

        `forwards` False loses the message as well.
        """
        self._drop_after, self._forwards, self._then = drop_after, forwards, then

    def hang_up(self) -> None:
        """Let nobody connect any more."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.place.unlink(missing_ok=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upward, downward = await asyncio.open_unix_connection(str(self._real))
        losing = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._up(reader, downward, losing)),
            asyncio.ensure_future(self._down(upward, writer, losing)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in (writer, downward):
                each.close()
            self._tasks.discard(task)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            if self._drop_after and self._drop_after in data:
                self._drop_after = b""
                losing.set()
                if not self._forwards:
                    self._lose()
                    return
            writer.write(data)
            await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            if losing.is_set():
                self._lose()
                return
            writer.write(data)
            await writer.drain()

    def _lose(self) -> None:
        self.dropped += 1
        self._then()
