"""Raw connections to a ledger's socket, for what no client of ours would say."""

import select
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from wsaios import __version__
from wsaios.door.address import identity
from wsaios.door.frames import Frames, framed
from wsaios.door.questions import PROTOCOL, Hello


def hello(ledger: Path, *, protocol: int = PROTOCOL, version: str = __version__, session: str = "stranger") -> Hello:
    return Hello(protocol, version, identity(ledger), session)


class Stranger:
    def __init__(self, ledger: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(ledger.with_name(f"{ledger.name}.sock")))
        self._frames = Frames()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send it, as far as the other side still listens."""
        with suppress(ConnectionError):
            self._socket.sendall(data)

    def say(self, message: object) -> None:
        self.send(framed(msgspec.msgpack.encode(message)))

    def hear(self) -> Any:
        """The next message as plain values, None when the connection ended."""
        while (body := self._frames.take()) is None:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self._frames.feed(data)
        return msgspec.msgpack.decode(body)

    def await_end(self) -> None:
        """Return when the other side has ended the connection, without reading anything of it."""
        poll = select.poll()
        poll.register(self._socket, 0)
        assert poll.poll(30_000), "the connection is still open"

    def finish(self) -> list[Any]:
        """Say nothing more, and hear everything until the end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        heard = []
        while (message := self.hear()) is not None:
            heard.append(message)
        return heard
