"""In a worker: what handlers print and log, on its way to the scheduler's process."""

import io
import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from wsaios.engines.local.failures import shortened
from wsaios.engines.local.process.wire import Event, Logged

KEPT_CHARS: Final = 2_000
_KEPT_BYTES: Final = 4 * KEPT_CHARS
_MAX_TEXT: Final = 8_000

Send = Callable[[object], None]


class Pipe(io.RawIOBase):
    """Writes through to a descriptor and remembers the end of what was written."""

    def __init__(self, descriptor: int, kept: "Kept") -> None:
        super().__init__()
        self._descriptor = descriptor
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
            view = view[os.write(self._descriptor, view) :]
        return size


class Kept:
    """The end of what the handler at work has printed, both streams together."""

    def __init__(self) -> None:
        self.data = b""
        self._streams = [
            io.TextIOWrapper(Pipe(number, self), "utf-8", "backslashreplace", line_buffering=True)  # type: ignore[type-var]  # raw and unbuffered
            for number in (1, 2)
        ]
        sys.stdout, sys.stderr = self._streams

    def begin(self) -> None:
        """Another handler is at work."""
        self.data = b""

    def end(self) -> str:
        """What the last one has printed, at most 2,000 characters from its end."""
        for stream in self._streams:
            stream.flush()
        if not self.data:
            return ""
        text = self.data.decode("utf-8", "replace")
        return text if len(text) <= KEPT_CHARS else "…" + text[1 - KEPT_CHARS :]


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
            self._send(Logged(record.name, record.levelno, message, record.pathname, record.lineno, trace))
        except Exception:  # noqa: BLE001  # whatever a record of the user's holds, logging it must not end his handler
            self.handleError(record)


def forward_events(send: Send) -> None:
    """Hand events of structlog on, unless the user's own modules have set it up."""
    import structlog  # noqa: PLC0415  # costs more than all the rest of a worker, and few handlers ask for it

    def away(_: object, level: str, fields: MutableMapping[str, Any]) -> Any:
        send(Event(level, {key: _plain(value) for key, value in fields.items()}))
        raise structlog.DropEvent

    if not structlog.is_configured():
        structlog.configure([structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, away])


def _plain(value: object) -> object:
    return shortened(value, _MAX_TEXT) if isinstance(value, str) else value
