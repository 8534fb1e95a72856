"""A batch on its way into the intake of a ledger on a server; nobody sees its rows before it is whole."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from wsaios.door.outbox import Entry, Outbox
from wsaios.kernel.errors import Interrupted, LedgerUnavailable, Unacknowledged, WsaiosError
from wsaios.kernel.ids import IdRange
from wsaios.kernel.intake import Kind, Left, LeftBatch, LeftRows
from wsaios.kernel.task import Batch, BatchState

Made = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
_FIRST_RUN: Final = 4096
_LONGEST_RUN: Final = 1 << 20


class Parcel:
    """Rows go out chunk by chunk, one under way while the next is gathered; `seal` makes all of them exist, or none."""

    def __init__(self, outbox: Outbox, name: str, like: Left, made: Made, *, keep: bool, meta: dict[str, Any]) -> None:
        """`name` is what messages call the ledger; `like` is every row but for its arguments.

        `made` does its first work, and makes a ledger for it when there is none.
        """
        self._made = made
        self._outbox = outbox
        self._name = name
        self._like = like
        self._keep = keep
        self._meta = meta
        self._batch = 0
        self._rows = 0
        self._runs: list[IdRange] = []
        self._used = 0
        self._last: asyncio.Task[None] | None = None
        self._encode = msgspec.msgpack.Encoder().encode

    async def _start(self) -> None:
        ids = await self._outbox.ids(1)
        self._batch = ids.first
        await self._outbox.add([Entry(Kind.BATCH, ids, self._batch, ready=False, body=self._head())])

    async def add(self, rows: list[bytes]) -> None:
        """Return when there is room for the next chunk.

        Raises:
            Interrupted: the server went away; nothing remains.
        """
        await self._begun()
        entries = [
            Entry(Kind.ROWS, ids, self._batch, ready=False, body=self._encode(LeftRows(self._like, part)))
            for ids, part in await self._placed(rows)
        ]
        await self._settle()
        self._rows += len(rows)
        self._last = asyncio.get_running_loop().create_task(self._outbox.add(entries))

    async def seal(self) -> Batch:
        """The batch as it was accepted, once.

        Raises:
            Interrupted: the server went away before; nothing remains.
            Unacknowledged: nobody knows whether it was accepted.
        """
        await self._begun()
        await self._settle()
        body = self._head()

        async def write(*, again: bool) -> bool:
            link = self._outbox.link
            whole = (await link.rows("intake_sealed", batch=self._batch))[0][0] if again else False
            if whole is False:
                whole = bool(await link.change("intake_seal", batch=self._batch, body=body))
            return bool(whole)

        if not await self._outbox.insist(write):
            raise Interrupted(self._name, self._rows)
        task, ranges = self._like.task, self._ranges()
        batch = Batch(self._batch, BatchState.SEALED, task.handler, task.tenant, 0, rows=self._rows, keep=self._keep)
        batch.ranges, batch.meta = ranges, self._meta
        return batch

    async def abort(self) -> None:
        """Take it back; safe to call whatever happened."""
        last, self._last = self._last, None
        if last is not None:
            await asyncio.wait((last,))
            _ = last.exception()
        if self._batch:
            with suppress(WsaiosError):
                await self._outbox.link.change("intake_drop", batch=self._batch)

    async def _begun(self) -> None:
        # Not before there is a row: one that is refused leaves no trace.
        if not self._batch:
            await self._made(self._start)

    async def _placed(self, rows: list[bytes]) -> list[tuple[IdRange, list[bytes]]]:
        """Ids for rows: each run is twice as long as the one before it."""
        placed = []
        while rows:
            if not self._runs or self._used == self._runs[-1].length:
                length = min(self._runs[-1].length * 2, _LONGEST_RUN) if self._runs else _FIRST_RUN
                self._runs.append(await self._new_run(length))
                self._used = 0
            run = self._runs[-1]
            count = min(len(rows), run.length - self._used)
            placed.append((IdRange(run.at(self._used), count), rows[:count]))
            self._used += count
            rows = rows[count:]
        return placed

    async def _new_run(self, length: int) -> IdRange:
        async def take(*, again: bool) -> IdRange:  # noqa: ARG001  # ids that nobody uses do no harm
            return await self._outbox.ids(length)

        try:
            return await self._outbox.insist(take)
        except (LedgerUnavailable, Unacknowledged) as error:
            raise Interrupted(self._name, self._rows) from error

    async def _settle(self) -> None:
        last, self._last = self._last, None
        if last is None:
            return
        try:
            await last
        except (LedgerUnavailable, Unacknowledged) as error:
            raise Interrupted(self._name, self._rows) from error

    def _head(self) -> bytes:
        return self._encode(LeftBatch(self._like, self._keep, self._meta, self._rows, self._ranges()))

    def _ranges(self) -> list[tuple[int, int]]:
        ranges = [(run.first, run.length) for run in self._runs]
        if ranges:
            ranges[-1] = (ranges[-1][0], self._used)
        return ranges
