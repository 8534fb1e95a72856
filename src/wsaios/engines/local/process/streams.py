"""In a worker: what handlers print and log, on its way to the scheduler's process."""

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from wsaios.engines.local.failures import shortened
from wsaios.engines.local.process.wire import Event, Logged, crosses
from wsaios.kernel.text import storable

KEPT_CHARS: Final = 2_000
_KEPT_BYTES: Final = 4 * KEPT_CHARS
_MAX_TEXT: Final = 8_000

Send = Callable[[object], None]


class Pipe(io.RawIOBase):
    """Writes through to a descriptor and remembers the end of what was written.

    When a handler has closed the descriptor, another one that leads to the same place serves.
    """

    def __init__(self, descriptor: int, spare: int, kept: "Kept") -> None:
        super().__init__()
        self._descriptor = descriptor
        self._spare = spare
        self._kept = kept

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Where it writes."""
        return self._descriptor

    def write(self, data: Any) -> int:
        """All of it."""
        view = memoryview(data).cast("B")
        self._kept.data = (self._kept.data + bytes(view[-_KEPT_BYTES:]))[-_KEPT_BYTES:]
        size = len(view)
        while view:
            view = view[self._written(view) :]
        return size

    def _written(self, view: memoryview) -> int:
        try:
            return os.write(self._descriptor, view)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            return os.write(self._spare, view)


class Kept:
    """The end of what the handler at work has printed, both streams together."""

    def __init__(self) -> None:
        self.data = b""
        self._spares = [os.dup(number) for number in (1, 2)]
        self._streams = sys.stdout, sys.stderr = self._stream(0), self._stream(1)

    def begin(self) -> None:
        """Another handler is at work."""
        self.data = b""

    def end(self) -> str:
        """What the last one has printed, at most 2,000 characters from its end."""
        try:
            for stream in self._streams:
                stream.flush()
        except (OSError, ValueError):
            self._renew()
        if not self.data:
            return ""
        text = self.data.decode("utf-8", "replace")
        return text if len(text) <= KEPT_CHARS else "…" + text[1 - KEPT_CHARS :]

    def _stream(self, which: int) -> io.TextIOWrapper:
        return io.TextIOWrapper(
            Pipe(which + 1, self._spares[which], self),  # type: ignore[arg-type]  # raw and unbuffered
            "utf-8",
            "backslashreplace",
            line_buffering=True,
        )

    def _renew(self) -> None:
        """A handler has closed a stream: the next one gets it as it was."""
        before, self._streams = self._streams, (self._stream(0), self._stream(1))
        for name, new in zip(("stdout", "stderr"), self._streams, strict=True):
            if getattr(sys, name) in before:
                setattr(sys, name, new)


class Forward(logging.Handler):
    """Hands records of `logging` on, so that the settings of the scheduler's process apply to them."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        try:
            trace = None
            if record.exc_info:
                trace = shortened(logging.Formatter().formatException(record.exc_info), _MAX_TEXT)
            message = shortened(record.getMessage(), _MAX_TEXT)
            name, path = storable(record.name), storable(record.pathname)
            self._send(Logged(name, record.levelno, message, path, record.lineno, trace))
        except Exception:  # noqa: BLE001  # whatever a record of the user's holds, logging it must not end his handler
            # Nor must a stream that is closed.
            with suppress(Exception):
                self.handleError(record)


def forward_events(send: Send) -> None:
    """Hand events of structlog on, unless the user's own modules have set it up."""
    import structlog  # noqa: PLC0415  # costs more than all the rest of a worker, and few handlers ask for it

    def away(_: object, level: str, fields: MutableMapping[str, Any]) -> Any:
        send(Event(level, {storable(key): _plain(value) for key, value in fields.items()}))
        raise structlog.DropEvent

    if not structlog.is_configured():
        structlog.configure([structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, away])


def _plain(value: object) -> object:
    """The value if it can be sent, or else its repr."""
    if isinstance(value, str):
        return shortened(value, _MAX_TEXT)
    return value if crosses(value) else shortened(_repr(value), _MAX_TEXT)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as trouble:  # noqa: BLE001  # it is code of the user
        return f"(its __repr__ raised {type(trouble).__name__})"
