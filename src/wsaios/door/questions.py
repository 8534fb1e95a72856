"""What a client may ask, what it is answered, and the messages that carry both."""

from typing import Annotated, Any, ClassVar, Final, Generic, Protocol, TypeVar, cast, get_args

import msgspec

from wsaios.door.faults import Fault
from wsaios.kernel.events import Scope, Verb
from wsaios.kernel.limit import Limit, LimitView
from wsaios.kernel.policy import AnyPolicy, FairShare, Ordering
from wsaios.kernel.run import Published
from wsaios.kernel.task import Batch
from wsaios.kernel.trigger import TriggerSpec, TriggerVerb, TriggerView
from wsaios.kernel.views import BatchView, Overview, RunView, Status, StepView, Transition, Why

PROTOCOL: Final = 3
A = TypeVar("A")
MAX_NUMBER: Final = (1 << 63) - 1
Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
Token = Annotated[str, msgspec.Meta(max_length=200)]
Ranges = list[tuple[Number, Number]]


class Ask(msgspec.Struct, Generic[A], frozen=True, array_like=True):
    """A question whose answer is an `A`; ids are numbers.

    `writes`: without an owner it takes the ledger's lock. `waits`: the answer may take as long as work does.
    """

    writes: ClassVar[bool] = False
    waits: ClassVar[bool] = False


class SubmitOne(Ask[int], frozen=True, tag="submit"):
    """Accept a task; `arguments` are a JSON object, the answer is its id.

    With `again`, a token that was accepted before stands for the task of that time.
    """

    writes: ClassVar[bool] = True
    handler: str
    arguments: bytes
    options: dict[str, Any]
    token: Token
    again: bool = False


class BatchOpen(Ask[int], frozen=True, tag="batch_open"):
    """Begin a batch on this connection, whose end takes it back; the answer is a handle. `key` is for `BatchFind`."""

    writes: ClassVar[bool] = True
    handler: str
    options: dict[str, Any]
    keep: bool
    meta: dict[str, Any]
    key: Token


class BatchRows(Ask[None], frozen=True, tag="batch_rows"):
    """Add rows, each a JSON object; answered when there is room for more."""

    handle: Number
    rows: list[bytes]


class BatchSeal(Ask[Batch], frozen=True, tag="batch_seal"):
    """The batch is whole."""

    handle: Number


class BatchAbort(Ask[None], frozen=True, tag="batch_abort"):
    """Take the batch back."""

    handle: Number


class BatchFind(Ask[Batch | None], frozen=True, tag="batch_find"):
    """The batch that was opened under this key, if it was not taken back."""

    key: Token


class ResultOf(Ask[bytes], frozen=True, tag="result"):
    """The result of a task as JSON, once it has ended."""

    waits: ClassVar[bool] = True
    task: Number


class StatusOf(Ask[Status], frozen=True, tag="status"):
    """Where a task stands."""

    task: Number


class HistoryOf(Ask[list[Transition]], frozen=True, tag="history"):
    """Every change of a task."""

    task: Number


class WhyOf(Ask[Why], frozen=True, tag="why"):
    """What a task waits for."""

    task: Number


class ActOn(Ask[str | int], frozen=True, tag="act"):
    """Cancel, pause, resume or replay; the answer is the state of a task in a word, else a count."""

    writes: ClassVar[bool] = True
    verb: Verb
    scope: Scope
    reason: Annotated[str, msgspec.Meta(max_length=1000)]


class RunStart(Ask[int], frozen=True, tag="run_start"):
    """Begin a run of a definition, given as its canonical JSON; `input` is a JSON object, the answer is its id.

    Without a definition it is the one that was published under `name`. `again` as in `SubmitOne`.
    """

    writes: ClassVar[bool] = True
    definition: bytes
    input: bytes
    options: dict[str, Any]
    token: Token
    again: bool = False
    name: Token = ""


class PublishOn(Ask[int], frozen=True, tag="publish"):
    """A definition is that of its name from now on; the answer is its number there."""

    writes: ClassVar[bool] = True
    definition: bytes
    note: Annotated[str, msgspec.Meta(max_length=1000)]
    who: Token


class RouteOn(Ask[Published], frozen=True, tag="route"):
    """So many of a hundred new runs of a name get these versions, by number."""

    writes: ClassVar[bool] = True
    name: Token
    shares: dict[Number, Number]


class PublishedOf(Ask[Published], frozen=True, tag="published"):
    """The versions of a name."""

    name: Token


class RunEnd(Ask[RunView], frozen=True, tag="run_end"):
    """Where a run stands once it has ended."""

    waits: ClassVar[bool] = True
    run: Number


class RunResult(Ask[bytes], frozen=True, tag="run_result"):
    """What a run gives back, as JSON, once it has ended."""

    waits: ClassVar[bool] = True
    run: Number


class RunStatus(Ask[RunView], frozen=True, tag="run_status"):
    """Where a run stands."""

    run: Number


class RunSteps(Ask[list[StepView]], frozen=True, tag="run_steps"):
    """Where all steps of a run stand."""

    run: Number


class RunDefinition(Ask[bytes], frozen=True, tag="run_definition"):
    """The canonical JSON of a version that some run has."""

    version: Token


class ListRuns(Ask[list[RunView]], frozen=True, tag="runs"):
    """Runs in one of the states (none: any), latest first, those before an id (0: all)."""

    states: list[str]
    before: Number
    limit: int


class SignalOn(Ask[int], frozen=True, tag="signal"):
    """Tell an event to the steps that wait for it, of one run (0: of all); the answer is how many took it."""

    writes: ClassVar[bool] = True
    event: Token
    data: Any
    run: Number = 0
    step: Token = ""


class OrderBy(Ask[Ordering], frozen=True, tag="order_by"):
    """Order by another policy, and let tenants share or not; None leaves each as it is. The answer is what holds."""

    writes: ClassVar[bool] = True
    policy: str | AnyPolicy | None = None
    fair_share: bool | FairShare | None = None


class LimitBy(Ask[list[LimitView]], frozen=True, tag="limit"):
    """Have these limits from now on; the answer are all that hold."""

    writes: ClassVar[bool] = True
    limits: list[Limit] = []


class BatchStatusOf(Ask[BatchView], frozen=True, tag="batch_status"):
    """Where a batch stands."""

    batch: Number


class BatchEnd(Ask[BatchView], frozen=True, tag="batch_end"):
    """Where a batch stands once all its rows have ended."""

    waits: ClassVar[bool] = True
    batch: Number


class FollowOpen(Ask[int], frozen=True, tag="follow_open"):
    """Follow the ends of the tasks of these (first, length) ranges on this connection; the answer is a handle."""

    ranges: Ranges


class FollowNext(Ask[Ranges], frozen=True, tag="follow_next"):
    """Some (id, state) that ended since the last page, 1…`most`; none when there is nothing more to come."""

    waits: ClassVar[bool] = True
    handle: Number
    most: int


class FollowEnd(Ask[None], frozen=True, tag="follow_end"):
    """No longer follow."""

    handle: Number


class ListBatches(Ask[list[BatchView]], frozen=True, tag="batches"):
    """Batches, latest first."""

    limit: int


class ListTasks(Ask[list[Status]], frozen=True, tag="tasks"):
    """Tasks above an id in one of the states (none: any), by id."""

    states: list[Number]
    after: Number
    limit: int


class OverviewOf(Ask[Overview], frozen=True, tag="overview"):
    """Counts over everything."""


class Flush(Ask[None], frozen=True, tag="flush"):
    """Answered when everything said before is durable."""


class DeclareTrigger(Ask[TriggerView], frozen=True, tag="trigger"):
    """Declare a trigger, or change the one of that name."""

    writes: ClassVar[bool] = True
    spec: TriggerSpec


class TriggerAct(Ask[TriggerView], frozen=True, tag="trigger_act"):
    """Pause, resume, remove or fire a trigger."""

    writes: ClassVar[bool] = True
    verb: TriggerVerb
    name: Token


class ListTriggers(Ask[list[TriggerView]], frozen=True, tag="triggers"):
    """All triggers, or the one of that name. Only a core knows how they stand: without an owner it takes the lock."""

    writes: ClassVar[bool] = True
    name: Token = ""


class EmitEvent(Ask[int], frozen=True, tag="emit"):
    """Emit an event; the answer is its number. `again` as in `SubmitOne`."""

    writes: ClassVar[bool] = True
    name: Token
    data: Any
    token: Token
    again: bool = False


def repeats(ask: Ask[Any]) -> bool:
    """Whether it may be asked again when the answer was lost.

    A second replay would run again what failed again, and a second event may meet another step.
    """
    if isinstance(ask, TriggerAct):
        return ask.verb in {"pause", "resume"}
    return not isinstance(ask, SignalOn) and (not isinstance(ask, ActOn) or ask.verb != "replay")


def sent_again(ask: Ask[A]) -> Ask[A]:
    """The same question, after a try whose answer may have been lost."""
    if isinstance(ask, SubmitOne | EmitEvent | RunStart):
        return cast("Ask[A]", msgspec.structs.replace(ask, again=True))
    return ask


Question = (
    SubmitOne
    | BatchOpen
    | BatchRows
    | BatchSeal
    | BatchAbort
    | BatchFind
    | ResultOf
    | StatusOf
    | HistoryOf
    | WhyOf
    | ActOn
    | RunStart
    | PublishOn
    | RouteOn
    | PublishedOf
    | RunEnd
    | RunResult
    | RunStatus
    | RunSteps
    | RunDefinition
    | ListRuns
    | SignalOn
    | OrderBy
    | LimitBy
    | BatchStatusOf
    | BatchEnd
    | FollowOpen
    | FollowNext
    | FollowEnd
    | ListBatches
    | ListTasks
    | OverviewOf
    | Flush
    | DeclareTrigger
    | TriggerAct
    | ListTriggers
    | EmitEvent
)


class Asker(Protocol):
    """Where questions are answered: a connection to the owner, or a desk of one's own."""

    async def ask(self, ask: Ask[A]) -> A:
        """The answer, or the error that it raises."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """The first frame of a client; this form never changes. `ledger` is the file's identity."""

    protocol: int
    version: str
    ledger: str
    session: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The answer to it."""

    protocol: int
    version: str


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The other answer to it; then the connection ends."""

    fault: Fault


class Call(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A question; `id` is not in use on this connection."""

    id: int
    ask: Question


class Drop(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Nobody waits for this answer any more."""

    id: int


class Done(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """An answer."""

    id: int
    value: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """An error instead of an answer."""

    id: int
    fault: Fault


class Closing(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The connection ends, and why."""

    reason: str


FromClient = Call | Drop
FromOwner = Done | Failed | Closing


def answer_type(ask: type[Ask[Any]]) -> Any:
    """The type that answers a question of this class."""
    (base,) = (base for base in getattr(ask, "__orig_bases__", ()) if get_args(base))
    return get_args(base)[0]
