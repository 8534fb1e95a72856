"""The line from a client to a ledger on a server: work is left there, and reads look into it.

The scheduler, when one lives, is asked through a table what only it knows.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any, Final, TypeVar, cast

import msgspec

from wsaios.bootstrap import Parts, SystemClock
from wsaios.door.alone import Alone
from wsaios.door.bell import Bell
from wsaios.door.desk import Desk
from wsaios.door.ends import Ends
from wsaios.door.faults import error_of
from wsaios.door.line import Trouble, reached
from wsaios.door.outbox import Outbox
from wsaios.door.parcel import Parcel
from wsaios.door.questions import (
    A,
    ActOn,
    Ask,
    BatchOpen,
    DeclareTrigger,
    Done,
    EmitEvent,
    Failed,
    Flush,
    FollowEnd,
    FollowNext,
    FollowOpen,
    LimitBy,
    ListTriggers,
    OrderBy,
    OverviewOf,
    PublishOn,
    Question,
    Ranges,
    ResultOf,
    RouteOn,
    RunStart,
    SignalOn,
    StatusOf,
    SubmitOne,
    TriggerAct,
    WhyOf,
    answer_type,
    repeats,
    sent_again,
)
from wsaios.door.results import Results
from wsaios.door.taking import Taking
from wsaios.door.wire import Lost
from wsaios.kernel.errors import InvalidInput, LedgerOwned, LedgerUnavailable, NoOwner, NotRunning, WsaiosError
from wsaios.kernel.json_value import checked
from wsaios.ledger.location import locate
from wsaios.ledger.postgres.link import Link
from wsaios.ledger.postgres.looking import LinkReads
from wsaios.planning.calls import Calls
from wsaios.planning.leaving import leave, leave_rows
from wsaios.scheduler.places import Places
from wsaios.scheduler.service import Limits, Service, result_of
from wsaios.scheduler.watch import Watch

T = TypeVar("T")
_PAGE: Final = 2000
_AT_ONCE_S: Final = 0.05
_LOOK_S: Final = 1.0
_ASKED: Final = (
    *(ActOn, Flush, LimitBy, OrderBy, DeclareTrigger, TriggerAct, ListTriggers, EmitEvent),
    *(PublishOn, RouteOn, RunStart, SignalOn),
)
_KNOWN_BETTER: Final = (StatusOf, WhyOf)


class Afar:
    """Stands for the loop of a scheduler in another process: what ends is heard, and nothing can be posted."""

    core = None
    ended = None

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def running(self) -> bool:
        """Whoever waits here goes on waiting; the line sees to it that this ends."""
        return True

    def rebuilding(self) -> bool:
        """What another process does at the moment is not known here: the ledger can be asked."""
        return False


class Mail:
    """One client of one ledger on a server.

    `expects_owner`: whoever waits goes on when no owner lives, for one will come.
    """

    def __init__(self, url: str, retry_s: float) -> None:
        """`retry_s` is how long whatever was begun goes on while the server or the owner is away.

        Raises:
            InvalidInput: `url` names no place for a ledger.
            MissingExtra: the driver is not installed.
        """
        self.name = locate(url).name
        self.retry_s = retry_s
        self.session = token_hex(8)
        self.expects_owner = False
        limits, self._clock, watch = Limits(), SystemClock(), Watch()
        self._ends = Ends(url, watch, retry_s)
        self._link = link = self._ends.link
        reads: Any = LinkReads(link)
        self._desk = Desk(Service(cast("Any", Afar(watch)), reads, _awaited, self._clock, limits))
        self._calls = Calls(limits.payload_bytes)
        self._results = Results(link, watch)
        self._bell = Bell(lambda: link.ring("in"))
        self._outbox = Outbox(link, retry_s, self._bell.press)
        self._making = asyncio.Lock()
        self._visited = False
        self._closed = False
        self._url = url
        self.alone = Alone(url, self.name, lambda: self.name, self._take_in)
        self._encode = msgspec.msgpack.Encoder().encode
        self._replies: msgspec.msgpack.Decoder[Done | Failed] = msgspec.msgpack.Decoder(Done | Failed)

    async def ask(self, ask: Ask[A], *, patient: bool = False) -> A:
        """The answer; `patient`: wait for an owner as long as it takes.

        Raises:
            Unacknowledged: nobody knows whether a write was done.
            NoOwner: nobody lives who could answer.
            LedgerOwned: a scheduler lives that answers no clients.
            LedgerUnavailable: the server is not there.
        """
        if self._closed:
            raise InvalidInput("client", "it was closed; make a new one")
        if isinstance(ask, SubmitOne):
            return cast("A", await self._submit(ask))
        if isinstance(ask, _ASKED):
            return cast("A", await self._asked(cast("Ask[Any]", ask)))
        if isinstance(ask, _KNOWN_BETTER):
            return cast("A", await self._known_better(cast("Ask[Any]", ask)))
        if isinstance(ask, OverviewOf):
            found = msgspec.structs.replace(await self._read(ask), owned=await self._ends.owner() is not None)
            return cast("A", found)
        if ask.waits:
            return await self._await(ask, patient=patient)
        return await self._read(ask)

    async def follow(self, ranges: Ranges) -> AsyncGenerator[Ranges, None]:
        """Pages of (id, state) of every task of the ranges as it ends, each once.

        Raises:
            NoOwner: nobody lives, and not all have ended.
        """
        places, desk = Places(ranges), self._desk

        def left() -> str:
            return f"{places.left} of the tasks have not ended"

        async with self._ends.heard():
            handle = await desk.ask(FollowOpen(ranges))
            try:
                while places.left:
                    page = await self._attended(
                        lambda: desk.ask(FollowNext(handle, _PAGE)),
                        lambda: f"{places.left} of the tasks have not ended",
                    )
                    fresh = [each for each in page if places.mark(each[0])]
                    if fresh:
                        yield fresh
                    if not page:
                        return
            finally:
                await desk.ask(FollowEnd(handle))

    async def outgoing(self, opening: BatchOpen) -> Parcel:
        """A batch that is open for rows.

        Raises:
            InvalidInput: an option that no row can have.
        """
        meta: Any = checked(opening.meta, "meta")
        like = leave_rows(self._calls, opening.handler, opening.options, self._clock.now_us())
        return Parcel(self._outbox, self.name, like, self._made, keep=opening.keep, meta=meta)

    async def flush(self) -> None:
        """Return when everything that the owner was told before is durable."""
        if await self._ends.owner(now=True) is not None:
            await self.ask(Flush())

    async def close(self) -> None:
        """End the connections; what was submitted stays."""
        if self._closed:
            return
        self._closed = True
        await self._outbox.close()
        await self._bell.close()
        self._desk.close()
        await self._ends.close()
        await self.alone.close()
        await self._link.close()

    async def _submit(self, ask: SubmitOne) -> int:
        left = leave(self._calls, ask.handler, ask.arguments, ask.options, self._clock.now_us())
        return await self._made(lambda: self._outbox.leave(left))

    async def _asked(self, ask: Ask[Any]) -> Any:
        if isinstance(ask, DeclareTrigger | EmitEvent):
            return await self._made(lambda: self._over_restarts(ask))
        return await self._over_restarts(ask)

    async def _await(self, ask: Ask[A], *, patient: bool) -> A:
        if isinstance(ask, ResultOf):
            # It may have ended long ago.
            closed = await self._insist(lambda: self._results.ended(ask.task))
            if closed is not None:
                return cast("A", result_of(closed))

        async def work() -> Any:
            if isinstance(ask, ResultOf):
                return await self._insist(lambda: self._results.awaited(ask.task))
            return await self._insist(lambda: self._desk.ask(ask))

        async with self._ends.heard():
            if patient or self.expects_owner:
                return cast("A", await work())
            return cast("A", await self._attended(work, lambda: "not everything that was asked for has ended"))

    async def _read(self, ask: Ask[A]) -> A:
        """An answer out of the ledger itself."""
        return await self._insist(lambda: self._desk.ask(ask))

    async def _attended(self, work: Callable[[], Awaitable[T]], what: Callable[[], str]) -> T:
        """Wait for what an owner must do; when none lives for too long, no more. `what` is what it was, for people."""
        task: asyncio.Future[T] = asyncio.ensure_future(work())
        try:
            # Most of what is waited for is there at once, or a moment later.
            await asyncio.wait((task,), timeout=None if self.expects_owner else _AT_ONCE_S)
            if task.done():
                return task.result()
            async with self._ends.abandoned() as nobody:
                await asyncio.wait((task, nobody), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise NoOwner(self.name, what())
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _known_better(self, ask: Ask[A]) -> A:
        """The owner's answer when it comes soon, for it knows more than the ledger; else the ledger's."""
        with suppress(Lost, NotRunning, LedgerOwned):
            if await self._ends.owner(now=True) is not None:
                async with self._ends.heard():
                    return await self._talk(ask, _LOOK_S)
        return await self._read(ask)

    async def _over_restarts(self, ask: Ask[A]) -> A:
        """The owner's answer, or that of whoever holds the ledger while there is none."""
        trouble = Trouble(self.name, self.retry_s, writes=ask.writes)
        while True:
            try:
                if await self._ends.owner(now=True) is not None:
                    async with self._ends.heard():
                        return await self._talk(ask, self.retry_s)
                return await self.alone.ask(ask)
            except (Lost, WsaiosError) as error:
                wanted = reached(ask, error) if trouble.lost else None
                if wanted is not None:
                    return cast("A", wanted)
                await trouble.meet(error, again=repeats(ask))
                ask = sent_again(ask)

    async def _talk(self, ask: Ask[A], within_s: float) -> A:
        link, answers = self._link, self._ends.answers
        ((number,),) = await link.rows("ask", body=self._encode(cast("Question", ask)))
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        answers[number] = told
        self._bell.press()
        until_s = time.monotonic() + within_s
        try:
            while not (await asyncio.wait((told,), timeout=min(_LOOK_S, within_s)))[0]:
                owner = await self._ends.owner()
                if owner is not None and time.monotonic() < until_s:
                    continue
                taken = not await link.change("withdraw", question=number)
                if taken:
                    raise Lost("the scheduler took the question and gave no answer")
                if owner is None:
                    raise NotRunning
                raise LedgerOwned(self.name, owner.described())
        finally:
            answers.pop(number, None)
        reply = self._replies.decode(told.result())
        if isinstance(reply, Failed):
            raise error_of(reply.fault)
        found: A = msgspec.msgpack.decode(reply.value, type=answer_type(type(ask)))
        return found

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the server is away, for it may be restarting."""
        until_s = time.monotonic() + self.retry_s
        while True:
            try:
                return await work()
            except LedgerUnavailable as error:
                if time.monotonic() > until_s or error.unmade or not self._link.doubtful:
                    raise
            await asyncio.sleep(_AT_ONCE_S)

    async def _made(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work brings, on a ledger that is made for it when there is none."""
        try:
            return await work()
        except LedgerUnavailable as error:
            if not error.unmade:
                raise
            async with self._making:
                if not self._visited:
                    with suppress(LedgerOwned):
                        await self.alone.visit(_nothing)
                    self._visited = True
            return await work()

    async def _take_in(self, parts: Parts) -> None:
        """What holds the ledger for a moment must know what was left before."""
        link = Link(self._url)
        try:
            taking = Taking(link, parts.loop, parts.settings.limits.payload_bytes)
            while await taking.some():
                pass
        finally:
            await link.close()


def _awaited(read: Callable[..., Awaitable[Any]], *given: object) -> Awaitable[Any]:
    return read(*given)


async def _nothing(_: object) -> None:
    """Hold the ledger, which makes it."""
