"""Every error that WSAIOS raises, by who can act.

WsaiosError
├── CallerError            the call was wrong; nothing changed
│   ├── InvalidInput       a field, a line or a row
│   │   ├── InputError     a place in an input file
│   │   ├── InvalidExpression   a place in an expression
│   │   └── InvalidDefinition   all that is wrong with the definition of a workflow
│   ├── UnknownTask · UnknownBatch · UnknownRun · UnknownWorkflow · UnknownHandler · UnknownLane
│   ├── UnknownModel · UnknownGoal · UnknownTrigger
│   ├── IdempotencyConflict
│   ├── NotPossible        the verb does not fit the state
│   ├── QueueFull          try again after `retry_after_s`
│   ├── ExpressionFailed   an expression has no value over these values
│   ├── RunFailed          `result()` of a run that did not succeed
│   └── TaskFailed         `result()` of a task that did not succeed
├── OperatorError          the installation needs a hand
│   ├── LedgerOwned        another live scheduler holds the ledger
│   ├── LedgerTooNew · LedgerBroken · LedgerUnavailable
│   ├── WrongVersion       a client and the scheduler that it found do not speak the same protocol
│   └── MissingExtra
├── Unacknowledged         nobody knows whether it was committed: ask again with the same key
├── Interrupted            the scheduler went away while the rows of a batch were sent; nothing was accepted
├── NotRunning             the scheduler is not started or already stopped
│   └── NoOwner            a client asked for what only a live scheduler can give, and none runs
├── IllegalTransition      a defect of ours
└── Fenced                 someone else owns the ledger now; this owner stands down
"""

from __future__ import annotations

from typing import Self

from wsaios.kernel.flaw import Flaw

_TOLD = 100


class WsaiosError(Exception):
    """The root of all errors of this package."""

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args, self.__dict__.copy())


def _revive(kind: type[WsaiosError], args: tuple[object, ...], attributes: dict[str, object]) -> WsaiosError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class CallerError(WsaiosError):
    """The call was wrong; nothing changed."""


class InvalidInput(CallerError, ValueError):
    """A value that was passed cannot be used."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InputError(InvalidInput):
    """A place in an input that cannot be used."""

    def __init__(self, source: str, where: str, reason: str) -> None:
        place = f"{source}, {where}" if where else source
        super().__init__(place, reason)
        self.source = source
        self.where = where


class InvalidExpression(InvalidInput):
    """A text is no expression, or one that could cost too much.

    `position` counts characters from 0; None where nobody knows. `name` is the word that is wrong, or empty.
    """

    def __init__(self, source: str, reason: str, position: int | None = None, name: str = "") -> None:
        place = "" if position is None else f", character {position + 1}"
        super().__init__(f"expression {source[:200]!r}{place}", reason)
        self.source = source
        self.reason = reason
        self.position = position
        self.name = name


class InvalidDefinition(InvalidInput):
    """The definition of a workflow cannot be used; `flaws` are all reasons, in the order of the text."""

    def __init__(self, source: str, flaws: tuple[Flaw, ...]) -> None:
        self.flaws = flaws
        left = len(self.flaws) - _TOLD
        lines = [*map(str, self.flaws[:_TOLD]), *([f"… and {left:,} more"] if left > 0 else [])]
        count = f"{len(self.flaws):,} flaws" if len(self.flaws) > 1 else "a flaw"
        super().__init__(source, "\n".join([f"{count} in this definition", *lines]))
        self.source = source


class UnknownTask(CallerError, LookupError):
    """No task has this id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task {task_id} in this ledger; it may have been pruned after its retention time")
        self.task_id = task_id


class UnknownBatch(CallerError, LookupError):
    """No batch has this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no batch {batch_id} in this ledger; `wsaios batch list` shows those there are")
        self.batch_id = batch_id


class UnknownRun(CallerError, LookupError):
    """There is no run of a workflow with this id (or it was pruned)."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id}; it may be older than the retention time")
        self.run_id = run_id


class UnknownWorkflow(CallerError, LookupError):
    """No workflow of this name was published, or it has no such version."""

    def __init__(self, name: str, reason: str = "no workflow of this name was published") -> None:
        super().__init__(f"workflow {name!r}: {reason}")
        self.name = name
        self.reason = reason


class UnknownHandler(CallerError, LookupError):
    """No handler has this name, or it cannot be imported."""

    def __init__(self, name: str, reason: str = "no handler of this name is registered") -> None:
        super().__init__(f"handler {name!r}: {reason}")
        self.name = name


class UnknownLane(CallerError, LookupError):
    """No lane has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no lane {name!r}; there are {', '.join(sorted(known))}")
        self.name = name
        self.known = known


class UnknownModel(CallerError, LookupError):
    """No model has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no model {name!r}; there are {', '.join(sorted(known))}")
        self.name = name
        self.known = known


class UnknownGoal(CallerError, LookupError):
    """No goal has this id."""

    def __init__(self, goal_id: str) -> None:
        super().__init__(f"no goal {goal_id!r}; `add` returns the ids that there are")
        self.goal_id = goal_id


class UnknownTrigger(CallerError, LookupError):
    """No trigger has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        there = f"there are {', '.join(sorted(known)[:20])}" if known else "there are none"
        super().__init__(f"no trigger {name!r:.80}; {there}")
        self.name = name
        self.known = known


class IdempotencyConflict(CallerError):
    """The same key was used before with another handler or other arguments."""

    def __init__(self, key: str, task_id: str) -> None:
        super().__init__(
            f"idempotency_key {key!r} already stands for {task_id}, "
            "which has another handler or other arguments; use a new key"
        )
        self.key = key
        self.task_id = task_id


class NotPossible(CallerError):
    """The verb does not fit the state of what it was called on."""

    def __init__(self, verb: str, what: str, state: str, hint: str = "") -> None:
        super().__init__(f"cannot {verb} {what}: it is {state}{'; ' + hint if hint else ''}")
        self.verb = verb
        self.what = what
        self.state = state


class QueueFull(CallerError):
    """More was accepted than the ledger has committed; nothing of this call was taken."""

    def __init__(self, pending_rows: int, pending_bytes: int, retry_after_s: float) -> None:
        super().__init__(
            f"{pending_rows} rows ({pending_bytes} bytes) wait for their commit; try again in {retry_after_s:g} s"
        )
        self.pending_rows = pending_rows
        self.pending_bytes = pending_bytes
        self.retry_after_s = retry_after_s


class ExpressionFailed(CallerError):
    """An expression has no value over the values that it was given, or would cost too much."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"expression {source[:200]!r}: {reason}")
        self.source = source
        self.reason = reason


class RunFailed(CallerError):
    """A run of a workflow ended without success."""

    def __init__(self, run_id: str, state: str, kind: str, message: str) -> None:
        super().__init__(f"{run_id} {state}: {message}" if message else f"{run_id} {state}")
        self.run_id = run_id
        self.state = state
        self.kind = kind
        self.message = message


class TaskFailed(CallerError):
    """The task ended without a result."""

    def __init__(self, task_id: str, state: str, kind: str, message: str, traceback: str = "") -> None:
        super().__init__(f"{task_id} {state}: {': '.join(part for part in (kind, message) if part)}")
        self.task_id = task_id
        self.state = state
        self.kind = kind
        self.message = message
        self.traceback = traceback


class OperatorError(WsaiosError):
    """The installation needs a hand."""


class LedgerOwned(OperatorError):
    """Another live scheduler holds the ledger."""

    def __init__(self, ledger: str, owner: str) -> None:
        super().__init__(
            f"{ledger} is owned by {owner}; stop that one, or use another ledger (--ledger, WSAIOS_LEDGER)"
        )
        self.ledger = ledger
        self.owner = owner


class LedgerTooNew(OperatorError):
    """A newer version wrote this ledger."""

    def __init__(self, ledger: str, found: int, known: int) -> None:
        super().__init__(
            f"{ledger} has schema {found}, this version knows {known} at most; "
            "install the version that wrote it, or a newer one"
        )
        self.found = found
        self.known = known


class LedgerBroken(OperatorError):
    """The ledger contradicts itself or is not a ledger."""

    def __init__(self, ledger: str, reason: str) -> None:
        super().__init__(f"{ledger}: {reason}")
        self.ledger = ledger
        self.reason = reason


class LedgerUnavailable(OperatorError):
    """The ledger cannot be opened, read or written now.

    `unmade`: it is not there, or has an older schema; an owner changes that when it starts.
    """

    def __init__(self, ledger: str, reason: str, *, unmade: bool = False) -> None:
        super().__init__(f"{ledger}: {reason}")
        self.ledger = ledger
        self.reason = reason
        self.unmade = unmade

    @classmethod
    def missing(cls, ledger: str) -> Self:
        """There is no such ledger."""
        return cls(ledger, "there is no such ledger; a scheduler makes it when it starts", unmade=True)

    @classmethod
    def unwritable(cls, ledger: str, folder: object, why: str | None) -> Self:
        """Nothing can be written where the file is; reading a ledger needs that as well."""
        return cls(ledger, f"cannot write in {folder}: {why}; a ledger keeps files beside it there")

    @classmethod
    def older(cls, ledger: str, schema: int, known: int) -> Self:
        """An older version wrote it."""
        reason = f"it has schema {schema}, this version reads {known}; start a scheduler on it once"
        return cls(ledger, reason, unmade=True)


class WrongVersion(OperatorError):
    """A client and the scheduler that it found are of versions that do not understand each other."""

    def __init__(self, scheduler: str, client: str) -> None:
        super().__init__(
            f"the scheduler runs wsaios {scheduler}, this client is wsaios {client}; install the same version "
            "for both, and restart the scheduler"
        )
        self.scheduler = scheduler
        self.client = client


class MissingExtra(OperatorError, ImportError):
    """An optional part is not installed; `command` brings all of `extra`, and what no extra can bring."""

    def __init__(self, what: str, extra: str, then: str = "") -> None:
        # This package is on no index: what stands in its place is for the reader to fill in.
        self.command = " && ".join([f"pip install '/path/to/the/clone[{extra}]'", *([then] if then else [])])
        super().__init__(f"{what} is not installed; run: {self.command}")
        self.what = what
        self.extra = extra


class Unacknowledged(WsaiosError):
    """The commit failed or its end is unknown; repeat the call with the same idempotency_key."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not acknowledged: {reason}; the work may or may not be accepted, repeat with the same key")
        self.reason = reason


class NotRunning(WsaiosError):
    """The scheduler is not started, or already stopped."""

    def __init__(self, what: str = "the scheduler") -> None:
        super().__init__(f"{what} is not running; call start() first, or use `async with scheduler:`")
        self.what = what


class NoOwner(NotRunning):
    """No live scheduler owns the ledger, and what was asked needs one."""

    def __init__(self, ledger: str, what: str) -> None:
        WsaiosError.__init__(self, f"{what}, and no scheduler runs on {ledger}; start one, or wait with timeout_s")
        self.ledger = ledger
        self.what = what


class Interrupted(WsaiosError):
    """The scheduler went away while the rows of a batch were sent; nothing of it was accepted, submit it again."""

    def __init__(self, ledger: str, rows: int) -> None:
        super().__init__(
            f"the scheduler of {ledger} went away after {rows} rows of a batch; "
            "nothing of it was accepted, submit it again"
        )
        self.ledger = ledger
        self.rows = rows


class IllegalTransition(WsaiosError):
    """A change of state that the table does not have: a defect of this program."""

    def __init__(self, task_id: str, source: str, target: str) -> None:
        super().__init__(f"{task_id} cannot go from {source} to {target}; please report this")
        self.task_id = task_id
        self.source = source
        self.target = target


class Fenced(WsaiosError):
    """Someone else owns the ledger now; this owner stands down."""

    def __init__(self, ledger: str, epoch: int) -> None:
        super().__init__(f"{ledger}: epoch {epoch} is over, another owner took the ledger")
        self.ledger = ledger
        self.epoch = epoch
