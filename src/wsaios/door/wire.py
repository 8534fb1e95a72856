"""A client's connection to the owner: many questions at once, each answer to the one that asked."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from wsaios.door.faults import error_of
from wsaios.door.frames import BadFrame, Frames, Outbox
from wsaios.door.questions import (
    A,
    Ask,
    Call,
    Closing,
    Done,
    Drop,
    Failed,
    FromOwner,
    Hello,
    Question,
    Refused,
    Welcome,
    answer_type,
)
from wsaios.door.versions import understood
from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, WrongVersion
from wsaios.kernel.version import __version__

_HELLO_S: Final = 10.0
_WAITS: Final = 10_000


class Lost(Exception):
    """The connection ended before the answer came; nobody knows what became of the question."""


class Wire(asyncio.Protocol):
    """One connection. It never comes back: make another one."""

    def __init__(self, ledger: str) -> None:
        """`ledger` is what messages call it."""
        self._ledger = ledger
        self._frames = Frames()
        self._loop = asyncio.get_running_loop()
        self._welcome: asyncio.Future[None] = self._loop.create_future()
        self._asked: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._numbers = count(1)
        self._waits = asyncio.Semaphore(_WAITS)
        self._reason = "the connection to the scheduler broke"
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._greetings = msgspec.msgpack.Decoder(Welcome | Refused | Closing)
        self._answers = msgspec.msgpack.Decoder(FromOwner)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}

    @classmethod
    async def open(cls, place: Path, hello: Hello, ledger: str) -> "Wire":
        """A connection over which the owner has answered the hello.

        Raises:
            OSError: nobody listens.
            WrongVersion, LedgerUnavailable: somebody does, and does not let us in.
        """
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_unix_connection(lambda: cls(ledger), str(place))
        try:
            await wire.greet(hello)
        except BaseException:
            wire.close()
            raise
        return wire

    async def greet(self, hello: Hello) -> None:
        """Say who we are, and be let in; the first thing to do."""
        self._out.put(self._encode(hello))
        try:
            # Not wait_for(): in Python 3.11 it can forget that its task was cancelled.
            async with asyncio.timeout(_HELLO_S):
                await asyncio.shield(self._welcome)
        except TimeoutError:
            reason = "its scheduler listens and does not answer; see whether its process is stopped"
            raise LedgerUnavailable(self._ledger, reason) from None

    @property
    def alive(self) -> bool:
        """Whether questions can be asked."""
        return not self._gone.done()

    async def ask(self, ask: Ask[A]) -> A:
        """The answer.

        Raises:
            WsaiosError: the error that the owner answered with.
            Lost: no answer came.
            InvalidInput: the question is too large for one message.
        """
        if not ask.waits:
            return await self._ask(ask)
        async with self._waits:
            return await self._ask(ask)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    async def closed(self) -> None:
        """Return when the connection has ended."""
        await asyncio.shield(self._gone)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The owner's socket took the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._out = Outbox(self._transport)

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        self._frames.feed(data)
        try:
            while (body := self._frames.take()) is not None:
                if self._welcome.done():
                    self._hear(body)
                else:
                    self._greeted(body)
        except (BadFrame, msgspec.DecodeError) as error:
            self._reason = f"what the scheduler sent cannot be understood: {error}"
            self._transport.abort()

    def pause_writing(self) -> None:
        """The owner has enough to do."""
        self._out.pause()

    def resume_writing(self) -> None:
        """The owner reads again."""
        self._out.go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whatever ended it
        """Tell everyone who waits."""
        self._out.go_on()
        if not self._welcome.done():
            self._welcome.set_exception(Lost(self._reason))
            self._welcome.exception()
        asked, self._asked = self._asked, {}
        for future in asked.values():
            if not future.done():
                future.set_exception(Lost(self._reason))
        self._gone.set_result(None)

    async def _ask(self, ask: Ask[A]) -> A:
        number = next(self._numbers)
        try:
            body = self._encode(Call(number, cast("Question", ask)))
        except (TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
            raise InvalidInput("options", f"cannot be sent to the scheduler: {error}") from error
        if self._out.paused:
            await self._out.room()
        if self._gone.done() or self._transport.is_closing():
            raise Lost(self._reason)
        future: asyncio.Future[msgspec.Raw] = self._loop.create_future()
        try:
            self._out.put(body)
        except BadFrame as error:
            raise InvalidInput("arguments", str(error)) from error
        self._asked[number] = future
        try:
            value = await future
        except asyncio.CancelledError:
            if self._asked.pop(number, None) is not None and self.alive:
                self._out.put(self._encode(Drop(number)))
            raise
        answer: A = self._decoder(type(ask)).decode(value)
        return answer

    def _decoder(self, kind: type[Ask[Any]]) -> "msgspec.msgpack.Decoder[Any]":
        found = self._decoders.get(kind)
        if found is None:
            found = self._decoders[kind] = msgspec.msgpack.Decoder(answer_type(kind))
        return found

    def _greeted(self, body: bytes) -> None:
        greeting = self._greetings.decode(body)
        if isinstance(greeting, Refused):
            self._welcome.set_exception(error_of(greeting.fault))
        elif isinstance(greeting, Closing):
            self._welcome.set_exception(LedgerUnavailable(self._ledger, f"its scheduler says: {greeting.reason}"))
        elif not understood(greeting.protocol, greeting.version):
            self._welcome.set_exception(WrongVersion(greeting.version, __version__))
        else:
            self._welcome.set_result(None)

    def _hear(self, body: bytes) -> None:
        said = self._answers.decode(body)
        if isinstance(said, Closing):
            self._reason = f"the scheduler ended the connection: {said.reason}"
            return
        future = self._asked.pop(said.id, None)
        if future is None or future.done():
            return
        if isinstance(said, Done):
            future.set_result(said.value)
        else:
            future.set_exception(error_of(cast("Failed", said).fault))
