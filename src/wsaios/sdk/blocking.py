"""Faces without await: each verb runs the asynchronous one on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from wsaios.kernel.errors import InvalidInput
from wsaios.sdk.handles import Batch, Run, Task
from wsaios.sdk.triggering import Triggers

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class LoopThread:
    """An event loop in a thread, begun with the first call."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._over = False

    def run(self, awaitable: Awaitable[R]) -> R:
        """Wait for it; an interrupt of this thread cancels it.

        Raises:
            InvalidInput: the loop was stopped.
        """
        try:
            loop = self._running()
        except InvalidInput:
            if isinstance(awaitable, Coroutine):
                awaitable.close()
            raise
        call = _Call(awaitable, loop)
        try:
            return call.wait()
        except BaseException:
            loop.call_soon_threadsafe(call.cancel)
            raise

    def iterate(self, items: AsyncGenerator[R, None]) -> Iterator[R]:
        """The items, each waited for when it is asked for."""
        end = object()
        try:
            while (item := self.run(_next(items, end))) is not end:
                yield item
        finally:
            if not self._over:
                self.run(items.aclose())

    def stop(self, last: Callable[[], Awaitable[None]]) -> None:
        """Await `last` on the loop, then end it; safe to call twice."""
        with self._gate:
            over, self._over = self._over, True
            loop, thread = self._loop, self._thread
        if over or loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(_awaited(last()), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._gate:
            if self._over:
                raise InvalidInput("client", "it was closed; make a new one")
            if self._loop is None:
                self._loop = _new_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="wsaios-client", daemon=True)
                self._thread.start()
            return self._loop


class _Call(Generic[R]):
    """One thing to be awaited on the loop for a thread that waits; a future of `concurrent` costs twice as much."""

    def __init__(self, awaitable: Awaitable[R], loop: asyncio.AbstractEventLoop) -> None:
        self._awaitable = awaitable
        self._loop = loop
        self._task: asyncio.Task[R]
        self._over = threading.Lock()
        self._over.acquire()
        loop.call_soon_threadsafe(self._begin)

    def wait(self) -> R:
        """What it gives or raises, when it is over."""
        self._over.acquire()
        try:
            return self._task.result()
        except asyncio.CancelledError as error:
            # Out of a loop it must not pass for something that only an interrupt of the program is.
            raise CancelledError from error

    def cancel(self) -> None:
        """End it, if it has not ended; on the loop, where it has begun before."""
        self._task.cancel()

    def _begin(self) -> None:
        awaitable = self._awaitable
        work = awaitable if isinstance(awaitable, Coroutine) else _awaited(awaitable)
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._end)

    def _end(self, _: asyncio.Future[R]) -> None:
        self._over.release()


class Blocking(Generic[T]):
    """A face over an asynchronous object."""

    def __init__(self, inner: T, home: LoopThread | None = None) -> None:
        self._inner = inner
        self._home = home or LoopThread()

    def _wait(self, awaitable: Awaitable[R]) -> R:
        return self._home.run(awaitable)


def blocking(verb: Callable[Concatenate[T, P], Awaitable[R]]) -> Callable[Concatenate[Blocking[T], P], R]:
    """The verb of a face that runs this one of the object inside, with the same signature and docstring."""

    @wraps(verb)
    def call(self: Blocking[T], /, *arguments: P.args, **options: P.kwargs) -> R:
        return self._wait(verb(self._inner, *arguments, **options))

    return call


class BlockingTask(Blocking[Task]):
    """A `Task` whose verbs return when they are done."""

    @property
    def inner(self) -> Task:
        """The task itself."""
        return self._inner

    @property
    def id(self) -> str:
        """The id that all verbs take."""
        return self._inner.id

    @property
    def number(self) -> int:
        """The number inside the id."""
        return self._inner.number

    result = blocking(Task.result)
    status = blocking(Task.status)
    history = blocking(Task.history)
    why = blocking(Task.why)
    cancel = blocking(Task.cancel)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockingTask) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self._inner)

    def __repr__(self) -> str:
        return repr(self._inner)


class BlockingBatch(Blocking[Batch]):
    """A `Batch` whose verbs return when they are done."""

    @property
    def inner(self) -> Batch:
        """The batch itself."""
        return self._inner

    @property
    def id(self) -> str:
        """The id that all verbs take."""
        return self._inner.id

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[BlockingTask]:
        return (BlockingTask(task, self._home) for task in self._inner)

    def __getitem__(self, index: int) -> BlockingTask:
        return BlockingTask(self._inner[index], self._home)

    status = blocking(Batch.status)
    wait = blocking(Batch.wait)
    cancel = blocking(Batch.cancel)

    def __repr__(self) -> str:
        return repr(self._inner)


class BlockingRun(Blocking[Run]):
    """A `Run` whose verbs return when they are done."""

    @property
    def inner(self) -> Run:
        """The run itself."""
        return self._inner

    @property
    def id(self) -> str:
        """The id that all verbs take."""
        return self._inner.id

    result = blocking(Run.result)
    wait = blocking(Run.wait)
    status = blocking(Run.status)
    steps = blocking(Run.steps)
    signal = blocking(Run.signal)
    cancel = blocking(Run.cancel)
    pause = blocking(Run.pause)
    resume = blocking(Run.resume)
    retry = blocking(Run.retry)

    def __repr__(self) -> str:
        return repr(self._inner)


def _new_loop() -> asyncio.AbstractEventLoop:
    """The faster one where it is installed, as on the command line."""
    try:
        import uvloop  # noqa: PLC0415  # an extra
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        waiting = asyncio.all_tasks(loop)
        for task in waiting:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _awaited(awaitable: Awaitable[R]) -> R:
    return await awaitable


async def _next(items: AsyncGenerator[R, None], end: Any) -> Any:
    return await anext(items, end)


class BlockingTriggers(Blocking[Triggers]):
    """`Triggers` whose verbs return when they are done."""

    cron = blocking(Triggers.cron)
    at = blocking(Triggers.at)
    on_event = blocking(Triggers.on_event)
    on_change = blocking(Triggers.on_change)
    add = blocking(Triggers.add)
    list = blocking(Triggers.list)
    get = blocking(Triggers.get)
    pause = blocking(Triggers.pause)
    resume = blocking(Triggers.resume)
    remove = blocking(Triggers.remove)
    fire = blocking(Triggers.fire)
    next = blocking(Triggers.next)
