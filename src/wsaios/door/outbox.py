"""What a client leaves in the intake of a ledger on a server: many calls in one row, one statement at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from wsaios.kernel.errors import (
    IdempotencyConflict,
    InvalidInput,
    LedgerUnavailable,
    Unacknowledged,
    UnknownTask,
    WsaiosError,
)
from wsaios.kernel.ids import IdRange, encode
from wsaios.kernel.intake import Kind, Left
from wsaios.ledger.postgres.link import Link

T = TypeVar("T")
_CALLS: Final = 1000
_BYTES: Final = 4 << 20
_LEASE: Final = 1024
_LEASE_S: Final = 5.0
_PAUSES_S: Final = (0.05, 0.5)


class Entry(NamedTuple):
    """A row for the intake."""

    kind: Kind
    ids: IdRange
    batch: int
    ready: bool
    body: bytes


class Call(NamedTuple):
    """A call on its way; whoever left it waits for its id."""

    left: Left
    told: "asyncio.Future[int]"

    @property
    def alone(self) -> bool:
        """Whether the server must look at it by itself."""
        return bool(self.left.task.idempotency_key or self.left.task.depends_on)


class Outbox:
    """Writes to the intake; over a connection that broke nothing is written twice."""

    def __init__(self, link: Link, retry_s: float, written: Callable[[], None]) -> None:
        """`written` is called when something new is there to be taken in."""
        self.link = link
        self.retry_s = retry_s
        self._written = written
        self._calls: deque[Call] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._ids = IdRange(0, 0)
        self._leased_s = float("-inf")
        self._encode = msgspec.msgpack.Encoder().encode

    async def leave(self, left: Left) -> int:
        """The id of a call that is durable now; those that are left together share a commit.

        Raises:
            InvalidInput, IdempotencyConflict: nothing was left.
            LedgerUnavailable: the server is not there; nothing was left.
            Unacknowledged: nobody knows.
        """
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._calls.append(Call(left, told))
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send(), name="wsaios-outbox")
        return await told

    async def ids(self, count: int) -> IdRange:
        """A run of new ids."""
        return IdRange((await self.link.rows("intake_ids", wanted=count))[0][0], count)

    async def add(self, entries: Sequence[Entry]) -> None:
        """Write rows, once. Raises as `leave`."""
        columns: dict[str, list[Any]] = {
            "kinds": [int(entry.kind) for entry in entries],
            "firsts": [entry.ids.first for entry in entries],
            "lasts": [entry.ids.last for entry in entries],
            "lengths": [entry.ids.length for entry in entries],
            "batches": [entry.batch for entry in entries],
            "readies": [entry.ready for entry in entries],
            "bodies": [entry.body for entry in entries],
        }

        async def write(*, again: bool) -> None:
            if again and await self._known([entries[0].ids.first]):
                return
            await self.link.change("intake_add", **columns)

        await self.insist(write)

    async def insist(self, work: Callable[..., Awaitable[T]]) -> T:
        """What the work brings; when the connection breaks, once more with `again` True, while there is patience.

        Raises:
            LedgerUnavailable: the server is not there, and nothing was done.
            Unacknowledged: nobody knows what was done.
        """
        again, until_s, pause_s = False, time.monotonic() + self.retry_s, _PAUSES_S[0]
        while True:
            try:
                if again:
                    await self.link.settle()
                return await work(again=again)
            except LedgerUnavailable as error:
                again = again or self.link.doubtful
                if not again:
                    raise
                if time.monotonic() > until_s:
                    raise Unacknowledged(str(error)) from error
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSES_S[1])

    async def close(self) -> None:
        """Finish what was begun."""
        if self._sender is not None:
            await asyncio.wait((self._sender,))

    async def _send(self) -> None:
        try:
            while self._calls:
                calls = self._gathered()
                for group in ([call for call in calls if not call.alone], [call for call in calls if call.alone]):
                    if group:
                        await self._deliver(group)
        finally:
            self._sender = None

    async def _deliver(self, calls: list[Call]) -> None:
        try:
            ids = await self._lease(len(calls))
            told = await (self._leave_alone(calls, ids) if calls[0].alone else self._leave_all(calls, ids))
            self._written()
        except Exception as error:  # noqa: BLE001  # everyone who waits must hear it, whatever it is
            told = [error] * len(calls)
        for call, each in zip(calls, told, strict=True):
            if call.told.done():
                continue
            if isinstance(each, int):
                call.told.set_result(each)
            else:
                call.told.set_exception(each)

    async def _leave_all(self, calls: list[Call], ids: IdRange) -> list[int | Exception]:
        body = self._encode([call.left for call in calls])
        await self.add([Entry(Kind.TASKS, ids, 0, ready=True, body=body)])
        return list(ids.span(0, len(calls)))

    async def _leave_alone(self, calls: list[Call], ids: IdRange) -> list[int | Exception]:
        numbers = ids.span(0, len(calls))

        async def write(*, again: bool) -> list[Any]:
            there = await self._known(numbers) if again else set()
            fresh = [(number, call.left) for number, call in zip(numbers, calls, strict=True) if number not in there]
            rows = iter(await self.link.rows("intake_leave", **_columns(fresh, self._encode)) if fresh else ())
            return [(number, None, None) if number in there else next(rows) for number in numbers]

        rows = await self.insist(write)
        return [_told(call.left, *row) for call, row in zip(calls, rows, strict=True)]

    async def _known(self, ids: Sequence[int]) -> set[int]:
        return {number for (number,) in await self.link.rows("intake_known", ids=list(ids))}

    async def _lease(self, count: int) -> IdRange:
        """A run of ids; they carry the time, so that none is kept for long."""
        if self._ids.length < count or time.monotonic() - self._leased_s > _LEASE_S:
            self._ids, self._leased_s = await self.ids(max(count, _LEASE)), time.monotonic()
        taken = IdRange(self._ids.first, count)
        self._ids = IdRange(self._ids.at(count), self._ids.length - count)
        return taken

    def _gathered(self) -> list[Call]:
        calls: list[Call] = []
        size = 0
        while self._calls and len(calls) < _CALLS and size < _BYTES:
            calls.append(self._calls.popleft())
            size += len(calls[-1].left.task.payload)
        return calls


def _columns(calls: Sequence[tuple[int, Left]], encode: Callable[[object], bytes]) -> dict[str, list[Any]]:
    tasks = [left.task for _, left in calls]
    return {
        "ids": [number for number, _ in calls],
        "bodies": [encode([left]) for _, left in calls],
        "tenants": [task.tenant.encode() for task in tasks],
        "keys": [task.idempotency_key.encode() or None for task in tasks],
        "digests": [task.digest for task in tasks],
        "windows_us": [task.idempotency_window_us for task in tasks],
        "parents": [msgspec.json.encode(task.depends_on).decode() for task in tasks],
    }


def _told(left: Left, number: int, known: str | None, missing: int | None) -> int | WsaiosError:
    if missing is not None:
        return InvalidInput("depends_on", str(UnknownTask(encode(missing))))
    if known is not None and known != left.task.digest:
        return IdempotencyConflict(left.task.idempotency_key, encode(number))
    return number
