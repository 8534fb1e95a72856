"""The door of a scheduler whose ledger is on a server: it takes in what clients left there, and answers them."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from wsaios.bootstrap import Parts
from wsaios.door.bell import Alarm, Bell
from wsaios.door.desk import Desk
from wsaios.door.faults import fault_of
from wsaios.door.questions import ActOn, Ask, Done, Failed, Question
from wsaios.door.taking import Taking
from wsaios.kernel.errors import NotRunning, WsaiosError
from wsaios.kernel.events import Closed
from wsaios.ledger.postgres.link import Link

_LOOK_S: Final = 1.5
_PAUSES_S: Final = (0.1, 2.0)
_ABANDONED_US: Final = 24 * 3_600_000_000
_HOUR_S: Final = 3600.0


class Mailroom:
    """Woken by the server when something was left; now and then it looks by itself, for who died before waking it."""

    def __init__(self, url: str, parts: Parts) -> None:
        self._loop = parts.loop
        self._clock = parts.clock
        self._log = parts.log
        self._desk = Desk(parts.service)
        self._alarm = Alarm()
        self._link = Link(url, heard=self._alarm.ring, channel="in")
        self._bell = Bell(lambda: self._link.ring("out"))
        self._taking = Taking(self._link, parts.loop, parts.settings.limits.payload_bytes)
        self._told: set[int] = set()
        self._open = False
        self._task: asyncio.Task[None] | None = None
        self._later: list[tuple[int, Ask[Any]]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Question)
        self._encode = msgspec.msgpack.Encoder().encode
        self._deaf: Callable[[], object] = lambda: None

    async def open(self) -> None:
        """Take in what waits, and from now on what comes."""
        self._open = True
        self._deaf = self._loop.watch.listen(self._ended)
        # Who waited for the owner before this one has missed how its work ended.
        self._bell.press()
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="wsaios-mailroom")

    def shut(self) -> None:
        """Take in nothing more; what is left waits for the next owner. Safe to call twice."""
        self._open = False
        self._alarm.ring()

    async def close(self) -> None:
        """Answer what was asked, and let go of the server."""
        self.shut()
        self._deaf()
        if self._task is not None:
            await asyncio.wait((self._task, *self._answering), timeout=_PAUSES_S[1])
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._bell.press()
        await self._bell.close()
        self._desk.close()
        await self._link.close()

    def _ended(self, closed: list[Closed]) -> None:
        if closed:
            self._bell.press()

    async def _serve(self) -> None:
        pause_s, tidied_s = _PAUSES_S[0], float("-inf")
        while self._open:
            try:
                if time.monotonic() - tidied_s > _HOUR_S:
                    tidied_s = time.monotonic()
                    await self._link.change("intake_abandoned", before_us=self._clock.now_us() - _ABANDONED_US)
                while self._open:
                    more = await self._taking.some()
                    self._complain()
                    await self._hear(drained=not more)
                    if not more:
                        break
                pause_s = _PAUSES_S[0]
            except NotRunning:
                return
            except Exception as error:  # noqa: BLE001  # whatever it is, the next client must still be heard
                reason = str(error) if isinstance(error, WsaiosError) else f"{type(error).__name__}: {error}"
                self._log.warning("clients of this scheduler must wait", reason=reason, again_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _PAUSES_S[1])
                continue
            if self._open:
                await self._alarm.wait(_LOOK_S)

    def _complain(self) -> None:
        for place in sorted(self._taking.unread.keys() - self._told):
            self._told.add(place)
            reason = self._taking.unread[place]
            self._log.error("a row of the intake cannot be read; a newer client left it?", place=place, reason=reason)

    async def _hear(self, *, drained: bool) -> None:
        """Answer what was asked, but for what concerns work that is in the intake still."""
        asked, self._later = self._later, []
        for number, body in await self._link.rows("asked"):
            # What cannot be read was asked by another version, which hears nothing and says so.
            with suppress(msgspec.DecodeError):
                asked.append((number, self._decoder.decode(body)))
        for number, ask in asked:
            if isinstance(ask, ActOn) and ask.scope.kind in {"lane", "all"} and not drained:
                self._later.append((number, ask))
                continue
            task = asyncio.get_running_loop().create_task(self._answer(number, ask), name="wsaios-answer")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, number: int, ask: Ask[Any]) -> None:
        if await self._left(ask):
            self._later.append((number, ask))
            self._alarm.ring()
            return
        try:
            body = self._encode(Done(number, msgspec.Raw(self._encode(await self._desk.ask(ask)))))
        except Exception as error:  # noqa: BLE001  # whatever it is, this client is told and the others do not notice
            if not isinstance(error, WsaiosError):
                reason = f"{type(error).__name__}: {error}"
                self._log.error("a client's question failed", asked=type(ask).__name__, reason=reason)
            body = self._encode(Failed(number, fault_of(error)))
        with suppress(WsaiosError):
            await self._link.change("answered", questions=[number], bodies=[body])
            self._bell.press()

    async def _left(self, ask: Ask[Any]) -> bool:
        """Whether it is about something that is in the intake still."""
        number = ask.scope.number if isinstance(ask, ActOn) else getattr(ask, "task", 0)
        with suppress(WsaiosError):
            return bool(await self._link.rows("intake_of", id=number))
        return False
