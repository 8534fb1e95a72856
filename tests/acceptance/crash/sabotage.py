"""Breaks in a worker what the product promises, to see that the checks notice; nothing of it is part of the product."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.acceptance.crash.work import Answer, Work
from wsaios import Context
from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.events import Effects
from wsaios.kernel.ledger import Commit, Committed
from wsaios.kernel.states import State
from wsaios.kernel.task import Effective, Task
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.scheduler.core import Core
from wsaios.scheduler.reports import Reports


def without_fence() -> None:
    """Take any outcome for a running task, whichever attempt it came from."""

    def holder(self: Any, ref: tuple[int, int]) -> Task | None:
        task: Task | None = self._book.tasks.get(ref[0])
        return task if task is not None and task.state == State.RUNNING else None

    Reports._holder = holder  # type: ignore[method-assign]  # noqa: SLF001


def acknowledges_early() -> None:
    """Answer who submits tasks before the commit, which then takes its time; where a run stands, the ledger says."""
    finish = Core.finish

    def hasty(self: Core) -> Effects:
        effects = finish(self)
        for reply in effects.replies:
            early = isinstance(reply.value, list) and reply.error is None
            if early and isinstance(reply.token, asyncio.Future) and not reply.token.done():
                reply.token.set_result(reply.value)
        return effects

    def slowed(prepare: Callable[[Any, Commit], Callable[[], Committed]]) -> Any:
        def slow(self: Any, batch: Commit) -> Callable[[], Committed]:
            write = prepare(self, batch)

            def late() -> Committed:
                time.sleep(0.03)
                return write()

            return late

        return slow

    Core.finish = hasty  # type: ignore[method-assign]
    SqliteLedger.prepare = slowed(SqliteLedger.prepare)  # type: ignore[method-assign]
    PostgresLedger.prepare = slowed(PostgresLedger.prepare)  # type: ignore[method-assign]


def repeats_at_most_once() -> None:
    """Forget that some tasks may run at most once, and die inside the first of them."""
    options, once = TaskExecutor.options, Work.once

    def careless(self: TaskExecutor, task: Task, handler: str) -> Effective:
        return msgspec.structs.replace(options(self, task, handler), at_most_once=False)

    async def deadly(self: Work, call: str, context: Context) -> Answer:
        answer = await once(self, call, context)
        if self.first_in_round("died in once"):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    TaskExecutor.options = careless  # type: ignore[method-assign]
    Work.once = deadly  # type: ignore[method-assign]


SABOTAGE: Final[dict[str, Callable[[], None]]] = {
    "no-fence": without_fence,
    "early-acknowledgement": acknowledges_early,
    "at-most-once-repeated": repeats_at_most_once,
}
