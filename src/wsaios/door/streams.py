"""What stays open between two questions of a connection: the rows of a batch on their way in, and the ends of tasks."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from wsaios.door.questions import Ranges
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import Batch

_AHEAD: Final = 20_000
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
Take = Callable[[AsyncIterator[Mapping[str, object]]], Coroutine[Any, Any, Batch]]


class Feed:
    """A batch whose rows come chunk by chunk."""

    def __init__(self, take: Take) -> None:
        """`take` accepts the rows, all or none, and answers with the batch."""
        self._chunk: asyncio.Queue[tuple[list[bytes], asyncio.Future[None]] | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(take(self._rows()), name="wsaios-door-batch")
        self._task.add_done_callback(_heard)

    async def add(self, rows: list[bytes]) -> None:
        """Return when these rows are taken and there is room for more.

        Raises:
            WsaiosError: the batch was refused, nothing of it remains.
        """
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chunk.put_nowait((rows, taken))
        await asyncio.wait((taken, self._task), return_when=asyncio.FIRST_COMPLETED)
        if self._task.cancelled():
            raise InvalidInput("handle", "this batch was taken back")
        if self._task.done():
            self._task.result()

    async def seal(self) -> Batch:
        """There are no more rows: the batch as it was accepted."""
        self._chunk.put_nowait(None)
        return await asyncio.shield(self._task)

    def stop(self) -> None:
        """Take the batch back, unless it is sealed."""
        self._task.cancel()

    async def stopped(self) -> None:
        """The same, and return when that is durable."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _rows(self) -> AsyncIterator[dict[str, Any]]:
        while (item := await self._chunk.get()) is not None:
            rows, taken = item
            for row in rows:
                yield arguments_of(row)
            if not taken.done():
                taken.set_result(None)


class Follow:
    """The ends of tasks, kept until they are asked for."""

    def __init__(self, ended: AsyncGenerator[tuple[int, int], None]) -> None:
        self._ended = ended
        self._found: deque[tuple[int, int]] = deque()
        self._told = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._gather(), name="wsaios-door-follow")
        self._task.add_done_callback(self._over)

    async def next(self, most: int) -> Ranges:
        """At least one (id, state) and at most `most`; empty when all have ended."""
        while not self._found:
            if self._task.done():
                self._task.result()
                return []
            self._told.clear()
            await self._told.wait()
        page = [self._found.popleft() for _ in range(min(most, len(self._found)))]
        self._room.set()
        return page

    def stop(self) -> None:
        """No longer gather."""
        self._task.cancel()

    async def _gather(self) -> None:
        async with aclosing(self._ended) as ended:
            async for each in ended:
                self._found.append(each)
                self._told.set()
                while len(self._found) >= _AHEAD:
                    self._room.clear()
                    await self._room.wait()

    def _over(self, task: "asyncio.Task[None]") -> None:
        _heard(task)
        self._told.set()


def arguments_of(data: bytes) -> dict[str, Any]:
    """The arguments in a JSON object.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return _OBJECT.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput("arguments", f"must be a JSON object: {error}") from error


def _heard(task: "asyncio.Task[Any]") -> None:
    # Whoever asks gets the error; a connection that ended asks no more.
    if not task.cancelled():
        task.exception()
