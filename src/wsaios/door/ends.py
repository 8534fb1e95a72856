"""How a client of a ledger on a server hears what has ended: it is woken, and reads on in the order of ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from wsaios.door.bell import Alarm
from wsaios.kernel.errors import LedgerUnavailable, WsaiosError
from wsaios.kernel.events import Closed
from wsaios.kernel.task import Body, Outcome
from wsaios.ledger.ownership import Holder
from wsaios.ledger.postgres import records
from wsaios.ledger.postgres.link import Link
from wsaios.ledger.postgres.ownership import claim_of
from wsaios.scheduler.watch import Watch

_LOOK_S: Final = 1.0
_PAGE: Final = 5000
_FEW: Final = 2000
_NOTHING: Final = Body(0)


class Ends:
    """Feeds a `Watch` while somebody waits, and knows whether an owner lives."""

    def __init__(self, url: str, watch: Watch, retry_s: float) -> None:
        """`retry_s` is how long an owner that went away may take to come back."""
        self._alarm = Alarm()
        self.link = Link(url, heard=self._alarm.ring)
        self._watch = watch
        self._retry_s = retry_s
        self._impatient: set[asyncio.Future[None]] = set()
        self._gone_s: float | None = None
        self._waiting = 0
        self._place = (0, 0)
        self._begun = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._seen_s = float("-inf")
        self._owner: Holder | None = None
        self.answers: dict[int, asyncio.Future[bytes]] = {}

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Whatever ends inside of this is told to the watch."""
        async with self._begun:
            if not self._waiting:
                found = await self.link.rows("ends_from")
                self._place = (found[0][0], found[0][1]) if found else (0, 0)
                # Whoever listens slept without an end while nobody waited.
                self._alarm.ring()
            self._waiting += 1
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._listen(), name="wsaios-ends")
        try:
            yield
        finally:
            self._waiting -= 1

    async def owner(self, *, now: bool = False) -> Holder | None:
        """The scheduler that owns the ledger; None when none lives. Unless `now` is set that may be a second old.

        Raises:
            LedgerUnavailable: the server cannot be asked.
        """
        if now or time.monotonic() - self._seen_s > _LOOK_S:
            claim = await self.link.ask(claim_of)
            self._owner = None if claim.free or claim.holder.kind != "owner" else claim.holder
            self._seen_s = time.monotonic()
            if self._owner is not None:
                self._gone_s = None
            elif self._gone_s is None:
                self._gone_s = self._seen_s
        return self._owner

    @asynccontextmanager
    async def abandoned(self) -> AsyncIterator["asyncio.Future[None]"]:
        """A future that is done when no owner lives: at once when none does now, else when none comes back in time."""
        nobody: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if await self.owner(now=self._owner is None) is None:
            nobody.set_result(None)
        self._impatient.add(nobody)
        try:
            yield nobody
        finally:
            self._impatient.discard(nobody)

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            # Whoever should have woken us may be dead.
            await self._alarm.wait(_LOOK_S if self._waiting else None)
            if not self._waiting:
                continue
            try:
                await self._look()
            except LedgerUnavailable:
                await asyncio.sleep(_LOOK_S / 4)
                self._alarm.ring()
            except WsaiosError as error:
                self._watch.fail(error)

    async def _look(self) -> None:
        if self.answers:
            for number, body in await self.link.rows("answers_to", questions=list(self.answers)):
                future = self.answers.pop(number, None)
                if future is not None and not future.done():
                    future.set_result(body)
        tasks, batches, everything = self._watch.waited()
        if everything or len(tasks) > _FEW:
            await self._read_on()
        else:
            found = await self.link.rows("ends_from")
            if tasks:
                await self._tell_of(tasks)
            self._place = (found[0][0], 0) if found else (0, 0)
        if batches:
            over = await self.link.rows("batches_over", ids=batches)
            self._watch.look_again([number for (number,) in over])
        if self._impatient and await self.owner() is None and self._gone_for_s() > self._retry_s:
            for nobody in self._impatient:
                if not nobody.done():
                    nobody.set_result(None)

    async def _read_on(self) -> None:
        while True:
            us, number = self._place
            page = await self.link.rows("ends_after", ended_us=us, id=number, limit=_PAGE)
            if page:
                await self._tell(page)
                self._place = (page[-1][0], page[-1][1])
            if len(page) < _PAGE:
                break
        # Another commit of the same microsecond may hold smaller ids.
        self._place = (self._place[0], 0)

    def _gone_for_s(self) -> float:
        return 0.0 if self._gone_s is None else time.monotonic() - self._gone_s

    async def _tell(self, page: list[Any]) -> None:
        tasks, _, everything = self._watch.waited()
        waited = set(tasks).intersection(number for _, number, _ in page)
        if waited:
            await self._tell_of(list(waited))
        if everything:
            closed = [
                Closed(Outcome(number, 0, 0, state, 0, us, 0, None, 0, 0, None, _NOTHING), b"", "")
                for us, number, state in page
            ]
            self._watch.closed(closed)

    async def _tell_of(self, tasks: list[int]) -> None:
        rows = await self.link.rows("ends_of", ids=tasks)
        outcomes = records.outcomes_of(rows)
        closed = [Closed(out, row[11] or b"", row[12]) for out, row in zip(outcomes, rows, strict=True)]
        if closed:
            self._watch.closed(closed)
