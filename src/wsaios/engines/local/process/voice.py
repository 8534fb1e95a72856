"""In a worker: the way back to the scheduler's process."""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from wsaios.engines.local.context import Context
from wsaios.engines.local.process.streams import forward_events
from wsaios.engines.local.process.wire import Said, framed
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Attempt
from wsaios.kernel.json_text import JsonWriter

GAP_S: Final = 0.02
"""What handlers say often is told once in this time."""
_KEEP_S: Final = 0.001


class Voice:
    """The way back: frames on one pipe, from any thread; what is said often goes at most fifty times a second.

    A process that a handler forked has none: nothing it says is written.
    """

    def __init__(self, descriptor: int, wake: int) -> None:
        self._descriptor = descriptor
        self._wake = wake
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._said_s = 0.0
        self._kept_s = 0.0
        self._waiting: dict[Context, bool] = {}
        self._telling = threading.Lock()

    def send(self, answer: object) -> None:
        """Write it; a parent that is gone needs no worker."""
        # Before the lock, which another thread may have held when this process was forked.
        if os.getpid() != self._pid:
            return
        data = memoryview(framed(answer))
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:
                os._exit(1)

    def post(self, context: Context) -> None:
        """A handler said something."""
        now_s = time.monotonic()
        if now_s - self._said_s >= GAP_S:
            self._said_s = now_s
            self._tell(context)
        else:
            self._waiting[context] = True
            with suppress(BlockingIOError):
                os.write(self._wake, b"\0")

    def keep(self, context: Context) -> None:
        """A handler saved a checkpoint: that is told at once, so that it survives the death of this process."""
        now_s = time.monotonic()
        if now_s - self._kept_s >= _KEEP_S:
            self._kept_s = now_s
            self._tell(context)

    def flush(self) -> None:
        """Tell what waits."""
        while self._waiting:
            with suppress(KeyError):
                self._tell(self._waiting.popitem()[0])

    def _tell(self, context: Context) -> None:
        if os.getpid() != self._pid:
            return
        with self._telling:
            notes = context.unsent()
            if notes:
                self.send(
                    Said([(each.task, each.fence, each.fraction, each.note, each.saved, each.used) for each in notes])
                )


class CallContext(Context):
    """A context whose logger hands its events to the scheduler's process."""

    __slots__ = ("_voice",)

    def __init__(self, run: Run, attempts: Sequence[Attempt], voice: Voice, writer: JsonWriter) -> None:
        super().__init__(run, attempts, run.handler.name, voice.post, writer)
        self._voice = voice

    def save(self, data: object) -> None:
        """As in any lane."""
        super().save(data)
        self._voice.keep(self)

    @property
    def logger(self) -> Any:
        """As that of any handler."""
        if self._logger is None:
            forward_events(self._voice.send)
        return super().logger
