"""What clients leave in the intake of a ledger on a server, for its owner to take in."""

from enum import IntEnum
from typing import Any

import msgspec

from wsaios.kernel.task import NewTask

LEFT: str = "waits to be taken in by a scheduler"
"""The reason of a task that is in the intake still."""


class Kind(IntEnum):
    """What a row of the intake holds: tasks of their own, the head of a batch, or some of its rows."""

    TASKS = 1
    BATCH = 2
    ROWS = 3


class Left(msgspec.Struct, frozen=True, array_like=True):
    """A call without its id; `given` names the options that the caller chose, the others are its handler's."""

    task: NewTask
    given: tuple[str, ...] = ()


class LeftBatch(msgspec.Struct, frozen=True, array_like=True):
    """The head of a batch: `like` is one of its rows without arguments."""

    like: Left
    keep: bool
    meta: dict[str, Any]
    rows: int = 0
    ranges: list[tuple[int, int]] = []


class LeftRows(msgspec.Struct, frozen=True, array_like=True):
    """Some rows of a batch: arguments as JSON, and what every one of them is like otherwise."""

    like: Left
    rows: list[bytes]


class Leaving(msgspec.Struct, frozen=True):
    """A row of the intake: it stands for `length` ids from `first`; `batch` 0 is none. `at_us` is when it came."""

    place: int
    kind: int
    first: int
    length: int
    batch: int
    at_us: int
    body: bytes
