"""A worker process as its lane sees it: what it holds, in order, and the pipes to it."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import msgspec

from wsaios.engines.local.process.attendant import Body
from wsaios.engines.local.process.wire import (
    Answer,
    Boot,
    Frames,
    Introduction,
    Job,
    Order,
    Place,
    Row,
    framed,
    read_answer,
)
from wsaios.engines.local.run import Run
from wsaios.kernel.task import LaneSpec

_READ: Final = 1 << 18
_BOOT: Final = (
    "import sys, json; sys.path[:], argv = json.loads(sys.argv[1]); "
    "from wsaios.engines.local.process.child import main; main(sys.argv[2], argv)"
)
_LATE: Final = (
    "a worker process was killed that was {doing} {what} for {limit_s:g} s; move what waits or computes there out of "
    "the top of the module, into a function that the handler calls, or give the lane more time: Processes(import_s=…)"
)
Heard = Callable[["Worker", Iterable[Answer]], None]


class Worker:
    """Holds runs in the order in which it gets them: the first is at work or about to be, none behind it has begun.

    A worker answers each job before it begins the next one, so what it was doing when it died is known exactly.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, spec: LaneSpec, max_result_bytes: int, heard: Heard) -> None:
        """Starts the process.

        Raises:
            Exception: it could not be started.
        """
        self.held: deque[tuple[int, Run]] = deque()
        self.expected_us = 0.0
        self.since_s = time.monotonic()
        self.recalling = False
        self.tired = False
        self.answered = False
        self.loaded: set[str] = set()
        self.late = ""
        self.up = False
        self._loop = loop
        self._heard = heard
        self._seq = 0
        self._unsent = sys.maxsize
        self._known: dict[str, int] = {}
        self._places: dict[str, Place] = {}
        self._new: list[Job] = []
        self._out = bytearray()
        self._writing = False
        self._frames = Frames()
        theirs: list[int] = []
        mine: list[int] = []
        try:
            for outward in (True, True, False):
                reads, writes = os.pipe()
                theirs.append(reads if outward else writes)
                mine.append(writes if outward else reads)
            self.body = Body(_started(spec, theirs, max_result_bytes))
        except BaseException:
            for descriptor in mine:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        for descriptor in mine:
            os.set_blocking(descriptor, False)
        self._work, self._control, self._answers = mine
        loop.add_reader(self._answers, self.read)
        self.dead = False

    @property
    def begun(self) -> bool:
        """Whether it may have begun the first of what it holds."""
        return bool(self.held) and self.held[0][0] < self._unsent

    @property
    def first(self) -> Run | None:
        """What it is doing."""
        return self.held[0][1] if self.held else None

    @property
    def importing(self) -> Place | None:
        """What it imports for the first of what it holds, or will once it is `up`; since `since_s`."""
        run = self.first
        return self._places[run.handler.name] if run is not None and run.handler.name not in self.loaded else None

    def begins(self, seq: int) -> None:
        """The handler of this job is there, and its call begins."""
        if self.held and self.held[0][0] == seq:
            run = self.held[0][1]
            run.begun_s = time.monotonic()
            self.loaded.add(run.handler.name)

    def give(self, run: Run, place: Place, expected_us: float) -> None:
        """Add a job; `send` writes what gathered."""
        if not self.held:
            self.since_s = time.monotonic()
        self._seq += 1
        handler, work = run.handler, run.work
        number, new = self._known.get(handler.name), None
        if number is None:
            number = self._known[handler.name] = len(self._known) + 1
            self._places[handler.name] = place
            new = Introduction(number, handler.name, place, handler.batched, handler.context)
        rows = [
            Row(
                each.task,
                each.fence,
                each.number,
                each.codec,
                each.payload,
                each.tenant,
                each.batch,
                each.saved,
                each.traceparent,
            )
            for each in run.attempts
        ]
        self._new.append(Job(self._seq, number, rows, work.timeout_s, work.at_most_once, new))
        self.held.append((self._seq, run))
        self.expected_us += expected_us

    def send(self) -> None:
        """Write the new jobs, all with one call as long as the pipe takes them."""
        if self._new and not self.dead:
            first, alone = self._new[0].seq, not self._out
            self._out += framed(self._new)
            self._new.clear()
            if not self._write() and alone:
                self._unsent = first

    @property
    def open(self) -> bool:
        """Whether it may get another job."""
        return not (
            self.dead or self.tired or self.recalling or self._writing or (self.held and self.held[0][1].cancelled)
        )

    def cancel(self) -> None:
        """Tell the first job that its end is asked for, and have nothing begin after it."""
        if self.held:
            self.recalling = self.recalling or len(self.held) > 1
            self._order(Order(self.held[-1][0] if self.recalling else 0, self.held[0][0]))

    def recall(self) -> None:
        """Ask for what has not begun."""
        if len(self.held) > 1 and not self.recalling:
            self.recalling = True
            self._order(Order(self.held[-1][0]))

    def back(self, begun: int) -> list[Run]:
        """What was given back: all behind `begun`."""
        self.recalling = False
        returned: list[Run] = []
        while self.held and self.held[-1][0] > begun:
            returned.append(self.held.pop()[1])
        if not self.held:
            self.expected_us = 0.0
        return returned[::-1]

    def read(self) -> None:
        """Take what has come; a pipe at its end means that the process is gone."""
        answers: list[Answer] = []
        try:
            while not self.dead:
                data = os.read(self._answers, _READ)
                answers += map(read_answer, self._frames.feed(data))
                if not data:
                    self.close()
                if len(data) < _READ:
                    break
        except BlockingIOError:
            pass
        except (OSError, msgspec.MsgspecError):
            # What speaks otherwise is no worker any more.
            self.close()
        self._heard(self, answers)

    def kill(self) -> None:
        """End the process now; the pipe will tell when it is gone."""
        self.body.kill()

    def end_import(self, limit_s: float) -> None:
        """Kill it if it still imports, and say why."""
        place = self.importing
        if place is not None and not self.dead:
            doing = "importing" if self.up else "starting for"
            self.late = _LATE.format(doing=doing, what=place.what, limit_s=limit_s)
            self.body.kill()

    def close(self) -> None:
        """Let go of the pipes: an idle worker ends by that."""
        if self.dead:
            return
        self.dead = True
        self._loop.remove_reader(self._answers)
        if self._writing:
            self._loop.remove_writer(self._work)
        for descriptor in (self._work, self._control, self._answers):
            os.close(descriptor)

    def _order(self, order: Order) -> None:
        # A worker that hears nothing because a call keeps its interpreter is ended by its deadline.
        with suppress(BlockingIOError, BrokenPipeError):
            if not self.dead:
                os.write(self._control, framed(order))

    def _write(self) -> bool:
        """False when nobody is there to read."""
        try:
            while self._out:
                written = os.write(self._work, self._out)
                del self._out[:written]
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._work, self._write)
            return True
        except BrokenPipeError:
            self._out.clear()
            return False
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._work)
        return True


def _started(spec: LaneSpec, theirs: list[int], max_result_bytes: int) -> "subprocess.Popen[bytes]":
    options = spec.processes
    boot = Boot(
        theirs,
        os.getpid(),
        logging.getLogger().level,
        max_result_bytes,
        options.nice,
        list(options.cpus),
        options.max_tasks,
        options.max_mib,
    )
    folder = os.getcwd()  # noqa: PTH109  # as text for sys.path
    # What is no text there no import looks at. The names of files need not be UTF-8, which this JSON can tell.
    places: list[object] = [*sys.path]
    path = [each or folder for each in places if isinstance(each, str)]
    program = json.dumps([path, [str(each) for each in sys.argv]])
    # A group of its own: what a terminal sends to its foreground is for the scheduler alone, and a worker is ended
    # together with whatever it started.
    return subprocess.Popen(  # noqa: S603  # this interpreter, with arguments of our own
        [sys.executable, "-c", _BOOT, program, msgspec.json.encode(boot).decode()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=theirs,
        process_group=0,
    )
