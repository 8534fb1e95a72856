"""From the intake of a ledger on a server into its scheduler."""

import asyncio
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InvalidInput, NotRunning
from wsaios.kernel.events import TakeBatch, TakeIn
from wsaios.kernel.intake import Kind, Leaving
from wsaios.kernel.task import NewTask
from wsaios.ledger.postgres.leaving import batch_of, calls_of, leavings_of
from wsaios.ledger.postgres.link import Link
from wsaios.planning.leaving import arrive
from wsaios.scheduler.loop import Loop

_ROWS: Final = 512
_TASKS: Final = 5000


class Taking:
    """Reads rows of the intake in their order; the commit that accepts one takes it out.

    `unread` are places of rows that this version cannot read, and why: they stay for one that can.
    """

    def __init__(self, link: Link, loop: Loop, max_payload_bytes: int) -> None:
        self._link = link
        self._loop = loop
        self._max_payload_bytes = max_payload_bytes
        self.unread: dict[int, str] = {}

    async def some(self) -> bool:
        """Take in what is there, up to some thousand tasks; whether there was anything.

        Raises:
            NotRunning: the scheduler stops.
            LedgerUnavailable: the server cannot be asked.
        """
        rows = leavings_of(await self._link.rows("intake_waiting", rows=_ROWS, most=_TASKS, unread=list(self.unread)))
        if not rows:
            return False
        # What was not committed is still there at the next look, whatever the reason.
        told = await asyncio.gather(*(self._posted(leaving) for leaving in rows), return_exceptions=True)
        for each in told:
            if isinstance(each, NotRunning):
                raise each
        if any(isinstance(each, BaseException) for each in told):
            await asyncio.sleep(0.05)
        return True

    async def _posted(self, leaving: Leaving) -> None:
        try:
            token = self._post(leaving)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            self.unread[leaving.place] = str(error)
        else:
            await token

    def _post(self, leaving: Leaving) -> "asyncio.Future[Any]":
        if not self._loop.running():
            raise NotRunning
        token: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if leaving.kind == Kind.BATCH:
            self._loop.post(TakeBatch(token, leaving.place, batch_of(leaving)))
            return token
        tasks, refused = self._arrived(leaving)
        event = TakeIn(token, leaving.place, tasks, leaving.at_us, leaving.batch, refused)
        self._loop.post(event, len(tasks), sum(len(task.payload) for task in tasks))
        return token

    def _arrived(self, leaving: Leaving) -> tuple[list[NewTask], dict[int, str]]:
        core = self._loop.core
        handlers = core.executor.handlers if core is not None else {}
        tasks, refused = [], {}
        for number, left in calls_of(leaving):
            new = left.task
            try:
                new = arrive(left, handlers.get(new.handler), self._max_payload_bytes, leaving.at_us)
            except InvalidInput as error:
                refused[number] = str(error)
            except msgspec.DecodeError as error:
                refused[number] = str(InvalidInput("arguments", f"must be a JSON object: {error}"))
            new.id = number
            tasks.append(new)
        return tasks, refused
