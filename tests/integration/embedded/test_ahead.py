"""Commits that take their time: what is decided meanwhile waits for its own, and nobody is forgotten."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any, Self

import pytest

from tests.integration.embedded.conftest import Gate
from wsaios import Scheduler, errors
from wsaios.bootstrap import Settings
from wsaios.kernel.events import OpenBatch, SealBatch, StageRows, Submit
from wsaios.kernel.ledger import Commit, Committed
from wsaios.kernel.task import Batch, NewTask
from wsaios.scheduler.loop import Loop
from wsaios.scheduler.service import CHUNK_ROWS, Limits


class Air:
    """Stands before the commits of a scheduler's ledger: while it is held, each waits to be let through or to fail."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._ledger = scheduler._parts.ledger  # noqa: SLF001  # it stands where only the driver calls
        self._prepare = self._ledger.prepare
        self._ledger.prepare = self  # type: ignore[method-assign]  # between driver and ledger
        self._permits = threading.Semaphore(0)
        self._held = False
        self._error: Exception | None = None
        self.launched: list[Commit] = []
        self._launch = asyncio.Event()

    def __call__(self, batch: Commit) -> Callable[[], Committed]:
        write = self._prepare(batch)
        if not self._held:
            return write
        self.launched.append(batch)
        self._launch.set()

        def late() -> Committed:
            assert self._permits.acquire(timeout=10)
            error, self._error = self._error, None
            if error is not None:
                raise error
            return write()

        return late

    async def __aenter__(self) -> Self:
        """Begin to stand there."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let everyone go, so that the scheduler can stop."""
        self.free()

    def hold(self) -> None:
        """From now on commits wait."""
        self._held, self.launched = True, []

    async def seen(self, count: int = 1) -> None:
        """Wait until so many commits were launched since `hold`."""
        while len(self.launched) < count:
            self._launch.clear()
            await asyncio.wait_for(self._launch.wait(), 10)

    def let(self) -> None:
        """One goes through."""
        self._permits.release()

    def fail(self, error: Exception | None = None) -> None:
        """The next one fails."""
        self._error = error or errors.LedgerUnavailable(self._ledger.name, "the disk went away for a moment")
        self._permits.release()

    def free(self) -> None:
        """Whoever waits goes through, and nobody waits any more."""
        self._held = False
        self._permits.release(1000)


def _loop(scheduler: Scheduler) -> Loop:
    return scheduler._parts.loop  # noqa: SLF001  # the driver itself is what is tested here


async def _turns(count: int = 20) -> None:
    """Let the driver go as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_landed_leaves_although_the_next_step_fails(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler, Air(scheduler) as air:
        air.hold()
        first = asyncio.ensure_future(scheduler.submit("unknown"))
        await air.seen(1)
        plain = [asyncio.ensure_future(scheduler.submit("gate", {"name": name})) for name in range(4)]
        keyed = asyncio.ensure_future(scheduler.submit("unknown", idempotency_key="k"))
        await _turns()
        air.let()
        await air.seen(2)
        # This commit asks for a key, so nothing is taken in before it has landed.
        _loop(scheduler).post("no event")  # type: ignore[arg-type]  # a step that fails
        air.free()
        accepted = [await asyncio.wait_for(each, 5) for each in (first, *plain)]
        with pytest.raises(errors.Unacknowledged):
            await keyed
        gate.open()
        assert [await task.result(timeout_s=10) for task in accepted[1:]] == [0, 1, 2, 3]


async def test_rows_of_a_failed_commit_make_room(url: str) -> None:
    scheduler = Scheduler(url, limits=Limits(pending_rows=3), grace_s=1)
    async with scheduler:
        for _ in range(4):
            async with Air(scheduler) as air:
                air.hold()
                waiting = asyncio.ensure_future(scheduler.submit("unknown"))
                await air.seen()
                air.fail()
                with pytest.raises(errors.Unacknowledged):
                    await waiting
        await scheduler.submit("unknown")
        assert (_loop(scheduler).pending_rows, _loop(scheduler).pending_bytes) == (0, 0)


@pytest.mark.parametrize("ends", [False, True])
async def test_a_batch_that_waits_for_room_is_told_of_a_failed_commit(
    url: str, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr("wsaios.scheduler.loop._REBUILD_WAITS_S", (0.0,))
    scheduler = Scheduler(url, limits=Limits(pending_rows=CHUNK_ROWS + 1), grace_s=1)
    async with scheduler, Air(scheduler) as air:
        waiting = asyncio.ensure_future(scheduler.submit_many("unknown", ({} for _ in range(3 * CHUNK_ROWS))))  # noqa: RUF006  # awaited below
        while not _loop(scheduler).pending_rows:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)
        air.hold()
        await air.seen()
        await _turns()
        if ends:
            ledger = scheduler._parts.ledger  # noqa: SLF001  # as above

            def broken(now_us: int) -> Any:
                raise errors.LedgerUnavailable(ledger.name, "the disk stays away")

            monkeypatch.setattr(ledger, "reopen", broken)
        air.fail()
        air.free()
        with pytest.raises((errors.Unacknowledged, errors.NotRunning)):
            await asyncio.wait_for(waiting, 10)


async def test_a_time_that_is_over_does_not_keep_the_driver_busy_while_a_commit_is_on_its_way(
    scheduler: Scheduler,
) -> None:
    async with scheduler, Air(scheduler) as air:
        loop = _loop(scheduler)
        opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        staged: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        loop.post(OpenBatch(opened, Batch(0, 0, "unknown", "default", 0)))
        number = await opened
        template = NewTask("unknown", b"", due_us=1 << 60)
        loop.post(StageRows(staged, number, template, [b"{}"] * 3))
        await staged
        air.hold()
        first = asyncio.ensure_future(scheduler.submit("unknown"))
        await air.seen()
        # The rows of a sealed batch with times must be read anew, which only the next commit can do.
        loop.post(SealBatch(None, number))
        core, taken = loop.core, 0
        assert core is not None
        take = core.take

        def counted(*arguments: Any) -> None:
            nonlocal taken
            taken += 1
            take(*arguments)

        core.take = counted  # type: ignore[method-assign, assignment]  # counts steps
        await asyncio.sleep(0.2)
        air.free()
        await first
        assert taken < 10


async def test_a_batch_is_not_finished_before_that_is_durable(scheduler: Scheduler) -> None:
    gate = Gate()
    scheduler.add_handler("gate", gate)
    async with scheduler, Air(scheduler) as air:
        batch = await scheduler.submit_many("gate", [{"name": 1}, {"name": 2}])
        await gate.seen(2)
        air.hold()
        first = asyncio.ensure_future(scheduler.submit("unknown"))
        await air.seen()
        gate.open()
        await _turns(50)
        assert not (await batch.status()).finished
        with pytest.raises(TimeoutError):
            await batch.wait(timeout_s=0.1)
        air.free()
        await first
        assert (await batch.wait(timeout_s=10)).finished


async def test_pruning_finds_a_moment_however_much_comes_in(url: str) -> None:
    scheduler = Scheduler(url, settings=Settings(retention_s=0))
    async with scheduler:
        loop, pruning = _loop(scheduler), scheduler._parts.pruning  # noqa: SLF001  # its rounds come every ten minutes
        round_of = asyncio.ensure_future(pruning.round())
        count, end_s = 0, asyncio.get_running_loop().time() + 5
        while not round_of.done() and asyncio.get_running_loop().time() < end_s:
            # Each of these asks the ledger whether its key is there.
            loop.post(Submit(None, [NewTask("unknown", b"{}", idempotency_key=f"{count}")]))
            count += 1
            await asyncio.sleep(0)
        assert round_of.done()
        await round_of


async def test_who_waits_is_told_when_the_driver_is_cancelled(scheduler: Scheduler) -> None:
    async with scheduler, Air(scheduler) as air:
        air.hold()
        first = asyncio.ensure_future(scheduler.submit("unknown"))
        await air.seen()
        second = asyncio.ensure_future(scheduler.submit("unknown"))
        await _turns()
        driver = _loop(scheduler)._driver  # noqa: SLF001  # as a program does that cancels every task it finds
        assert driver is not None
        driver.cancel()
        with pytest.raises(errors.Unacknowledged):
            await asyncio.wait_for(first, 5)
        # Nothing was decided about the second one yet.
        with pytest.raises(errors.NotRunning):
            await asyncio.wait_for(second, 5)
        air.free()


async def test_a_watcher_is_called_after_the_commit_of_what_it_hears(scheduler: Scheduler) -> None:
    heard: list[object] = []
    calls = threading.Event()

    def watcher(key: str, old: object, new: object) -> None:
        heard.append((key, old, new))
        calls.set()

    scheduler.state.watch("seen", watcher)
    async with scheduler, Air(scheduler) as air:
        await scheduler.flush()
        air.hold()
        waiting = [asyncio.ensure_future(scheduler.submit("unknown"))]
        await air.seen(1)
        waiting += [asyncio.ensure_future(scheduler.submit("unknown")) for _ in range(130)]
        await air.seen(2)
        # These wait until one of the two has landed.
        waiting += [asyncio.ensure_future(scheduler.submit("unknown")) for _ in range(130)]
        await _turns()
        chore = asyncio.ensure_future(_loop(scheduler).upkeep(lambda: None))
        await _turns()
        scheduler.state.set("seen", 1)
        air.let()
        await air.seen(3)
        assert not any(fact[0] == "state" for fact in air.launched[2].facts)
        air.let()
        air.let()
        await asyncio.wait_for(asyncio.gather(*waiting, chore), 10)
        await air.seen(4)
        assert not await asyncio.to_thread(calls.wait, 0.2)
        air.free()
        assert await asyncio.to_thread(calls.wait, 5)
        assert heard == [("seen", None, 1)]


async def test_a_commit_behind_one_that_is_fenced_leaves_no_error_that_nobody_took(url: str) -> None:
    strays: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: strays.append(context))
    answers = {type(answer) for answer in await _fenced(Scheduler(url, grace_s=1))}
    gc.collect()
    assert answers == {errors.Unacknowledged}
    assert not strays


async def _fenced(scheduler: Scheduler) -> list[object]:
    async with scheduler, Air(scheduler) as air:
        air.hold()
        waiting = [asyncio.ensure_future(scheduler.submit("unknown"))]
        await air.seen(1)
        waiting += [asyncio.ensure_future(scheduler.submit("unknown")) for _ in range(130)]
        await air.seen(2)
        air.fail(errors.Fenced(scheduler.url, 1))
        air.free()
        return list(await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5))
