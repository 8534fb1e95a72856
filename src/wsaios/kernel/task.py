"""A task as the ledger stores it and the core holds it, its options, and its outcome."""

from enum import IntEnum
from typing import Any, Final, Literal

import msgspec

from wsaios.kernel.limit import Amounts, Limit
from wsaios.kernel.states import State

PRIORITY_MIN: Final = -100
PRIORITY_MAX: Final = 100
DEFAULT_TENANT: Final = "default"
MAX_PAYLOAD_BYTES: Final = 1 << 20
IDEMPOTENCY_WINDOW_S: Final = 7 * 86_400.0
HISTORY_KEPT: Final = 32
API_HANDLER: Final = "wsaios.api"
"""The handler that makes guarded calls over HTTP."""
GRADES: Final = ("bulk", "default", "interactive")
"""The classes of work, the lowest first; a task belongs to one by its priority."""
BULK_TO: Final = -50
INTERACTIVE_FROM: Final = 50

Delivery = Literal["at_least_once", "at_most_once"]
Entry = tuple[int, int, int, str | None]
"""One line of a history: state, time in µs UTC, fence, reason."""


class Codec(IntEnum):
    """How payload and result bytes are written."""

    JSON = 0
    MSGPACK = 1
    RAW = 2


class Flag:
    """Facts about a task that are not its state: bits, as plain numbers because every task meets them several times."""

    HAS_DEPENDENTS: Final = 1
    STARTED: Final = 2
    REPLAYED: Final = 4
    ONCE: Final = 8


class CallOptions(msgspec.Struct, frozen=True):
    """How a task is tried; None means: as the handler says, else the default of `effective`.

    Times are in seconds. `backoff` is full jitter: uniform in 0 … min(max, initial × factor^(attempt − 1)).
    """

    max_attempts: int | None = None
    timeout_s: float | None = None
    backoff_initial_s: float | None = None
    backoff_factor: float | None = None
    backoff_max_s: float | None = None
    delivery: Delivery | None = None
    concurrency_limit: int | None = None


class Options(CallOptions, frozen=True, array_like=True):
    """The same as an array, which is how ledgers keep it; and what a task asks of limits.

    `resources` are amounts that its call holds while it runs, `costs` what one task takes of rates.
    """

    resources: Amounts | None = None
    costs: Amounts | None = None


class Effective(msgspec.Struct, frozen=True):
    """Options with nothing left open; `timeout_s` None means no limit."""

    max_attempts: int
    timeout_s: float | None
    backoff_initial_s: float
    backoff_factor: float
    backoff_max_s: float
    at_most_once: bool
    concurrency_limit: int
    resources: Amounts = ()
    costs: Amounts = ()


LaneKind = Literal["async", "thread", "process"]
"""``"async"`` for coroutines, ``"thread"`` for plain functions, ``"process"`` for those that compute."""


class HandlerSpec(msgspec.Struct, frozen=True):
    """What the core knows of a handler; `batch_size` 1 means not batched, `calls` are options of its tasks.

    `kind` is that of the lanes that can run it; None: any. `required` and `accepts` are names of arguments; None: any.
    `preemptible`: its calls may have to give their slot to work of a higher class. `limit` bounds how many run.
    """

    name: str
    lane: str
    batch_size: int = 1
    max_wait_us: int = 10_000
    options: Options = Options()
    required: tuple[str, ...] = ()
    calls: dict[str, Any] = {}
    kind: LaneKind | None = None
    accepts: frozenset[str] | None = None
    preemptible: bool = False
    limit: Limit | None = None


class Processes(msgspec.Struct, frozen=True):
    """The workers of a lane of kind ``"process"``.

    `count`: how many at most; None: one for each slot. With fewer, short calls wait in their pipes. They are started
    when all that there are are at work; one that has had nothing to do for `idle_s` ends (0: never), as long as there
    are more than `least`. A worker is
    replaced after `max_tasks` works, or when it has more than `max_mib` MiB of memory after one (0: never). `nice` is
    added to their niceness (0 to 19), `cpus` are the processors that they may use (none: all). One that takes
    longer than `import_s` to import the module of a handler is killed, and the attempt that needs it fails.
    """

    count: int | None = None
    max_tasks: int = 0
    max_mib: int = 0
    nice: int = 0
    cpus: tuple[int, ...] = ()
    import_s: float = 60.0
    least: int = 1
    idle_s: float = 0.0


class LaneSpec(msgspec.Struct, frozen=True):
    """A named pool of slots.

    `kind` is ``"async"`` for coroutines, ``"thread"`` for plain functions, or ``"process"`` for plain functions in
    worker processes, which `processes` says more about. `reserved` keeps so many of the slots for a class of work
    (``"interactive"``, ``"default"``) and those above it, also while they stand empty. `resources` is how much there is
    of what its tasks ask for, such as ``{"gpu": 1.0, "memory_mb": 16_000}``.
    """

    name: str
    slots: int
    kind: LaneKind = "async"
    processes: Processes = Processes()
    reserved: dict[str, int] = {}
    resources: dict[str, float] = {}


class Body(msgspec.Struct, array_like=True, gc=False):
    """The part of a live task that no query looks into; stored as one JSON array.

    `step` says of which step of a workflow it is the work: run, number of the step, item (-1: no item).
    """

    accepted_us: int
    priority: int = 0
    attempts: int = 0
    losses: int = 0
    deaths: int = 0
    dependencies_left: int = 0
    flags: int = 0
    cap: int = 0
    resume_to: int = 0
    deadline_us: int | None = None
    options: Options | None = None
    traceparent: str | None = None
    reason: str | None = None
    spilled: int = 0
    history: list[Entry] = []
    depth: int = 0
    step: tuple[int, int, int] | None = None


class Task(msgspec.Struct, array_like=True, gc=False):
    """A task that has not ended: the row of the live table, and the core's own record of it.

    Smaller `key` comes first. `stored_fence` is the fence the ledger holds for it (0: the ledger has no row yet).
    """

    id: int
    shard: int
    state: int
    fence: int
    key: int
    due_us: int | None
    expires_us: int | None
    body: Body
    stored_fence: int = 0


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """Why an attempt or a task did not succeed."""

    kind: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        """In one phrase; many exceptions have a name only."""
        return f"{self.kind}: {self.message}" if self.message else self.kind


class Outcome(msgspec.Struct, array_like=True, gc=False):
    """How a task ended: one row, written once. `size` is the length of the result in bytes."""

    id: int
    stored_fence: int
    fence: int
    state: int
    shard: int
    ended_us: int
    key: int
    expires_us: int | None
    codec: int
    size: int
    failure: Failure | None
    body: Body


class NewTask(msgspec.Struct, array_like=True):
    """One call of a handler as it comes in, checked and encoded; the core gives it its id when `id` is 0."""

    handler: str
    payload: bytes
    codec: int = 0
    lane: str = ""
    tenant: str = DEFAULT_TENANT
    priority: int = 0
    due_us: int | None = None
    deadline_us: int | None = None
    expires_us: int | None = None
    options: Options | None = None
    concurrency_key: str = ""
    idempotency_key: str = ""
    digest: str = ""
    idempotency_window_us: int = int(IDEMPOTENCY_WINDOW_S * 1_000_000)
    depends_on: tuple[int, ...] = ()
    traceparent: str | None = None
    id: int = 0


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """The tasks that one queue holds.

    `lane` "" is the lane of the handler, `batch` 0 is none, `grade` a place in GRADES.
    """

    id: int
    lane: str
    tenant: str
    handler: str
    batch: int
    concurrency_key: str
    grade: int = 1


class BatchState(IntEnum):
    """Where a batch stands; rows of an unsealed one do not exist for anyone yet."""

    STAGING = 0
    SEALED = 1
    ABORTED = 2


class Batch(msgspec.Struct, array_like=True):
    """A batch: its rows are the ids of `ranges`, in input order; `ended` counts by state number."""

    id: int
    state: int
    handler: str
    tenant: str
    created_us: int
    sealed_us: int = 0
    rows: int = 0
    keep: bool = False
    key: str | None = None
    ranges: list[tuple[int, int]] = []
    ended: dict[int, int] = {}
    meta: dict[str, Any] = {}


NO_OPTIONS: Final = Options()
_CHOICES: Final = (
    ("max_attempts", 3),
    ("timeout_s", None),
    ("backoff_initial_s", 1.0),
    ("backoff_factor", 2.0),
    ("backoff_max_s", 300.0),
    ("delivery", "at_least_once"),
    ("concurrency_limit", 1),
    ("resources", ()),
    ("costs", ()),
)


def effective(own: Options | None, handler: Options | None) -> Effective:
    """The options that apply: the task's own, else the handler's, else the defaults.

    Defaults: 3 attempts, no time limit, backoff 1 s × 2 up to 300 s, at least once, one at a time for a concurrency
    key, no resources and no costs.
    """
    own, handler = own or NO_OPTIONS, handler or NO_OPTIONS
    found: dict[str, Any] = {}
    for name, default in _CHOICES:
        value = getattr(own, name)
        if value is None:
            value = getattr(handler, name)
        found[name] = default if value is None else value
    at_most_once = found.pop("delivery") == "at_most_once"
    if at_most_once:
        found["max_attempts"] = 1
    return Effective(at_most_once=at_most_once, **found)


def ended(state: int) -> bool:
    """Whether a task in this state is over."""
    return state >= State.SUCCEEDED


def grade_of(priority: int) -> int:
    """The class of work of a task: interactive from INTERACTIVE_FROM, bulk up to BULK_TO."""
    return 2 if priority >= INTERACTIVE_FROM else 0 if priority <= BULK_TO else 1


def clamp_priority(priority: int) -> int:
    """The priority within PRIORITY_MIN … PRIORITY_MAX."""
    return min(PRIORITY_MAX, max(PRIORITY_MIN, priority))
