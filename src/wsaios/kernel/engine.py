"""The Engine port: dumb pipes that run attempts and may lose, duplicate or reorder them."""

from collections.abc import Awaitable, Mapping, Sequence
from enum import IntEnum
from typing import Literal, NamedTuple, Protocol

import msgspec

from wsaios.kernel.task import Failure


class AttemptRef(NamedTuple):
    """One dispatch of a task."""

    task: int
    fence: int


class Attempt(msgspec.Struct, gc=False):
    """One row of work: arguments as bytes, and what the handler may ask about it. `number` counts from 1."""

    task: int
    fence: int
    number: int
    codec: int
    payload: bytes
    tenant: str
    batch: int = 0
    saved: bytes | None = None
    traceparent: str | None = None


class Work(msgspec.Struct, gc=False):
    """What takes one slot: one attempt, or a micro-batch of attempts of one batched handler.

    `timeout_s` bounds the whole call; None means no limit. After it has run for `quantum_us`, without what it awaited,
    it yields at its next checkpoint (None: only when it is asked to). At most once means that no row may be run twice,
    not even to find the one that fails. Workers refuse to start it after `not_after_us`.
    """

    handler: str
    lane: str
    attempts: list[Attempt]
    timeout_s: float | None = None
    at_most_once: bool = False
    not_after_us: int | None = None
    quantum_us: int | None = None


class Resumed(NamedTuple):
    """A call that yielded goes on, for so long until it yields again (None: until it is asked to)."""

    ref: AttemptRef
    quantum_us: int | None


class Receipt(IntEnum):
    """What an engine says of work given to it: UNKNOWN may or may not run."""

    ACCEPTED = 0
    REJECTED = 1
    UNKNOWN = 2


class Verdict(IntEnum):
    """How an attempt ended, as its engine saw it."""

    SUCCEEDED = 0
    FAILED = 1
    RETRY_AFTER = 2
    GIVEN_UP = 3
    TIMED_OUT = 4
    CANCELLED = 5


class Started(msgspec.Struct):
    """A worker began with the attempt."""

    task: int
    fence: int


class Ended(msgspec.Struct, gc=False):
    """An attempt is over; `freed` False means that its slot stays occupied (a thread that outlived its timeout).

    `result` is JSON for SUCCEEDED; `retry_after_s` belongs to RETRY_AFTER; `failure` to the others.
    """

    task: int
    fence: int
    verdict: Verdict
    result: bytes = b""
    failure: Failure | None = None
    retry_after_s: float = 0.0
    freed: bool = True


class Freed(msgspec.Struct):
    """A slot that an `Ended(freed=False)` left occupied is free now."""

    task: int
    fence: int


class Aside(msgspec.Struct):
    """The call that holds this attempt awaits other tasks: its slot is free until the same is said with `back`."""

    task: int
    fence: int
    back: bool = False


class Yielded(msgspec.Struct):
    """The call that holds this attempt stopped at a checkpoint: its slot is free, and it goes on when it is resumed.

    `used_up`: it had used up its quantum, and was not only asked to. `back`: it goes on without having been resumed,
    because it was told to stop waiting.
    """

    task: int
    fence: int
    used_up: bool = False
    back: bool = False


class WorkerLost(msgspec.Struct):
    """A worker died holding these attempts and nothing else; their slots are free."""

    held: list[AttemptRef]
    reason: str = "the worker died"


class Noted(msgspec.Struct):
    """What a running handler said: progress (0…1, None: unsaid) with a note, or a checkpoint to keep.

    `used` is what its call has used so far of rates, by unit; of several rows the first says it for all.
    """

    task: int
    fence: int
    fraction: float | None = None
    note: str = ""
    saved: bytes | None = None
    used: dict[str, float] | None = None


class AtHand(msgspec.Struct):
    """Calls of this handler are that short that so many `rows` of it may wait in a lane beyond its slots.

    They are over in no time, while without them a worker would wait for a commit after each.
    """

    lane: str
    handler: str
    rows: int


class Unbegun(msgspec.Struct):
    """The engine gives an attempt back that it took and has not begun; its slot is free."""

    task: int
    fence: int


Report = Started | Ended | Freed | Aside | Yielded | WorkerLost | Noted | AtHand | Unbegun


class OutcomeSink(Protocol):
    """Where an engine reports."""

    def __call__(self, reports: Sequence[Report]) -> Awaitable[None]:
        """Take the reports at once.

        What it returns is done after their fenced commit (then a stream may be acknowledged).
        """


class Capabilities(msgspec.Struct, frozen=True):
    """What an engine can do."""

    delivery: Literal["at_most_once", "at_least_once"]
    kill: bool
    reports_started: bool
    detects_loss: bool
    remote: bool


class Engine(Protocol):
    """Runs work. Never decides, never retries, never changes a state."""

    name: str
    capabilities: Capabilities

    async def start(self, sink: OutcomeSink) -> None:
        """Be ready for `submit`; reports go to `sink` on the loop that called."""

    async def submit(self, batch: Sequence[Work]) -> Sequence[Receipt]:
        """Take work, one receipt per item in order; idempotent by (task, fence). Never raises for a single item."""

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        """Ask to end these; best effort, never raises, unknown ones are ignored.

        Their `Ended` still comes when they end.
        """

    def preempt(self, refs: Sequence[AttemptRef]) -> None:
        """Ask these calls to yield at their next checkpoint; those that have none go on."""

    def resume(self, resumed: Sequence[Resumed]) -> None:
        """Let calls that yielded go on; unknown ones are ignored."""

    def recall(self) -> None:
        """Give back, as `Unbegun`, what waits beyond the slots of its lanes and has not begun; best effort."""

    def capacity(self) -> Mapping[str, int]:
        """Free slots per lane; information only."""

    async def probe(self, refs: Sequence[AttemptRef]) -> Mapping[AttemptRef, Literal["running", "unknown"]]:
        """Which of these it is running."""

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nothing runs; False when the time was not enough."""

    async def stop(self) -> None:
        """End everything now; nothing is reported afterwards."""
