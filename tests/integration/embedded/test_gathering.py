"""What comes in one by one while a commit is on its way is stepped for once, when that lands."""

import asyncio
import threading
from pathlib import Path

import pytest

from wsaios import Scheduler
from wsaios.scheduler.core import Core

pytestmark = pytest.mark.timeout(30)
FEW = 8
MANY = 200


class Held:
    """A ledger whose next commit waits until it is let go."""

    def __init__(self, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
        ledger = scheduler._parts.loop._ledger  # noqa: SLF001  # no public verb holds up a commit
        self.on_its_way, self._go = threading.Event(), threading.Event()
        prepare = ledger.prepare

        def held(batch: object) -> object:
            write = prepare(batch)  # type: ignore[arg-type]

            def late() -> object:
                self.on_its_way.set()
                assert self._go.wait(20)
                return write()

            return late

        monkeypatch.setattr(ledger, "prepare", held)

    def let_go(self) -> None:
        self._go.set()


@pytest.mark.parametrize("came", [FEW, MANY])
async def test_few_events_during_a_commit_share_a_step_and_many_are_stepped_for_meanwhile(
    came: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = Scheduler(f"sqlite:///{tmp_path / 'w.db'}")

    @scheduler.handler("double")
    async def double(value: int) -> int:
        return 2 * value

    async with scheduler:
        held = Held(scheduler, monkeypatch)
        taken: list[int] = []
        take = Core.take

        def counted(self: Core, events: object, *more: object) -> None:
            taken.append(len(events))  # type: ignore[arg-type]
            take(self, events, *more)  # type: ignore[arg-type]

        first = asyncio.create_task(scheduler.submit("double", {"value": 0}))
        await asyncio.to_thread(held.on_its_way.wait, 20)
        monkeypatch.setattr(Core, "take", counted)
        others = []
        for value in range(1, came + 1):
            others.append(asyncio.create_task(scheduler.submit("double", {"value": value})))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        before = list(taken)
        held.let_go()
        tasks = [await first, *(await asyncio.gather(*others))]

        assert [await task.result(timeout_s=10) for task in tasks] == [2 * value for value in range(came + 1)]
    if came == FEW:
        assert before == []
        assert taken[0] == FEW
    else:
        assert sum(before) > MANY // 2
