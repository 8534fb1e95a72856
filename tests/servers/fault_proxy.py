"""A TCP proxy that breaks connections in the ways of networks, switched while it runs."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")
_CHUNK: Final = 1 << 14
_AHEAD: Final = 8
_RESET: Final = struct.pack("ii", 1, 0)


class Fault(NamedTuple):
    """What is wrong with the way; without anything, nothing is.

    `latency_s` is added in each direction; `bytes_per_s` bounds each direction of each connection. A `black_hole`
    accepts connections and bytes and passes nothing on: what falls into it is lost, and its connection never speaks
    again, also when the hole is gone. `cut` resets whatever comes.
    """

    latency_s: float = 0.0
    bytes_per_s: float = 0.0
    black_hole: bool = False
    cut: bool = False


class FaultProxy:
    """Stands before a port of 127.0.0.1, in a thread of its own; connections pass in both directions."""

    def __init__(self, target: Callable[[], int]) -> None:
        """`target` says the port behind, at each new connection."""
        self._target = target
        self._fault = Fault()
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0
        self.accepted = 0
        self.swallowed_bytes = 0

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        """End every connection and the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, fault: Fault) -> None:
        """From now on this is wrong, with connections that are open too; `Fault()` heals what can be healed."""
        self._call(self._set(fault))

    def heal(self) -> None:
        """As `set(Fault())`."""
        self.set(Fault())

    def cut(self) -> int:
        """Reset every open connection, on both sides; how many there were. New ones pass."""
        return self._call(self._cut())

    def open(self) -> int:
        """How many connections there are, dead ones that nobody has closed included."""
        return self._call(self._count())

    @property
    def fault(self) -> Fault:
        """What is wrong now."""
        return self._fault

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30.0)

    async def _listen(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        # Whoever sends faster than this passes on must feel it, as on a slow line.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)
        self.port = listening.getsockname()[1]
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=_CHUNK)

    async def _set(self, fault: Fault) -> None:
        self._fault = fault
        if fault.cut:
            await self._cut()

    async def _cut(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()
        return len(pairs)

    async def _count(self) -> int:
        return len(self._pairs)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = self._loop.create_task(self._serve(_Pair(self, (reader, writer))))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, pair: "_Pair") -> None:
        self._pairs.add(pair)
        try:
            if self._fault.cut:
                pair.reset()
            else:
                await pair.serve(self._target())
        except OSError:
            pair.reset()
        except asyncio.CancelledError:
            # The proxy stops; its connections were reset already.
            return
        finally:
            pair.end()
            self._pairs.discard(pair)


class _Pair:
    """A client's connection and the one to the server."""

    def __init__(self, proxy: FaultProxy, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._reader, writer = client
        self._writers = [writer]
        self._dead = False

    async def serve(self, port: int) -> None:
        """Pass bytes on until one side ends; whoever fell into a black hole stays there until its client gives up."""
        if self._lost(0):
            while data := await self._reader.read(_CHUNK):
                self._lost(len(data))
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
        self._writers.append(writer)
        ways = (self._pass(self._reader, writer), self._pass(reader, self._writers[0]))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._dead:
                # The other side hears nothing of that: it is as if the machine had gone.
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self) -> None:
        """End both connections at once, and without the good-bye of TCP."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def end(self) -> None:
        """Close what is open."""
        for writer in self._writers:
            writer.close()

    def _lost(self, size: int) -> bool:
        self._dead = self._dead or self._proxy.fault.black_hole
        self._proxy.swallowed_bytes += size if self._dead else 0
        return self._dead

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_AHEAD)
        delivery = asyncio.ensure_future(self._deliver(under_way, writer))
        try:
            while data := await reader.read(_CHUNK):
                if not self._lost(len(data)):
                    await under_way.put((asyncio.get_running_loop().time() + self._proxy.fault.latency_s, data))
            await under_way.put((0.0, b""))
            await delivery
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)

    async def _deliver(self, under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            due_s, data = await under_way.get()
            if not data:
                return
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
            if self._proxy.fault.bytes_per_s:
                await asyncio.sleep(len(data) / self._proxy.fault.bytes_per_s)
            if not self._lost(len(data)):
                writer.write(data)
                await writer.drain()
