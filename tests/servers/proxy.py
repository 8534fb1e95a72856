"""A TCP proxy before a server of 127.0.0.1 that does what networks do: delay, cut, swallow, crawl."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

_CHUNK: Final = 1 << 14
_RESET: Final = struct.pack("ii", 1, 0)


class FaultProxy:
    """Passes bytes on; what it does to them may change at any moment, from any thread.

    `latency_s` is added to every chunk each way, `bytes_per_s` (0: no limit) bounds each direction of each connection.
    In a `hole` connections are taken and nothing passes, whatever comes is lost for good, as behind a dead router: who
    sent it hears nothing, not even afterwards.
    """

    def __init__(self, port: int) -> None:
        """`port` is that of the server behind it."""
        self._behind = port
        self.port = 0
        self.latency_s = 0.0
        self.bytes_per_s = 0
        self.hole = False
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def start(self) -> None:
        """Take connections on a free port."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End every connection, and the thread."""
        self._call(self._loop.stop)
        self._thread.join()

    def heal(self) -> None:
        """Pass everything on, at once; what was swallowed is gone."""
        self.latency_s, self.bytes_per_s, self.hole = 0.0, 0, False

    def cut(self) -> int:
        """Reset every connection, on both sides; how many sides there were."""
        done: list[int] = []
        over = threading.Event()

        def reset() -> None:
            done.append(len(self._open))
            for writer in list(self._open):
                _reset(writer)
            over.set()

        self._call(reset)
        over.wait()
        return done[0]

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open) // 2

    def _call(self, function: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        # Connections that end while they pass something on are what it is for.
        self._loop.set_exception_handler(lambda *_: None)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for writer in list(self._open):
            _reset(writer)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        self._open -= {writer, back}
        for each in (writer, back):
            with suppress(OSError):
                each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        swallowed = False
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                swallowed = swallowed or self.hole
                if swallowed:
                    continue
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                if self.bytes_per_s:
                    await asyncio.sleep(len(chunk) / self.bytes_per_s)
                writer.write(chunk)
                await writer.drain()
        # One side is gone: so is the other.
        _reset(writer)


@contextmanager
def proxied(port: int) -> Iterator[FaultProxy]:
    """A proxy that is gone afterwards."""
    proxy = FaultProxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
