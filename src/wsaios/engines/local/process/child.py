"""A worker process: takes jobs from a pipe, runs one after the other, and answers each before it begins the next."""

import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from wsaios.engines.local.arguments import arguments_of
from wsaios.engines.local.batch_call import BatchCall
from wsaios.engines.local.context import Context
from wsaios.engines.local.forks import Unforked
from wsaios.engines.local.handlers import Handler
from wsaios.engines.local.outcomes import failed, raised, returned, stopped
from wsaios.engines.local.process.functions import Functions
from wsaios.engines.local.process.offspring import Offspring, die_with
from wsaios.engines.local.process.streams import Forward, Kept
from wsaios.engines.local.process.voice import GAP_S, CallContext, Voice
from wsaios.engines.local.process.wire import (
    Back,
    Begun,
    Boot,
    End,
    Frames,
    Introduction,
    Job,
    Order,
    Over,
    Place,
    Up,
    read_jobs,
    read_order,
)
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Attempt, Ended, Verdict, Work
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.task import Failure
from wsaios.scheduler.own_signals import keep

_READ: Final = 1 << 18
_LAST_S: Final = 1.0
_EASY_TO_KILL: Final = "600"


class Unmade:
    """Stands for a lane where none is needed."""

    def begin(self, _: Run) -> bool:
        """Nothing."""
        return False

    def cancel(self, run: Run) -> None:
        """Nothing."""

    def recall(self) -> None:
        """Nothing."""

    async def checkpoint(self, run: Run) -> None:
        """Nothing: what runs here is no coroutine."""

    def overdue(self, run: Run) -> None:
        """Nothing."""


class Child:
    """Runs jobs in the main thread; another thread hears orders meanwhile."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._jobs, self._orders, answers = boot.pipes
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        self._wake = wake
        self._voice = Voice(answers, woken)
        self._unforked = Unforked()
        self._kept = Kept()
        self._writer = JsonWriter(boot.max_result_bytes)
        self._functions = Functions()
        self._handlers: dict[int, Introduction | Handler] = {}
        self._lock = threading.Lock()
        self._floor = 0
        self._begun = 0
        self._run: Run | None = None
        self._unwanted: set[int] = set()
        self._done = 0
        self._statm = (
            os.open("/proc/self/statm", os.O_RDONLY) if boot.max_mib and Path("/proc/self/statm").exists() else -1
        )
        self._page = os.sysconf("SC_PAGESIZE")

    def serve(self) -> None:
        """Until the pipe of jobs is closed, or this worker has done enough."""
        root = logging.getLogger()
        root.addHandler(Forward(self._voice.send))
        root.setLevel(self._boot.log_level)
        threading.Thread(target=self._listen, name="wsaios-orders", daemon=True).start()
        self._voice.send(Up())
        frames = Frames()
        while data := os.read(self._jobs, _READ):
            for frame in frames.feed(data):
                for job in read_jobs(frame):
                    if self._do(job):
                        return

    def _do(self, job: Job) -> bool:
        """Whether this was the last one."""
        if job.introduces is not None:
            self._handlers[job.introduces.number] = job.introduces
        run = self._begin(job)
        if run is None:
            return False
        self._kept.begin()
        handler = self._handler(job)
        began = time.perf_counter_ns()
        try:
            ended = self._called(run, handler)
        finally:
            self._voice.flush()
        output = self._kept.end()
        spent_us = (time.perf_counter_ns() - began) // 1000
        self._run = None
        self._done += 1
        tired = self._tired()
        over = Over(job.seq, spent_us, tired, [_end(end, output) for end in ended])
        try:
            self._voice.send(over)
        except Exception as error:  # noqa: BLE001  # whatever it is that no frame can carry, the call must have an end
            message = f"what the call answered could not be sent on: {type(error).__name__}: {error}"
            over.ends = [_end(end, output) for end in failed(run.attempts, "AnswerNotSent", message)]
            self._voice.send(over)
        return tired

    def _handler(self, job: Job) -> Handler | Failure:
        """That of the job, imported if it was not yet; what failed may be well at the next attempt and is not kept."""
        known = self._handlers[job.handler]
        if isinstance(known, Handler):
            if job.timeout_s is not None:
                self._voice.send(Begun(job.seq))
            return known
        try:
            with self._unforked:
                function = self._functions.find(known.place)
        except BaseException as error:  # noqa: BLE001  # modules are code of the user; SystemExit too ends the attempt alone
            return _unloaded(known.place, error)
        found = Handler(known.name, function, "", coroutine=False, batched=known.batched, context=known.context)
        self._handlers[job.handler] = found
        # What the module printed is no output of this call.
        self._kept.end()
        self._kept.begin()
        self._voice.send(Begun(job.seq))
        return found

    def _begin(self, job: Job) -> Run | None:
        """A run that counts as begun, its import included; None when the job was given back."""
        rows: list[Attempt] = [*job.rows]
        known = self._handlers[job.handler]
        work = Work(known.name, "", rows, job.timeout_s, job.at_most_once)
        keys = [(row.task, row.fence) for row in rows]
        run = Run(work, rows, keys, known if isinstance(known, Handler) else _NOBODY, _UNMADE)
        with self._lock:
            if job.seq <= self._floor:
                return None
            self._begun, self._run = job.seq, run
            run.cancelled = job.seq in self._unwanted
        return run

    def _called(self, run: Run, handler: Handler | Failure) -> list[Ended]:
        if isinstance(handler, Failure):
            return [Ended(each.task, each.fence, Verdict.FAILED, failure=handler) for each in run.attempts]
        if run.cancelled:
            return stopped(run, run.attempts)
        run.handler = handler
        return self._batch(run) if handler.batched else self._single(run)

    def _single(self, run: Run) -> list[Ended]:
        try:
            with self._unforked:
                value = run.handler.function(**self._arguments(run))
            return [returned(run.attempts[0], value, self._writer)]
        except BaseException as error:  # noqa: BLE001  # a handler may raise SystemExit; that ends its attempt, not the worker
            return raised(run.attempts, error)

    def _batch(self, run: Run) -> list[Ended]:
        call = BatchCall(run, self._writer)
        while (ask := call.next()) is not None:
            part, rows = ask
            try:
                with self._unforked:
                    values = run.handler.function(rows, **self._context(run, part))
                call.returned(part, values)
            except BaseException as error:  # noqa: BLE001  # as above
                call.raised(part, error)
        return call.over()

    def _arguments(self, run: Run) -> dict[str, Any]:
        name, found = run.handler.context, arguments_of(run.attempts[0])
        if name is None:
            return found
        if name in found:
            raise InvalidInput("arguments", f"{name!r} is filled with the Context of the call; leave it out")
        return found | self._context(run, run.attempts)

    def _context(self, run: Run, attempts: Sequence[Attempt]) -> dict[str, Context]:
        name = run.handler.context
        return {} if name is None else {name: CallContext(run, attempts, self._voice, self._writer)}

    def _tired(self) -> bool:
        boot = self._boot
        if boot.max_tasks and self._done >= boot.max_tasks:
            return True
        if self._statm < 0:
            return False
        pages = int(os.pread(self._statm, 128, 0).split()[1])
        return pages * self._page > boot.max_mib << 20

    def _listen(self) -> None:
        """Hear orders, and tell what waits to be told, until the parent lets go."""
        frames, control = Frames(), self._orders
        both = select.poll()
        both.register(control, select.POLLIN)
        both.register(self._wake, select.POLLIN)
        while True:
            ready = [number for number, _ in both.poll()]
            if control in ready:
                data = os.read(control, 4096)
                if not data:
                    self._leave()
                for frame in frames.feed(data):
                    self._obey(read_order(frame))
            if self._wake in ready:
                time.sleep(GAP_S)
                os.read(self._wake, 4096)
                self._voice.flush()

    def _obey(self, order: Order) -> None:
        with self._lock:
            if order.cancel:
                self._unwanted.add(order.cancel)
                if order.cancel == self._begun and self._run is not None:
                    self._run.cancelled = True
            self._floor = max(self._floor, order.upto)
            begun = self._begun
        if order.upto:
            self._voice.send(Back(begun, order.upto))

    def _leave(self) -> NoReturn:
        """The parent let go: an idle worker ends by itself, one at work gets a moment."""
        with self._lock:
            self._floor = sys.maxsize
            if self._run is not None:
                self._run.cancelled = True
        time.sleep(_LAST_S)
        os._exit(1)


def main(text: str, argv: list[str]) -> None:
    """Be a worker of the program that was started with these arguments."""
    boot = msgspec.json.decode(text, type=Boot)
    die_with(boot.parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal or a service manager tells everyone; when workers end is for the scheduler to say. Not SIG_IGN,
        # which programs that a handler starts would inherit.
        before = signal.signal(number, lambda *_: None)
        keep(number, before)
    for descriptor in boot.pipes:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # it takes no names
    Offspring(boot.pipes)
    sys.argv = argv
    _settle(boot)
    faulthandler.enable(all_threads=False)
    try:
        Child(boot).serve()
    except BaseException:  # noqa: BLE001  # what a handler left behind may raise anything, such as by a timer
        _fail()


def _fail() -> NoReturn:
    """End now: a thread that a handler left behind would keep this process, and the scheduler would wait for it."""
    try:
        traceback.print_exc()
        sys.stdout.flush()
    finally:
        os._exit(1)


def _settle(boot: Boot) -> None:
    if boot.nice:
        os.nice(boot.nice)
    if boot.cpus:
        os.sched_setaffinity(0, boot.cpus)
    # When memory runs out, a worker should go before the scheduler.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EASY_TO_KILL, "ascii")


def _unloaded(place: Place, error: BaseException) -> Failure:
    (end,) = raised((Attempt(0, 0, 0, 0, b"", ""),), error)
    found = end.failure or Failure(type(error).__name__, "")
    return Failure(found.kind, f"a worker process could not import {place.what}: {found.message}", found.traceback)


def _end(end: Ended, output: str) -> End:
    failure = end.failure
    if failure is not None and output:
        trace = f"{failure.traceback.rstrip()}\nOutput:\n{output}".lstrip()
        failure = Failure(failure.kind, failure.message, trace)
    return End(end.task, end.fence, end.verdict, end.result, failure, end.retry_after_s)


_UNMADE: Final = Unmade()
_NOBODY: Final = Handler("", _end, "", coroutine=False)
