"""What a lane of processes has to wait for, in a thread of its own: output, log lines, and the end of workers."""

import codecs
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TextIO

from wsaios.engines.local.process.wire import Event, Logged

_READ: Final = 1 << 16
_LINE_CHARS: Final = 8_192
_LOOK_S: Final = 0.005


class Stream:
    """One output of a worker: whole lines go on to the stream of the same name here."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor = descriptor
        self._name = name
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Hand on what is there; False when nothing will come any more."""
        try:
            data = os.read(self.descriptor, _READ)
        except BlockingIOError:
            return True
        text = self._rest + self._decode(data, final=not data)
        whole, newline, self._rest = text.rpartition("\n")
        if not data or len(self._rest) > _LINE_CHARS:
            whole, newline, self._rest = text, "", ""
        self._write(whole + newline)
        return bool(data)

    def close(self) -> None:
        """Read the rest; who else still holds the other end is not waited for."""
        with suppress(OSError):
            before = -1
            while self.read() and before != len(self._rest):
                before = len(self._rest)
        self._write(self._rest)
        self._rest = ""
        os.close(self.descriptor)

    def _write(self, text: str) -> None:
        stream: TextIO | None = getattr(sys, self._name)
        # Output that nobody can read is no reason to stop the work that printed it.
        with suppress(OSError, ValueError):
            if text and stream is not None:
                stream.write(text)
                stream.flush()


class Body:
    """A started process with its two outputs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None  # noqa: S101  # pipes were asked for
        assert process.stderr is not None  # noqa: S101
        self.process = process
        self.streams = [
            Stream(os.dup(process.stdout.fileno()), "stdout"),
            Stream(os.dup(process.stderr.fileno()), "stderr"),
        ]
        process.stdout.close()
        process.stderr.close()

    def kill(self) -> None:
        """End it and what it started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def ended(self) -> bool:
        """Whether the process has ended. It is not reaped: its number must stay its own until its group is killed."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, options) is not None

    def told(self) -> str:
        """How it ended."""
        status = self.process.returncode
        if status is not None and status < 0:
            name = signal.Signals(-status).name
            more = ", perhaps for want of memory" if status == -signal.SIGKILL else ""
            return f"the worker process {self.process.pid} died of {name}{more}"
        return f"the worker process {self.process.pid} ended with status {status}"


class Attendant:
    """Hands on what workers print and log, and buries those that died; one thread."""

    def __init__(self, name: str) -> None:
        """Starts the thread.

        Raises:
            OSError, RuntimeError: it could not be started.
        """
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._open = True
        try:
            threading.Thread(target=self._serve, name=f"wsaios-{name}-output", daemon=True).start()
        except RuntimeError:
            self._close()
            raise

    def watch(self, body: Body) -> None:
        """Hand on the output of a new worker."""

        def listen() -> None:
            for stream in body.streams:
                self._selector.register(stream.descriptor, selectors.EVENT_READ, stream)

        self._call(listen)

    def log(self, what: Logged | Event) -> None:
        """Give it to the logging of this process."""
        self._call(lambda: _log(what) if isinstance(what, Logged) else _tell(what))

    def bury(self, body: Body, then: Callable[[], None]) -> None:
        """See a worker end that is dead or dying, hand on its last words, then call `then` in this thread."""
        self._call(lambda: self._bury(body, 0.0, then))

    def stop(self, bodies: Sequence[Body], wait_s: float, then: Callable[[], None]) -> None:
        """Wait for workers that were let go, end those that stay, and end this thread; `then` follows."""
        until_s = time.monotonic() + wait_s

        def end() -> None:
            for body in bodies:
                self._bury(body, max(0.0, until_s - time.monotonic()), lambda: None)
            self._open = False
            then()

        self._call(end)

    def _call(self, function: Callable[[], None]) -> None:
        self._calls.append(function)
        with suppress(BlockingIOError, OSError):
            os.write(self._woken, b"\0")

    def _serve(self) -> None:
        while self._open:
            for key, _ in self._selector.select():
                stream: Stream | None = key.data
                if stream is None:
                    os.read(self._wake, 4096)
                elif not stream.read():
                    self._selector.unregister(stream.descriptor)
            while self._calls:
                self._calls.popleft()()
        self._close()

    def _close(self) -> None:
        self._selector.close()
        os.close(self._wake)
        woken, self._woken = self._woken, -1
        os.close(woken)

    def _bury(self, body: Body, wait_s: float, then: Callable[[], None]) -> None:
        until_s = time.monotonic() + wait_s
        # Its output is read meanwhile: a worker that writes while it ends would wait for ever for a full pipe.
        while not body.ended() and time.monotonic() < until_s:
            for stream in body.streams:
                stream.read()
            time.sleep(_LOOK_S)
        body.kill()
        body.process.wait()
        for stream in body.streams:
            with suppress(KeyError, ValueError):
                self._selector.unregister(stream.descriptor)
            stream.close()
        then()


def _log(what: Logged) -> None:
    logger = logging.getLogger(what.logger)
    if not logger.isEnabledFor(what.level):
        return
    record = logger.makeRecord(what.logger, what.level, what.path, what.line, what.message, (), None)
    record.exc_text = what.trace
    logger.handle(record)


def _tell(what: Event) -> None:
    import structlog  # noqa: PLC0415  # it is there already where a handler asked for a logger, and costs much elsewhere

    fields = dict(what.fields)
    event = fields.pop("event", "")
    say = getattr(structlog.get_logger(), what.level, None)
    # Processors are code of the user.
    with suppress(Exception):
        if say is not None:
            say(event, **fields)
