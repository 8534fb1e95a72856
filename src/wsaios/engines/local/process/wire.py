"""What crosses the pipes between a lane and its workers: frames of msgpack, never pickle."""

import os
import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from wsaios.kernel.engine import Attempt
from wsaios.kernel.task import Failure
from wsaios.kernel.text import storable

_HEAD: Final = struct.Struct("<I")
_encode: Final = msgspec.msgpack.Encoder(enc_hook=repr).encode
_decode: Final = msgspec.msgpack.Decoder().decode


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a function is found: `name` inside `module`, or inside the program at `path` that was started.

    The path as the file system has it, which need not be text; empty for a program that was started as a module.
    """

    module: str
    name: str
    path: bytes | None = None

    @property
    def what(self) -> str:
        """What is imported for it, in words of the user."""
        return f"the program {storable(os.fsdecode(self.path))}" if self.path else f"module {self.module!r}"


class Boot(msgspec.Struct, array_like=True):
    """How a worker is set up: `pipes` for jobs, orders and answers; the rest as in `Processes`."""

    pipes: list[int]
    parent: int
    log_level: int
    max_result_bytes: int
    nice: int = 0
    cpus: list[int] = []
    max_tasks: int = 0
    max_mib: int = 0


class Row(Attempt, array_like=True, gc=False):
    """An attempt on its way."""


class Introduction(msgspec.Struct, array_like=True):
    """A handler, told before its first job; jobs name it by its number."""

    number: int
    name: str
    place: Place
    batched: bool
    context: str | None


class Job(msgspec.Struct, array_like=True, gc=False):
    """One work; `introduces` comes with the first one of a handler."""

    seq: int
    handler: int
    rows: list[Row]
    timeout_s: float | None = None
    at_most_once: bool = False
    introduces: Introduction | None = None


class Order(msgspec.Struct, array_like=True):
    """Over the control pipe: give back what has not begun up to `upto`, and have `cancel` end (0: none)."""

    upto: int = 0
    cancel: int = 0


class End(msgspec.Struct, array_like=True, gc=False):
    """How one attempt of a job ended."""

    task: int
    fence: int
    verdict: int
    result: bytes = b""
    failure: Failure | None = None
    retry_after_s: float = 0.0


class Over(msgspec.Struct, array_like=True, tag=0, gc=False):
    """A job ended after `spent_us`; `tired`: nothing more is begun, another worker has to take the rest."""

    seq: int
    spent_us: int
    tired: bool
    ends: list[End]


class Begun(msgspec.Struct, array_like=True, tag=1):
    """The handler of this job is imported and its call begins now; said after an import, and of calls with a limit."""

    seq: int


class Back(msgspec.Struct, array_like=True, tag=2):
    """What came after `begun`, up to `upto`, was not begun and will not be."""

    begun: int
    upto: int


class Said(msgspec.Struct, array_like=True, tag=3):
    """What a running handler said, for each row: task, fence, fraction, note, checkpoint, what it used."""

    notes: list[tuple[int, int, float | None, str, bytes | None, dict[str, float] | None]]


class Logged(msgspec.Struct, array_like=True, tag=4):
    """A record of `logging`."""

    logger: str
    level: int
    message: str
    path: str
    line: int
    trace: str | None


class Event(msgspec.Struct, array_like=True, tag=5):
    """An event of structlog."""

    level: str
    fields: dict[str, Any]


class Up(msgspec.Struct, array_like=True, tag=6):
    """The worker has started and takes jobs."""


Answer = Over | Begun | Back | Said | Logged | Event | Up

read_jobs: Final = msgspec.msgpack.Decoder(list[Job]).decode
read_order: Final = msgspec.msgpack.Decoder(Order).decode
read_answer: Final[Any] = msgspec.msgpack.Decoder(Answer).decode


def framed(value: object) -> bytes:
    """The value as one frame; what msgpack has no form for goes as its repr."""
    data = _encode(value)
    return _HEAD.pack(len(data)) + data


def crosses(value: object) -> bool:
    """Whether the wire carries this, whatever it holds inside."""
    try:
        _decode(_encode(value))
    except Exception:  # noqa: BLE001  # the repr of what the user made may raise anything
        return False
    return True


class Frames:
    """Cuts what comes out of a pipe into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are whole now."""
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while size - at >= _HEAD.size:
            (length,) = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + length
            if end > size:
                break
            yield data[at + _HEAD.size : end]
            at = end
        self._rest = data[at:]
