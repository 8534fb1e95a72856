"""What goes into a step of the core and what comes out of it."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from wsaios.kernel.engine import AttemptRef, Report, Resumed, Work
from wsaios.kernel.ledger import Commit
from wsaios.kernel.limit import Limit
from wsaios.kernel.policy import Ordering
from wsaios.kernel.run import NewRun, Run, StoredDefinition
from wsaios.kernel.task import Batch, HandlerSpec, LaneSpec, NewTask, Outcome
from wsaios.kernel.trigger import TriggerSpec, TriggerVerb

Token = Any
"""Whatever the driver wants back with the reply; None when nobody waits."""


class Submit(msgspec.Struct):
    """Accept these tasks, all or none; the reply is the list of their ids.

    With `again`, a `client_token` that was accepted before gets the ids of that time: a retry after a lost reply does
    not double. A token that is sent for the first time is not looked up.
    """

    token: Token
    tasks: list[NewTask]
    client_token: str = ""
    again: bool = False


class TakeIn(msgspec.Struct):
    """Accept what a client left in row `place` of the intake, under the ids that it was promised.

    Its commit takes the row out. What cannot be accepted fails with the reason in `refused`, by id. The reply is None.
    """

    token: Token
    place: int
    tasks: list[NewTask]
    at_us: int
    batch: int = 0
    refused: dict[int, str] = {}


class TakeBatch(msgspec.Struct):
    """Accept the head of a batch whose rows come with `TakeIn`; otherwise as that."""

    token: Token
    place: int
    batch: Batch


class OpenBatch(msgspec.Struct):
    """Begin a batch; the reply is its id."""

    token: Token
    batch: Batch


class StageRows(msgspec.Struct):
    """Add rows to an open batch: one task like `template` for each payload.

    The reply is how many rows the batch has now.
    """

    token: Token
    batch: int
    template: NewTask
    payloads: list[bytes]


class SealBatch(msgspec.Struct):
    """The batch is whole: its rows exist from now on; the reply is the Batch."""

    token: Token
    batch: int


class AbortBatch(msgspec.Struct):
    """Take an open batch back; nothing of it remains."""

    token: Token
    batch: int


class Reported(msgspec.Struct):
    """What the engine says; the reply, if a token is given, comes after the fenced commit."""

    token: Token
    reports: list[Report]


class StartRun(msgspec.Struct):
    """Begin a run of a workflow; the reply is its id. `client_token` and `again` as in `Submit`."""

    token: Token
    run: NewRun
    client_token: str = ""
    again: bool = False


class Publish(msgspec.Struct):
    """A definition is that of its name from now on; the reply is the number that it has there."""

    token: Token
    definition: StoredDefinition
    note: str = ""
    who: str = ""


class Route(msgspec.Struct):
    """So many of a hundred new runs of a name get these versions, by number. The reply is the Published."""

    token: Token
    name: str
    shares: dict[int, int]


class Signal(msgspec.Struct):
    """An event came, with `data` as a text of JSON: steps that wait for it take it. The reply is how many did.

    `run` 0: of every run. `step` "": whichever waits for `event`; otherwise that step, whatever its event is called.
    """

    token: Token
    event: str
    data: str = "null"
    run: int = 0
    step: str = ""


Verb = Literal["cancel", "pause", "resume", "replay"]


class Scope(msgspec.Struct, frozen=True):
    """What a verb is meant for: a task, batch or run by number, a lane by name, or everything.

    With a run, `name` is the step from which it is done again.
    """

    kind: Literal["task", "batch", "lane", "all", "run"]
    number: int = 0
    name: str = ""

    @property
    def key(self) -> str:
        """The scope as a fact's key."""
        return f"{self.kind}:{self.name or self.number or '*'}"


class Act(msgspec.Struct):
    """Cancel, pause, resume or replay.

    The reply is the state number for a task or a run, else how many tasks it met.
    """

    token: Token
    verb: Verb
    scope: Scope
    reason: str = ""


class HandlerKnown(msgspec.Struct):
    """A handler was registered."""

    spec: HandlerSpec


class LaneKnown(msgspec.Struct):
    """A lane was added or got another number of slots."""

    spec: LaneSpec


class Reorder(msgspec.Struct):
    """Order by another policy from now on; what waits gets its new place step by step. The reply is the ordering."""

    token: Token
    ordering: Ordering


class SetLimits(msgspec.Struct):
    """Have these limits from now on; one that bounds nothing removes the one of its name.

    The reply is a `LimitView` of each that holds then.
    """

    token: Token
    limits: list[Limit]


class Barrier(msgspec.Struct):
    """The reply comes when everything before it is durable."""

    token: Token


class Hold(msgspec.Struct):
    """Start nothing more (True) or go on (False)."""

    held: bool


class Only(msgspec.Struct):
    """Start nothing but tasks of this batch; 0 lifts it."""

    batch: int


class Recall(msgspec.Struct):
    """The owner ends in good order: what still runs goes back into the queue under a new fence."""


class PutTrigger(msgspec.Struct):
    """Declare a trigger, or change the one of that name; the reply is its TriggerView."""

    token: Token
    spec: TriggerSpec


class ActOnTrigger(msgspec.Struct):
    """Pause, resume, remove or fire a trigger; the reply is its TriggerView."""

    token: Token
    verb: TriggerVerb
    name: str


class AskTriggers(msgspec.Struct):
    """The reply are all triggers, or those of that name, as TriggerViews."""

    token: Token
    name: str = ""


class Emit(msgspec.Struct):
    """Tell an event to those triggers that are there, and to the steps that wait for it.

    The reply is its number. `again` as in `Submit`.
    """

    token: Token
    name: str
    data: Any
    client_token: str = ""
    again: bool = False


Event = (
    Recall
    | Submit
    | TakeIn
    | TakeBatch
    | OpenBatch
    | StageRows
    | SealBatch
    | AbortBatch
    | StartRun
    | Publish
    | Route
    | Signal
    | Reported
    | Act
    | HandlerKnown
    | LaneKnown
    | Reorder
    | SetLimits
    | Barrier
    | Hold
    | Only
    | PutTrigger
    | ActOnTrigger
    | AskTriggers
    | Emit
)


class Reply(msgspec.Struct):
    """What to tell who asked: a value, or an error when `error` is set."""

    token: Token
    value: Any = None
    error: Exception | None = None


class Closed(msgspec.Struct, gc=False):
    """A task of that handler ended and that is durable; `result` is empty unless it succeeded."""

    outcome: Outcome
    result: bytes
    handler: str


class Effects(msgspec.Struct):
    """What may leave once `commit` is durable, and when to step again without an event (µs UTC; None: not before one).

    `again` asks for a step right after the answers; with `alone` nothing may be taken before it. Attempts in `works`
    whose payload is empty find it in the answer, by task id. `recalls` asks for what has not begun back. `ended` has
    the states of the tasks in `closed`, `runs` are those that ended, `begun` the versions of those that triggers began.
    `sizes` are those of the micro-batches whose attempts left.
    """

    commit: Commit
    replies: list[Reply] = []
    works: list[Work] = []
    cancels: list[AttemptRef] = []
    preempts: list[AttemptRef] = []
    resumes: list[Resumed] = []
    recalls: bool = False
    closed: list[Closed] = []
    batches: list[Batch] = []
    runs: list[Run] = []
    begun: list[str] = []
    warnings: list[tuple[str, dict[str, Any]]] = []
    ended: Mapping[int, int] = {}
    sizes: dict[AttemptRef, int] = {}
    wake_us: int | None = None
    again: bool = False
    alone: bool = False
