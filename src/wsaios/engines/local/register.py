"""What an engine runs, what it ran lately, and what of it the sink was told."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from wsaios.engines.local.context import Context
from wsaios.engines.local.deadlines import Deadlines
from wsaios.engines.local.handlers import Handler
from wsaios.engines.local.mailbox import Mailbox
from wsaios.engines.local.outcomes import stopped
from wsaios.engines.local.run import Key, Lane, Run
from wsaios.kernel.engine import (
    Aside,
    Attempt,
    AttemptRef,
    Ended,
    Freed,
    OutcomeSink,
    Report,
    Unbegun,
    Work,
    WorkerLost,
)

T = TypeVar("T")

Warn = Callable[..., object]
"""Called with a message and what belongs to it, for an operator's eyes."""


def silent(_: str, **__: object) -> None:
    """Say nothing: for engines that nobody watches."""


REMEMBERED: Final = 16_384
"""How many attempts that ended are surely known, so that a second submit of them is recognised."""


class Register:
    """The one place where works come in and their ends go out; for the loop alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: OutcomeSink, warn: Warn = silent) -> None:
        self.loop = loop
        self.warn = warn
        self.deadlines = Deadlines(loop, _overdue)
        self.running: dict[Key, Run] = {}
        self._mailboxes: list[Mailbox[Any]] = []
        self.contexts: Mailbox[Context] = self.mailbox(self._note)
        self._recent: set[Key] = set()
        self._older: set[Key] = set()
        self._sink = sink
        self._reports: list[Report] = []
        self._flushing = False
        self._owed = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._commits: set[asyncio.Task[None]] = set()
        self._closed = False

    def mailbox(self, deliver: Callable[[T], None]) -> Mailbox[T]:
        """A way for threads to reach `deliver`; each round ends with a flush."""
        box = Mailbox(self.loop, deliver, self.flush)
        self._mailboxes.append(box)
        return box

    def admit(self, work: Work, handler: Handler, lane: Lane) -> Run | None:
        """A run for those attempts of the work that are new here; None when all were seen before."""
        running, recent, older = self.running, self._recent, self._older
        keys = [(attempt.task, attempt.fence) for attempt in work.attempts]
        attempts = work.attempts
        for key in keys:
            if key in running or key in recent or key in older:
                attempts, keys = self._unseen(work)
                break
        if not keys:
            return None
        run = Run(work, attempts, keys, handler, lane)
        for key in keys:
            running[key] = run
        if not self._owed:
            self._quiet.clear()
        self._owed += 1
        return run

    def forget(self, run: Run) -> None:
        """Undo `admit` for a run that could not begin."""
        run.closed = True
        for key in run.keys:
            del self.running[key]
        self._settle(run)

    def finish(self, run: Run, ended: Sequence[Ended]) -> None:
        """A run is over: report its ends, or its slot free if the ends were told before."""
        if run.closed or self._closed:
            return
        run.closed = True
        if self.contexts.items:
            self.contexts.collect()
        if run.timer is not None:
            self.deadlines.disarm(run)
        running, recent = self.running, self._recent
        for key in run.keys:
            del running[key]
            recent.add(key)
        if len(recent) >= REMEMBERED:
            self._older, self._recent = recent, set()
        if not run.told:
            self._reports += ended
            self._settle(run)
        elif not run.replaced:
            self._reports += [Freed(*key) for key in run.keys]
        if not self._flushing:
            self._soon()

    def lose(self, run: Run, reason: str | None) -> None:
        """A run died with its worker, which held nothing else; None: it goes back unbegun."""
        if run.closed or self._closed:
            return
        run.closed = True
        self.deadlines.disarm(run)
        for key in run.keys:
            del self.running[key]
            self._recent.add(key)
        if reason is None:
            self._reports += [Unbegun(*key) for key in run.keys]
        else:
            self._reports.append(WorkerLost([AttemptRef(*key) for key in run.keys], reason))
        self._settle(run)
        self._soon()

    def report(self, reports: Sequence[Report]) -> None:
        """Report what is no end, such as what running handlers said."""
        if reports:
            self._reports += reports
            self._soon()

    def tell(self, run: Run) -> None:
        """Report the ends of a run that is made to end but goes on, and keeps its slot."""
        self.contexts.collect()
        ends = run.partly() if run.partly else stopped(run, run.attempts)
        for end in ends:
            end.freed = False
        self._reports += ends
        self._settle(run)
        self._soon()

    def stand(self, run: Run, *, aside: bool) -> None:
        """Report that a run gives its slot away for a while, or takes it again."""
        task, fence = run.keys[0]
        # What was not waited for at all is not worth two reports.
        if self._reports and self._reports[-1] == Aside(task, fence, back=aside):
            self._reports.pop()
            return
        self._reports.append(Aside(task, fence, back=not aside))
        self._soon()

    def flush(self) -> None:
        """Give the sink now what has gathered."""
        self._flushing = False
        if not self._reports or self._closed:
            return
        reports, self._reports = self._reports, []
        # Nothing here waits for the commit; but a sink that is a coroutine function must run all the same.
        committed = self._sink(reports)
        if isinstance(committed, Coroutine):
            task = self.loop.create_task(committed)
            self._commits.add(task)
            task.add_done_callback(self._committed)

    def keep(self) -> None:
        """Have nobody but this engine wait for the coroutines that run.

        `asyncio.run` waits for every task that it knows, for ever if one of them goes on although it is cancelled.
        """
        for run in self.running.values():
            if run.task is not None:
                asyncio._unregister_task(run.task)  # noqa: SLF001  # documented under "Extending asyncio"

    async def quiet(self, timeout_s: float) -> bool:
        """Wait until the ends of all works are told; False when the time was not enough."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        self.flush()
        return True

    def stop(self) -> None:
        """Tell what is known, and nothing from here on."""
        for box in self._mailboxes:
            box.collect()
        self.flush()
        self._closed = True
        self.deadlines.stop()
        self._quiet.set()

    def _unseen(self, work: Work) -> tuple[list[Attempt], list[Key]]:
        attempts: list[Attempt] = []
        keys: list[Key] = []
        for attempt in work.attempts:
            key = (attempt.task, attempt.fence)
            if key not in self.running and key not in self._recent and key not in self._older:
                attempts.append(attempt)
                keys.append(key)
        return attempts, keys

    def _settle(self, run: Run) -> None:
        run.told = True
        self._owed -= 1
        if not self._owed:
            self._quiet.set()

    def _committed(self, task: asyncio.Task[None]) -> None:
        self._commits.discard(task)
        # Who takes the reports answers for them; here an error is only picked up, so that nobody misses it.
        if not task.cancelled():
            task.exception()

    def _soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self.flush)

    def _note(self, context: Context) -> None:
        self.report(context.unsent())


def _overdue(run: Run) -> None:
    run.lane.overdue(run)
