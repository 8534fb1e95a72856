"""Frames on the socket: four bytes of length, big-endian, and that many bytes of msgpack."""

import asyncio
from collections import deque
from typing import Final

MAX_FRAME_BYTES: Final = 16 << 20
_PREFIX: Final = 4


class BadFrame(Exception):
    """What came is no frame that this side takes."""


def framed(body: bytes) -> bytes:
    """The body with its length before it.

    Raises:
        BadFrame: it is longer than the other side would take.
    """
    if len(body) > MAX_FRAME_BYTES:
        raise BadFrame(f"{len(body)} bytes, a message may have {MAX_FRAME_BYTES}")
    return len(body).to_bytes(_PREFIX, "big") + body


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._place = 0

    def feed(self, data: bytes) -> None:
        """Take in what came, whole frames or pieces."""
        if self._place:
            del self._buffer[: self._place]
            self._place = 0
        self._buffer += data

    def take(self) -> bytes | None:
        """The next whole frame's body, or None when there is none yet.

        Raises:
            BadFrame: a frame announces itself that is longer than the limit.
        """
        start = self._place + _PREFIX
        if len(self._buffer) < start:
            return None
        length = int.from_bytes(self._buffer[self._place : start], "big")
        if length > self.limit_bytes:
            raise BadFrame(f"a frame of {length} bytes, at most {self.limit_bytes} are taken")
        if len(self._buffer) < start + length:
            return None
        self._place = start + length
        return bytes(self._buffer[start : self._place])


class Outbox:
    """Gathers frames and writes them once a turn of the loop; `room` waits while the other side does not read."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.paused = False

    def put(self, body: bytes) -> None:
        """Send a frame soon.

        Raises:
            BadFrame: it is too long.
        """
        frame = framed(body)
        if not self._frames:
            self._loop.call_soon(self.flush)
        self._frames.append(frame)

    def flush(self) -> None:
        """Send what has gathered now."""
        frames, self._frames = self._frames, []
        if frames and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    async def room(self) -> None:
        """Return when the other side reads again, at once while it does."""
        while self.paused:
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(future)
            await future

    def pause(self) -> None:
        """The transport has more than enough to send."""
        self.paused = True

    def go_on(self) -> None:
        """The transport takes more, or is gone and takes everything."""
        self.paused = False
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_result(None)
