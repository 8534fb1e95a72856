"""The handlers of a worker: every execution appends a line to a trace of their own before it does anything else."""

import asyncio
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.acceptance.crash.lines import Lines
from wsaios import Context, GiveUp, RetryAfter, Scheduler

Answer = dict[str, Any]
Row = dict[str, Any]

TURNS = 14
LATE_S = 0.15
PATIENCE_S = 2.0
QUICK: Final[dict[str, Any]] = {"backoff_initial_s": 0.004, "backoff_max_s": 0.02}


class Work:
    """What can be asked of a worker, in both lanes, batched and not."""

    def __init__(self, folder: Path, life: int, dies_in: int = 0) -> None:
        """With `dies_in` the process kills itself when that many executions have begun."""
        self._folder = folder
        self._life = life
        self._runs = count(1)
        self._dies_in = dies_in
        self._trace = Lines(folder / "trace")
        self._met: set[str] = set()
        self._second: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._returned: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self.running: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def register(self, scheduler: Scheduler) -> None:
        """Make all handlers known."""
        for function in (self.double, self.upper, self.steps, self.crowded, self.follow, self.orphan, self.fresh):
            scheduler.add_handler(function.__name__, function, **QUICK)
        for failing in (self.flaky, self.restless, self.mended, self.amend):
            scheduler.add_handler(failing.__name__, failing, **QUICK)
        scheduler.add_handler("hopeless", self.hopeless, max_attempts=2, **QUICK)
        scheduler.add_handler("late", self.late, max_attempts=9, timeout_s=LATE_S, **QUICK)
        scheduler.add_handler("embed", self.embed, batch_size=8, **QUICK)
        scheduler.add_handler("tally", self.tally, batch_size=4, max_wait_s=0.002, **QUICK)
        scheduler.add_handler("linger", self.linger, max_attempts=9, **QUICK)
        scheduler.add_handler("stubborn", self.stubborn, max_attempts=9, **QUICK)
        scheduler.add_handler("doze", self.doze, max_attempts=9, **QUICK)
        scheduler.add_handler("once", self.once, delivery="at_most_once")
        scheduler.add_handler("once_thread", self.once_thread, delivery="at_most_once")

    async def double(self, call: str, value: int, context: Context) -> Answer:
        run = self._start(context)
        return self._end(context, value * 2, run)

    def upper(self, call: str, text: str, context: Context) -> Answer:
        run = self._start(context)
        return self._end(context, text.upper(), run)

    async def embed(self, rows: list[Row], context: Context) -> list[Answer]:
        run = self._start_rows(context)
        await asyncio.sleep(0.002)
        return self._end_rows(context, (row["value"] + 1 for row in rows), run)

    def tally(self, rows: list[Row], context: Context) -> list[Answer]:
        """A row with `bad` fails alone: the call is halved until it is found."""
        run = self._start_rows(context)
        if any(row.get("bad") for row in rows):
            msg = "a bad row"
            raise ValueError(msg)
        return self._end_rows(context, (len(row["text"]) for row in rows), run)

    def flaky(self, call: str, fails: int, context: Context) -> Answer:
        run = self._start(context)
        if context.attempt <= fails:
            msg = f"attempt {context.attempt} of {fails} that fail"
            raise ValueError(msg)
        return self._end(context, fails, run)

    async def hopeless(self, call: str, context: Context) -> Answer:
        self._start(context)
        msg = "never works"
        raise ValueError(msg)

    def late(self, call: str, context: Context) -> Answer:
        """The first attempt outlives its time, and answers while the second one runs."""
        run = self._start(context)
        self._outlive(call, first=context.attempt == 1)
        return self._end(context, call, run)

    def stubborn(self, call: str, context: Context) -> Answer:
        """The first execution does not heed that it was paused, and answers while the one after `resume` runs."""
        run = self._start(context)
        self._outlive(call, first=self._meet(call))
        return self._end(context, call, run)

    def linger(self, call: str, context: Context) -> Answer:
        """Goes on until it is told to stop, and answers all the same; at most once in the life that asked for it."""
        run = self._start(context)
        if self._meet(call):
            give_up_s = time.monotonic() + PATIENCE_S
            while not context.cancelled and time.monotonic() < give_up_s:
                time.sleep(0.002)
        return self._end(context, call, run)

    async def doze(self, call: str, context: Context) -> Answer:
        run = self._start(context)
        if self._meet(call):
            await asyncio.sleep(PATIENCE_S)
        return self._end(context, call, run)

    async def once(self, call: str, context: Context) -> Answer:
        run = self._start(context)
        await asyncio.sleep(0.003)
        return self._end(context, call, run)

    def once_thread(self, call: str, context: Context) -> Answer:
        run = self._start(context)
        time.sleep(0.003)
        return self._end(context, call, run)

    async def steps(self, call: str, total: int, context: Context) -> Answer:
        done = context.saved or 0
        run = self._start(context, done)
        while done < total:
            await asyncio.sleep(0.004)
            done += 1
            self._note("step", context, run, done)
            context.save(done)
        return self._end(context, total, run)

    def restless(self, call: str, context: Context) -> Answer:
        """Asks to be called again until it was called often enough for a long history."""
        turn = (context.saved or 0) + 1
        run = self._start(context, turn - 1)
        if turn < TURNS:
            self._note("step", context, run, turn)
            context.save(turn)
            raise RetryAfter(0.0)
        return self._end(context, turn, run)

    async def crowded(self, call: str, context: Context) -> Answer:
        run = self._start(context)
        await asyncio.sleep(0.003)
        return self._end(context, call, run)

    def follow(self, call: str, after: list[str], context: Context) -> Answer:
        run = self._start(context)
        return self._end(context, len(after), run)

    async def orphan(self, call: str, after: list[str], context: Context) -> Answer:
        run = self._start(context)
        return self._end(context, len(after), run)

    async def fresh(self, call: str, context: Context) -> Answer:
        run = self._start(context)
        return self._end(context, call, run)

    def mended(self, call: str, context: Context) -> Answer:
        run = self._start(context)
        if not self.mending(call).exists():
            raise GiveUp("not mended yet")
        return self._end(context, call, run)

    def amend(self, call: str, context: Context) -> Answer:
        """As `mended`, for a step of a workflow: another task tries it again."""
        return self.mended(call, context)

    def mending(self, call: str) -> Path:
        """The file that makes a call of `mended` work."""
        return self._folder / f"mended.{call}"

    def first_in_round(self, what: str) -> bool:
        """Whether this is the first time of `what` over all lives."""
        try:
            (self._folder / what).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _outlive(self, call: str, *, first: bool) -> None:
        if first:
            self._second[call].wait(PATIENCE_S)
            self._returned[call].set()
        elif call in self._second:
            self._second[call].set()
            self._returned[call].wait(LATE_S / 3)
            time.sleep(LATE_S / 5)

    def _meet(self, call: str) -> bool:
        """Whether this is the first execution in the life that submitted the call: nobody stops a later one."""
        first = call not in self._met and call.startswith(f"L{self._life}.")
        self._met.add(call)
        self.running[call].set()
        return first

    def _start(self, context: Context, saved: int | None = None) -> str:
        """Note that an execution begins; returns a name that no other execution has."""
        return self._begun(lambda run: self._note("start", context, run, saved))

    def _end(self, context: Context, value: object, run: str) -> Answer:
        """Note that an execution is about to return, and make its result."""
        self._note("end", context, run)
        return {"value": value, "run": run}

    def _start_rows(self, context: Context) -> str:
        line = {"what": "start", "tasks": context.task_ids, "pid": os.getpid()}
        return self._begun(lambda run: self._trace.append(line | {"run": run}))

    def _begun(self, note: Callable[[str], None]) -> str:
        number = next(self._runs)
        run = f"{os.getpid()}.{number}"
        note(run)
        if number == self._dies_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return run

    def _end_rows(self, context: Context, values: Iterable[object], run: str) -> list[Answer]:
        self._trace.append({"what": "end", "tasks": context.task_ids, "run": run, "pid": os.getpid()})
        return [{"value": value, "run": run} for value in values]

    def _note(self, what: str, context: Context, run: str, saved: int | None = None) -> None:
        self._trace.append({"what": what, "tasks": [context.task_id], "run": run, "pid": os.getpid(), "saved": saved})
