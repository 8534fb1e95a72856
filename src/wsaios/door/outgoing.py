"""A batch on its way from a client: streamed to the owner, or gathered in a file until the ledger can be held."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Final

import msgspec

from wsaios.door.line import Line, Trouble
from wsaios.door.questions import Asker, BatchAbort, BatchFind, BatchOpen, BatchRows, BatchSeal
from wsaios.door.wire import Lost
from wsaios.kernel.errors import Interrupted, LedgerOwned, NotRunning, Unacknowledged
from wsaios.kernel.task import Batch, BatchState

_IN_MEMORY_BYTES: Final = 8 << 20
_ROWS: Final = msgspec.msgpack.Decoder(list[bytes])
_PREFIX: Final = 4


class Outgoing:
    """Rows go out chunk by chunk, one under way while the next is gathered; `seal` makes all of them exist, or none."""

    def __init__(self, line: Line, opening: BatchOpen) -> None:
        """`opening.key` is like no other."""
        self._line = line
        self._opening = opening
        self._to: _Sending | _Spool = _Spool()
        self._rows = 0

    async def start(self) -> None:
        """Find out whom to send to."""
        try:
            wire = await self._line.reach()
            if wire is not None:
                sending = _Sending(wire)
                await sending.open(self._opening)
                self._to = sending
        except (Lost, NotRunning):
            # Whoever is there when all rows have come gets them.
            return

    async def add(self, rows: list[bytes]) -> None:
        """Return when there is room for the next chunk.

        Raises:
            InvalidInput: a row was refused.
            Interrupted: the owner went away; nothing remains.
        """
        self._rows += len(rows)
        if isinstance(self._to, _Spool):
            self._to.put(rows)
            return
        try:
            await self._to.add(rows)
        except (Lost, NotRunning, Unacknowledged) as error:
            raise Interrupted(self._line.name, self._rows) from error

    async def seal(self) -> Batch:
        """The batch as it was accepted, once.

        Raises:
            Interrupted: the owner went away before; nothing remains.
            Unacknowledged: nobody came back to say whether it was accepted.
        """
        if isinstance(self._to, _Spool):
            with closing(self._to):
                return await self._deliver(self._to)
        try:
            return await self._to.seal()
        except NotRunning as error:
            raise Interrupted(self._line.name, self._rows) from error
        except (Lost, Unacknowledged) as error:
            found = await self._found(error)
            if found is None:
                raise Interrupted(self._line.name, self._rows) from error
            return found

    async def abort(self) -> None:
        """Take it back; safe to call whatever happened."""
        if isinstance(self._to, _Spool):
            self._to.close()
            return
        with suppress(Lost, NotRunning):
            await self._to.abort()

    async def _deliver(self, spool: "_Spool") -> Batch:
        trouble = Trouble(self._line.name, self._line.retry_s, writes=True)
        error: Exception = NotRunning()
        while True:
            try:
                found = await self._found(error) if trouble.lost else None
                if found is not None:
                    return found
                wire = await self._line.reach()
                if wire is not None:
                    return await self._push(wire, spool)
                return await self._line.alone.visit(lambda desk: self._push(desk, spool))
            except (Lost, NotRunning, LedgerOwned, Unacknowledged) as again:
                error = again
            await trouble.meet(error)

    async def _push(self, asker: Asker, spool: "_Spool") -> Batch:
        sending = _Sending(asker)
        await sending.open(self._opening)
        try:
            for rows in spool.chunks():
                await sending.add(rows)
            return await sending.seal()
        except BaseException:
            with suppress(Lost, NotRunning):
                await sending.abort()
            raise

    async def _found(self, why: Exception) -> Batch | None:
        """The batch when it was sealed, None when it was not and never will be."""
        trouble = Trouble(self._line.name, self._line.retry_s, writes=True)
        find = BatchFind(self._opening.key)
        while True:
            error = why
            try:
                wire = await self._line.reach()
                if wire is None:
                    # Who holds the lock knows that no owner is about to seal it.
                    found = await self._line.alone.visit(lambda desk: desk.ask(find))
                    return found if found is not None and found.state == BatchState.SEALED else None
                found = await wire.ask(find)
                if found is None or found.state == BatchState.SEALED:
                    return found
            except (Lost, NotRunning, LedgerOwned, Unacknowledged) as again:
                error = again
            await trouble.meet(error)


class _Sending:
    """Chunks to one who answers, in order."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._handle = 0
        self._last: asyncio.Task[None] | None = None

    async def open(self, opening: BatchOpen) -> None:
        self._handle = await self._asker.ask(opening)

    async def add(self, rows: list[bytes]) -> None:
        await self._settle()
        self._last = asyncio.get_running_loop().create_task(self._asker.ask(BatchRows(self._handle, rows)))

    async def seal(self) -> Batch:
        await self._settle()
        return await self._asker.ask(BatchSeal(self._handle))

    async def abort(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.cancel()
            await asyncio.gather(last, return_exceptions=True)
        if self._handle:
            await self._asker.ask(BatchAbort(self._handle))

    async def _settle(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            await last


class _Spool:
    """Chunks of rows in order, in memory while they are few, else in a file without a name."""

    def __init__(self) -> None:
        self._file: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._encode = msgspec.msgpack.Encoder().encode

    def put(self, rows: list[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  # closed by `close`
        data = self._encode(rows)
        self._file.write(len(data).to_bytes(_PREFIX, "big") + data)

    def chunks(self) -> Iterator[list[bytes]]:
        file = self._file
        if file is None:
            return
        file.seek(0)
        while prefix := file.read(_PREFIX):
            yield _ROWS.decode(file.read(int.from_bytes(prefix, "big")))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
