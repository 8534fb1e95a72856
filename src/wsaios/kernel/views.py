"""What people and programs are shown of tasks, batches and runs."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from wsaios.kernel.task import Failure


class Transition(NamedTuple):
    """One line of a task's history; `from_state` of the first is ``"new"``, `at` is UTC."""

    from_state: str
    to_state: str
    at: datetime
    fence: int
    reason: str | None


class Status(msgspec.Struct, frozen=True):
    """Where a task stands. Times are UTC; `attempt` counts those used so far, `progress` is 0…1 or None.

    `row` is its place in its batch, from 1.
    """

    id: str
    state: str
    attempt: int
    reason: str | None
    handler: str
    lane: str
    tenant: str
    priority: int
    batch: str | None
    accepted_at: datetime
    ended_at: datetime | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None
    deadline: datetime | None = None
    progress: float | None = None
    note: str = ""
    failure: Failure | None = None
    losses: int = 0
    row: int | None = None


UNOWNED: Final = "no scheduler owns this ledger now"
"""The `detail` of a task in line when whoever was asked found nobody who runs it."""


class Why(msgspec.Struct, frozen=True):
    """Why a task is where it is.

    `waits_for` is one of intake, dependency, time, seal, pause, slot, order, limit, handler, lane, alone, nothing;
    `ahead` is how many tasks of its lane stand before it (None: not waiting in line), counted up to 10,000; calls that
    stopped at a checkpoint and wait to go on stand in that line too. `starts_in_s` is a guess (None: nobody knows), and
    so is `in_time`, whether it will end by its `deadline`, until it has ended (None: nobody knows, or it has none).
    """

    id: str
    state: str
    waits_for: str
    detail: str
    since: datetime
    ahead: int | None = None
    starts_in_s: float | None = None
    deadline: datetime | None = None
    in_time: bool | None = None

    def __str__(self) -> str:
        """One sentence."""
        line = f"{self.id} is {self.state}: {self.detail} (since {self.since:%Y-%m-%d %H:%M:%S} UTC)"
        if self.ahead is not None:
            line += f"; {self.ahead} before it"
        if self.starts_in_s is not None:
            line += f", starts in about {about(self.starts_in_s)}"
        if self.deadline is None or self.in_time is None:
            return line
        over = self.waits_for == "nothing" and self.state != "running"
        verb = "was" if over else "will likely be"
        return f"{line}; its deadline of {self.deadline:%H:%M:%S} UTC {verb} {'met' if self.in_time else 'missed'}"


class BatchView(msgspec.Struct, frozen=True):
    """Where a batch stands: `ended` counts by state word."""

    id: str
    state: str
    handler: str
    tenant: str
    rows: int
    ended: dict[str, int]
    created_at: datetime
    keep: bool
    meta: dict[str, Any]

    @property
    def done(self) -> int:
        """How many rows have ended."""
        return sum(self.ended.values())

    @property
    def finished(self) -> bool:
        """Whether all rows have ended."""
        return self.state == "sealed" and self.done >= self.rows


class RunView(msgspec.Struct, frozen=True):
    """Where a run of a workflow stands. `ended_at` None: it has not ended; `tries`: how often it was run again.

    `failure` is known as soon as it cannot succeed any more. `has_output`: its definition says what it gives back.
    """

    id: str
    workflow: str
    version: str
    state: str
    tenant: str
    priority: int
    created_at: datetime
    ended_at: datetime | None
    tries: int
    input: Any
    failure: Failure | None = None
    has_output: bool = False

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None


class StepView(msgspec.Struct, frozen=True):
    """Where a step of a run stands: ``"pending"`` before it begins, ``"waiting"`` for its event, or as a task.

    `began_at` is when its first task began to run, `items` how many elements its list has (None: it has no list), of
    which `done` ended and `failed` did not succeed. `depends_on` are the ids of others.
    """

    id: str
    state: str
    does: str
    depends_on: tuple[str, ...]
    task: str | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    items: int | None = None
    done: int = 0
    failed: int = 0
    failure: Failure | None = None


class Overview(msgspec.Struct, frozen=True):
    """Counts over a whole ledger by state word.

    And the tasks that were in flight at three deaths of their owner or more.

    `owned` says whether a live scheduler answered; without one `suspects` are those that were running when it died.
    """

    live: dict[str, int]
    ended: dict[str, int]
    size_bytes: int
    owned: bool
    suspects: list[Status]


def about(seconds: float) -> str:
    """A length of time as people say it when they guess."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004  # of ms, no more are told


def amount(number: int, noun: str) -> str:
    """A number of things in words, such as ``1 row`` or ``12,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment(at_us: int) -> datetime:
    """µs UTC as a datetime."""
    return datetime.fromtimestamp(at_us / 1e6, UTC)


def moment_or_none(at_us: int | None) -> datetime | None:
    """The same for a time that may be missing."""
    return None if at_us is None else moment(at_us)
