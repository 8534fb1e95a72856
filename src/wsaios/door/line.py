"""The line from a client to its ledger: over the owner's socket while one lives, else alone."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from secrets import token_hex
from typing import Any, Final, NoReturn

from wsaios.door.address import identity, socket_of
from wsaios.door.alone import Alone
from wsaios.door.desk import Desk
from wsaios.door.questions import (
    PROTOCOL,
    A,
    ActOn,
    Ask,
    Flush,
    FollowEnd,
    FollowNext,
    FollowOpen,
    Hello,
    Ranges,
    repeats,
    sent_again,
)
from wsaios.door.wire import Lost, Wire
from wsaios.kernel.errors import (
    CallerError,
    InvalidInput,
    LedgerOwned,
    LedgerUnavailable,
    NoOwner,
    NotPossible,
    NotRunning,
    QueueFull,
    Unacknowledged,
    UnknownLane,
    WsaiosError,
)
from wsaios.kernel.version import __version__
from wsaios.ledger.location import locate
from wsaios.scheduler.places import Places

RETRY_S: Final = 10.0
_PAGE: Final = 2000
_OPENING_S: Final = 2.0
_PAUSES_S: Final = (0.02, 0.25)
_PASSES: Final = (Lost, NotRunning, LedgerOwned, Unacknowledged)
_WANTED: Final = {
    "cancel": {"cancelled"},
    "pause": {"paused"},
    "resume": {"pending", "ready", "running", "retrying"},
}


class Line:
    """One client of one ledger; a new connection is made whenever the last one broke."""

    def __init__(self, url: str, retry_s: float = RETRY_S) -> None:
        """`retry_s` is how long a question whose answer was lost waits for an owner to come back.

        Raises:
            InvalidInput: the ledger cannot be reached from another process.
        """
        place = locate(url)
        path = place.path
        if path is None:
            raise InvalidInput("ledger", "one in memory is inside its process, no client can reach it; name a file")
        self.name = place.name
        self.retry_s = retry_s
        self.session = token_hex(8)
        self.alone = Alone(url, place.name, lambda: identity(path))
        self._path = path
        self._wire: Wire | None = None
        self._gate = asyncio.Lock()
        self._closed = False

    async def reach(self) -> Wire | None:
        """A connection to the owner, or None when nobody listens.

        Raises:
            WrongVersion, LedgerUnavailable: somebody does, and does not let us in.
            Lost: it went away while it was asked.
        """
        if self._wire is not None and self._wire.alive:
            return self._wire
        async with self._gate:
            if self._closed:
                raise InvalidInput("client", "it was closed; make a new one")
            if self._wire is None or not self._wire.alive:
                self._wire = await self._connect()
            return self._wire

    async def ask(self, ask: Ask[A], *, patient: bool = False) -> A:
        """The answer, over a restart of the owner if need be; `patient`: wait for an owner as long as it takes.

        Raises:
            Unacknowledged: the answer to a write was lost, and no owner came back to say what became of it.
            NoOwner: nobody lives who could answer.
            LedgerOwned: a scheduler lives that lets no clients in.
        """
        trouble: Trouble | None = None
        while True:
            try:
                wire = self._wire
                if wire is None or not wire.alive:
                    wire = await self.reach()
                return await (self.alone.ask(ask) if wire is None else wire.ask(ask))
            except (Lost, WsaiosError) as error:
                trouble = trouble or Trouble(self.name, self.retry_s, writes=ask.writes, patient=patient)
                wanted = reached(ask, error) if trouble.lost else None
                if wanted is not None:
                    return wanted  # type: ignore[return-value]  # ActOn is an Ask[str | int]
                await trouble.meet(error, again=repeats(ask))
                ask = sent_again(ask)

    async def follow(self, ranges: Ranges) -> AsyncGenerator[Ranges, None]:
        """Pages of (id, state) of every task of the ranges as it ends, each once.

        Raises:
            NoOwner: nobody lives, and not all have ended.
        """
        places = Places(ranges)
        trouble = Trouble(self.name, self.retry_s)
        while places.left:
            wire = None
            try:
                wire = await self.reach()
                async with aclosing(self._pages(wire or self.alone.reader(), ranges)) as pages:
                    async for page in pages:
                        fresh = [each for each in page if places.mark(each[0])]
                        if fresh and wire is not None:
                            trouble.over()
                        if fresh:
                            yield fresh
            except (Lost, NotRunning) as error:
                alone = wire is None and isinstance(error, NotRunning)
                await trouble.meet(NoOwner(self.name, f"{places.left} of the tasks have not ended") if alone else error)

    async def flush(self) -> None:
        """Return when everything that the owner was told before is durable."""
        if await self.reach() is not None:
            await self.ask(Flush())

    async def close(self) -> None:
        """End the connection; what was submitted stays."""
        self._closed = True
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
            await wire.closed()
        await self.alone.close()

    async def _pages(self, asker: Wire | Desk, ranges: Ranges) -> AsyncGenerator[Ranges, None]:
        handle = await asker.ask(FollowOpen(ranges))
        try:
            while page := await asker.ask(FollowNext(handle, _PAGE)):
                yield page
        finally:
            with suppress(Lost):
                await asker.ask(FollowEnd(handle))

    async def _connect(self) -> Wire | None:
        place = socket_of(self._path)
        if place is None:
            return None
        hello = Hello(PROTOCOL, __version__, identity(self._path), self.session)
        try:
            return await Wire.open(place, hello, self.name)
        except PermissionError as error:
            reason = f"its scheduler belongs to another user, who alone may use {place}"
            raise LedgerUnavailable(self.name, reason) from error
        except OSError:
            return None


class Trouble:
    """How long one question goes on when its owner is away."""

    def __init__(self, ledger: str, retry_s: float, *, writes: bool = False, patient: bool = False) -> None:
        self._ledger = ledger
        self._writes = writes
        self._retry_s = retry_s
        self._patient = patient
        self._away = False
        self._since: float | None = None
        self._pause_s = _PAUSES_S[0]
        self._reason = ""

    @property
    def lost(self) -> bool:
        """Whether what was asked may have been done, and the answer did not come."""
        return bool(self._reason)

    async def meet(self, error: Exception, *, again: bool = True) -> None:
        """Pause before the next try; `again` False: there is none when the answer was lost.

        Raises:
            WsaiosError: what to tell the caller, when there should be none.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if isinstance(error, Lost | Unacknowledged):
            self._reason = self._reason or str(getattr(error, "reason", error))
        self._away = self._away or self.lost or type(error) is NotRunning
        if self._hopeless(error, now - self._since) or (self.lost and not again):
            self._give_up(error)
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 1.5, _PAUSES_S[1])

    def over(self) -> None:
        """It goes on."""
        self._since, self._pause_s, self._reason, self._away = None, _PAUSES_S[0], "", False

    def _hopeless(self, error: Exception, for_s: float) -> bool:
        if not isinstance(error, _PASSES) and not (self.lost and isinstance(error, QueueFull)):
            return True
        if self._patient:
            return False
        nobody = isinstance(error, NoOwner) and not self._away
        return nobody or for_s >= (self._retry_s if self._away else min(self._retry_s, _OPENING_S))

    def _give_up(self, error: Exception) -> NoReturn:
        # Nothing but a fault of the call itself says that what was lost was not done.
        certain = isinstance(error, CallerError) and not isinstance(error, QueueFull | UnknownLane)
        if self.lost and self._writes and not certain:
            raise Unacknowledged(self._reason) from error
        if isinstance(error, Lost):
            raise LedgerUnavailable(self._ledger, str(error)) from error
        raise error


def reached(ask: Ask[Any], error: Exception) -> str | None:
    """The state of a task, when a verb that is asked for again finds that the first time has worked."""
    if isinstance(ask, ActOn) and isinstance(error, NotPossible) and error.state in _WANTED.get(ask.verb, ()):
        return error.state
    return None
