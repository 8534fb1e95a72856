"""A local engine at work, and what it reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeVar

import msgspec

from wsaios.engines.local import Handlers, LocalEngine
from wsaios.kernel.engine import AtHand, Attempt, AttemptRef, Ended, Noted, Receipt, Report, Work, WorkerLost
from wsaios.kernel.task import LaneSpec

R = TypeVar("R", bound=Report)
LANES = {"default": LaneSpec("default", 4), "thread": LaneSpec("thread", 2, "thread")}


class Running:
    """Submits rows to handlers and waits for what comes of them."""

    def __init__(self, engine: LocalEngine, handlers: Handlers) -> None:
        self.engine = engine
        self.handlers = handlers
        self.rounds: list[list[Report]] = []
        self._arrived = asyncio.Event()
        self._number = count(1)

    @property
    def reports(self) -> list[Report]:
        return [report for round_ in self.rounds for report in round_]

    def sink(self, reports: Sequence[Report]) -> Awaitable[None]:
        self.rounds.append(list(reports))
        self._arrived.set()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def work(self, name: str, *rows: dict[str, Any], **options: Any) -> Work:
        handler = self.handlers.get(name)
        assert handler is not None
        payloads = [msgspec.json.encode(row) for row in rows or ({},)]
        attempts = [Attempt(next(self._number), 1, 1, 0, payload, "default") for payload in payloads]
        return Work(name, handler.lane, attempts, **options)

    async def submit(self, *works: Work) -> list[AttemptRef]:
        assert await self.engine.submit(works) == [Receipt.ACCEPTED] * len(works)
        return [AttemptRef(attempt.task, attempt.fence) for work in works for attempt in work.attempts]

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not done():
                self._arrived.clear()
                await self._arrived.wait()

    async def ends(self, *works: Work) -> list[Ended]:
        wanted = await self.submit(*works)
        await self.until(lambda: all(self.of(Ended, ref) for ref in wanted))
        return [self.of(Ended, ref)[0] for ref in wanted]

    async def end(self, name: str, **arguments: Any) -> Ended:
        (end,) = await self.ends(self.work(name, arguments))
        return end

    async def value(self, name: str, **arguments: Any) -> Any:
        end = await self.end(name, **arguments)
        assert end.failure is None, end.failure
        return msgspec.json.decode(end.result)

    def of(self, kind: type[R], ref: tuple[int, int]) -> list[R]:
        return [
            report
            for report in self.reports
            if isinstance(report, kind)
            and not isinstance(report, (WorkerLost, AtHand))
            and (report.task, report.fence) == ref
        ]

    def notes(self) -> list[Noted]:
        return [report for report in self.reports if isinstance(report, Noted)]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Running]:
    handlers = Handlers()
    lanes = settings.pop("lanes", LANES)
    engine = LocalEngine(handlers, lanes, **({"grace_s": 0.05} | settings))
    served = Running(engine, handlers)
    await engine.start(served.sink)
    try:
        yield served
    finally:
        await engine.stop()
