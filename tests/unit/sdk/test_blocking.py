import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator

import pytest

from wsaios import AsyncClient, Client
from wsaios.kernel.errors import InvalidInput
from wsaios.sdk.blocking import BlockingBatch, BlockingTask, BlockingTriggers, LoopThread
from wsaios.sdk.handles import Batch, Task
from wsaios.sdk.triggering import Triggers

OF_THE_LOOP = {"aclose", "pages", "outgoing", "encoded", "asked"}


def verbs(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_") and name not in OF_THE_LOOP
    }


@pytest.mark.parametrize(
    "face, inner",
    [(Client, AsyncClient), (BlockingTask, Task), (BlockingBatch, Batch), (BlockingTriggers, Triggers)],
)
def test_a_face_has_the_verbs_of_what_is_inside_with_the_same_parameters(face: type, inner: type) -> None:
    of_face, of_inner = verbs(face), verbs(inner)
    assert set(of_face) - {"close"} == set(of_inner)
    for name, signature in of_inner.items():
        assert list(of_face[name].parameters) == list(signature.parameters), name
        assert inspect.getdoc(getattr(face, name)), name


async def three() -> AsyncGenerator[int, None]:
    for i in range(3):
        yield i


async def thread_of_the_loop() -> int:
    return threading.get_ident()


async def nothing() -> None:
    return


def test_every_call_runs_on_one_loop_in_a_thread_of_its_own() -> None:
    home = LoopThread()
    idents = {home.run(thread_of_the_loop()) for _ in range(3)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents
    assert list(home.iterate(three())) == [0, 1, 2]
    home.stop(nothing)


def test_errors_come_back_to_the_thread_that_called() -> None:
    async def fails() -> None:
        raise LookupError("x")

    home = LoopThread()
    with pytest.raises(LookupError, match="x"):
        home.run(fails())
    home.stop(nothing)


def test_items_that_are_not_wanted_any_more_are_let_go() -> None:
    ended = threading.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    home = LoopThread()
    for item in home.iterate(endless()):
        assert item == 1
        break
    assert ended.wait(10)
    home.stop(nothing)


def test_stopping_ends_the_thread_and_whatever_still_runs_there() -> None:
    cancelled = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def begin() -> None:
        tasks.append(asyncio.create_task(forever()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    home = LoopThread()
    home.run(begin())
    home.stop(nothing)
    assert cancelled.is_set()
    assert not any(thread.name == "wsaios-client" for thread in threading.enumerate())
    home.stop(nothing)


def test_after_the_end_a_call_says_so() -> None:
    home = LoopThread()
    home.stop(nothing)
    with pytest.raises(InvalidInput, match="closed"):
        home.run(nothing())
