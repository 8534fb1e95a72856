"""What a client does while no owner lives: it reads the ledger, and holds it for the moment of a commit."""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from wsaios.bootstrap import Parts, Settings
from wsaios.door.desk import Desk
from wsaios.door.questions import A, ActOn, Ask, Asker, LimitBy, ListTriggers, OrderBy, SignalOn, TriggerAct
from wsaios.engines.local.handlers import Handlers
from wsaios.kernel.errors import LedgerUnavailable, NoOwner, NotRunning, WsaiosError

Errand = Callable[[Asker], Awaitable[A]]


class Alone:
    """Answers as an owner would, as far as nothing must run for that."""

    def __init__(
        self,
        url: str,
        name: str,
        identity: Callable[[], str],
        first: Callable[[Parts], Awaitable[None]] | None = None,
    ) -> None:
        """`name` is what messages call the ledger; `identity` tells it from others under its name, empty: none.

        `first` is done in each visit before its errands.
        """
        self._first = first
        self._url = url
        self._identity = identity
        self._name = name
        self._reading: tuple[str, Parts, Desk] | None = None
        self._errands: deque[tuple[Errand[Any], asyncio.Future[Any]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, ask: Ask[A]) -> A:
        """The answer.

        Raises:
            NoOwner: only a live scheduler can give it.
            LedgerOwned: a scheduler has come, ask that one.
            LedgerUnavailable: there is no such ledger, or it cannot be read.
        """
        if ask.writes:
            if isinstance(ask, ActOn | LimitBy | OrderBy | TriggerAct | ListTriggers | SignalOn):
                self._check(ask)
            return await self.visit(lambda desk: desk.ask(ask))
        try:
            return await self.reader().ask(ask)
        except NotRunning:
            raise NoOwner(self._name, "not everything that was asked for has ended") from None

    def reader(self) -> Desk:
        """A desk that reads."""
        now = self._identity()
        if self._reading is not None and self._reading[0] != now:
            self._stop_reading()
        if self._reading is None:
            parts = self._parts()
            parts.reader.start()
            self._reading = (now, parts, Desk(parts.service))
        return self._reading[2]

    async def visit(self, errand: Errand[A]) -> A:
        """Run the errand while this process holds the ledger; errands that come together share a visit.

        Raises:
            LedgerOwned: a scheduler has it.
        """
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._errands.append((errand, future))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name="wsaios-client-visit")
        return await future

    async def close(self) -> None:
        """Finish what was begun."""
        if self._worker is not None:
            await asyncio.wait((self._worker,))
        self._stop_reading()

    def _check(self, ask: Ask[Any]) -> None:
        if self._identity() == "":
            raise LedgerUnavailable.missing(self._name)
        if isinstance(ask, ActOn) and ask.scope.kind == "lane":
            raise NoOwner(self._name, "only a scheduler knows what belongs to a lane")
        if isinstance(ask, SignalOn) or (isinstance(ask, ActOn) and ask.scope.kind == "run"):
            raise NoOwner(self._name, "only a scheduler carries runs on")

    def _parts(self) -> Parts:
        return Parts(self._url, Settings(only_client=True), Handlers(), {})

    def _stop_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            _, parts, desk = reading
            desk.close()
            parts.reader.stop()
            parts.ledger.close()

    async def _work(self) -> None:
        try:
            while self._errands:
                await self._visit()
        finally:
            self._worker = None
            self._fail(NotRunning("what would have written to the ledger"))

    async def _visit(self) -> None:
        parts = self._parts()
        try:
            await parts.loop.start(f"client, process {os.getpid()}")
        except WsaiosError as error:
            self._fail(error)
            return
        parts.reader.start()
        desk = Desk(parts.service)
        errands, self._errands = self._errands, deque()
        answers: list[Any] = [NotRunning("what would have written to the ledger")] * len(errands)
        try:
            if self._first is not None:
                await self._first(parts)
            answers = await asyncio.gather(*(errand(desk) for errand, _ in errands), return_exceptions=True)
        finally:
            desk.close()
            await parts.loop.stop()
            parts.reader.stop()
            # Told only now: whoever asked may start an owner next, which must not find this holder.
            for (_, future), answer in zip(errands, answers, strict=True):
                _settle(future, answer)

    def _fail(self, error: Exception) -> None:
        errands, self._errands = self._errands, deque()
        for _, future in errands:
            _settle(future, error)


def _settle(future: "asyncio.Future[Any]", answer: object) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
