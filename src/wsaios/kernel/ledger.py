"""The Ledger port: one coarse commit with questions answered in the same call, and reads beside it.

`commit` writes everything of a `Commit` in one transaction or nothing, checks the epoch and every stored fence, and
then, still in the same call, answers the questions as of that transaction. The core steps only after the answer, so
memory and ledger never disagree between two steps.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import msgspec

from wsaios.kernel.run import Run, StepRow, StoredDefinition
from wsaios.kernel.task import Batch, Outcome, Shard, Task


class ReadyAfter(msgspec.Struct, frozen=True, tag=True):
    """Tasks in state READY of a shard whose (key, id) is larger than the given one, in that order."""

    shard: int
    key: int
    id: int
    limit: int


class DueAfter(msgspec.Struct, frozen=True, tag=True):
    """Tasks that wait for a time (PENDING or RETRYING with `due_us`) with (due_us, id) larger than given.

    In that order.
    """

    due_us: int
    id: int
    limit: int


class ExpiringAfter(msgspec.Struct, frozen=True, tag=True):
    """Tasks not RUNNING with `expires_us`, with (expires_us, id) larger than given, in that order."""

    expires_us: int
    id: int
    limit: int


class ById(msgspec.Struct, frozen=True, tag=True):
    """The live tasks and the outcomes among these ids; those that do not exist are left out."""

    ids: tuple[int, ...]


class LiveAfter(msgspec.Struct, frozen=True, tag=True):
    """Live tasks with `after` < id ≤ `upto`, by id."""

    after: int
    upto: int
    limit: int


class EndedAfter(msgspec.Struct, frozen=True, tag=True):
    """Outcomes with `after` < id ≤ `upto` in one of the states, by id."""

    after: int
    upto: int
    states: tuple[int, ...]
    limit: int


class DependentsOf(msgspec.Struct, frozen=True, tag=True):
    """The open links from a parent, by child, with the children as live tasks."""

    parent: int
    limit: int


class DependentsOfMany(msgspec.Struct, frozen=True, tag=True):
    """The open links from several parents, by (parent, child), with the children as live tasks, each once."""

    parents: tuple[int, ...]
    limit: int


class IdempotencyOf(msgspec.Struct, frozen=True, tag=True):
    """What is recorded under these (tenant, key) pairs and not over at `now_us`."""

    pairs: tuple[tuple[str, str], ...]
    now_us: int


class BatchById(msgspec.Struct, frozen=True, tag=True):
    """One batch, whatever its state."""

    id: int


class RunsById(msgspec.Struct, frozen=True, tag=True):
    """The runs among these ids."""

    ids: tuple[int, ...]


class RunsBefore(msgspec.Struct, frozen=True, tag=True):
    """Runs with an id below the given one in one of the states (none: any), latest first."""

    before: int
    states: tuple[int, ...]
    limit: int


class StepsOf(msgspec.Struct, frozen=True, tag=True):
    """Rows of the steps of a run with (number, item) larger than the given one, in that order."""

    run: int
    number: int
    item: int
    limit: int


class ResultsOf(msgspec.Struct, frozen=True, tag=True):
    """The results of those of these tasks that succeeded."""

    ids: tuple[int, ...]


class DefinitionOf(msgspec.Struct, frozen=True, tag=True):
    """The definition of one version, or nothing."""

    version: str


class FactOf(msgspec.Struct, frozen=True, tag=True):
    """The value of one fact, or nothing."""

    component: str
    key: str


Question = (
    BatchById
    | ReadyAfter
    | DueAfter
    | ExpiringAfter
    | ById
    | LiveAfter
    | EndedAfter
    | DependentsOf
    | DependentsOfMany
    | IdempotencyOf
    | RunsById
    | RunsBefore
    | StepsOf
    | ResultsOf
    | DefinitionOf
    | FactOf
)


class IdempotencyRow(msgspec.Struct, frozen=True, array_like=True):
    """A key that stands for a task until `until_us`; `digest` is the hash of handler and arguments."""

    tenant: str
    key: str
    task: int
    digest: str
    until_us: int


class Answer(msgspec.Struct):
    """What was asked, in the order asked for; only the lists that belong to the question are filled."""

    tasks: list[Task] = []
    outcomes: list[Outcome] = []
    links: list[tuple[int, int]] = []
    keys: list[IdempotencyRow] = []
    batches: list[Batch] = []
    runs: list[Run] = []
    steps: list[StepRow] = []
    results: "list[Payload]" = []
    definitions: list[StoredDefinition] = []
    facts: list[Any] = []


class Payload(msgspec.Struct, array_like=True, gc=False):
    """Arguments, result or checkpoint as bytes with their codec."""

    id: int
    codec: int
    data: bytes


class Commit(msgspec.Struct):
    """Everything that one step changes, family by family, applied in the order of the fields.

    `accepted` are new live rows. `updated` replace the live row with the same id whose fence is `stored_fence`.
    `ended` move a live row (again matched by `stored_fence`) to its outcome; one that was `accepted` in this very
    commit counts as stored with its fence. `replayed` are live rows made from an outcome that is removed. `payloads`
    are arguments of accepted tasks; `results` belong to `ended` by id. `saved` replaces the checkpoint of a task
    (removed when the task ends). `spilled` are older history entries (task id, part number, JSON). `purged` are id
    ranges (first, last) of an aborted batch: at most `purge_rows` live rows of them are deleted with their payloads.
    `links` are (parent, child); `releases` are ended parents whose dependents are still to be told. `facts` with
    value None are deleted. `taken` are rows of the intake that leave it with this commit. `definitions` that are there
    stay; `runs` and `steps` are new, or replace the row with the same key; `steps_gone` are keys of rows of steps that
    go before the others come.
    """

    epoch: int
    now_us: int
    id_high: int = 0
    shards: list[Shard] = []
    batches: list[Batch] = []
    replayed: list[Task] = []
    accepted: list[Task] = []
    payloads: list[Payload] = []
    updated: list[Task] = []
    spilled: list[tuple[int, int, str]] = []
    saved: list[Payload] = []
    ended: list[Outcome] = []
    results: list[Payload] = []
    links: list[tuple[int, int]] = []
    links_done: list[tuple[int, int]] = []
    releases: list[int] = []
    releases_done: list[int] = []
    keys: list[IdempotencyRow] = []
    facts: list[tuple[str, str, Any]] = []
    definitions: list[StoredDefinition] = []
    runs: list[Run] = []
    steps_gone: list[tuple[int, int, int]] = []
    steps: list[StepRow] = []
    taken: list[int] = []
    purged: list[tuple[int, int]] = []
    purge_rows: int = 10_000
    questions: list[Question] = []
    fetch: list[int] = []

    def writes(self) -> bool:
        """Whether there is anything to make durable."""
        return any(getattr(self, name) for name in _WRITES)

    def writes_only_ends(self) -> bool:
        """Whether there is nothing to make durable but for outcomes and their results."""
        return not any(getattr(self, name) for name in _WRITES if name != "ended")


_WRITES = (
    "accepted",
    "updated",
    "ended",
    "batches",
    "shards",
    "replayed",
    "links",
    "saved",
    "links_done",
    "releases",
    "releases_done",
    "keys",
    "facts",
    "definitions",
    "runs",
    "steps_gone",
    "steps",
    "taken",
    "purged",
    "spilled",
)


class Committed(msgspec.Struct):
    """The answers to `questions` in order, payloads and checkpoints (``saved``) of the `fetch` ids.

    And rows that `purged` deleted. `shards` are those of the tasks and outcomes in `answers`, but for `ReadyAfter`: who
    asks for a shard has it.
    """

    answers: list[Answer] = []
    shards: list[Shard] = []
    payloads: dict[int, Payload] = {}
    saved: dict[int, Payload] = {}
    purged_rows: int = 0


class Opening(msgspec.Struct):
    """What a new owner finds: its epoch and slot, and what it must hold in memory from the start.

    `running` are tasks that were in flight when the last owner died; `ready_shards` have rows to start; `batches`
    are all that are not finished (state STAGING, or fewer ended than rows), `runs` all that have not ended. `shards`
    are those of all these; the others come with the answers that name them, and no shard has a number above
    `shard_high`.
    """

    epoch: int
    slot: int
    id_high: int
    clock_us: int
    shards: list[Shard]
    ready_shards: list[int]
    batches: list[Batch]
    running: list[Task]
    releases: list[int]
    facts: list[tuple[str, str, Any]]
    shard_high: int = 0
    runs: list[Run] = []


class TaskView(msgspec.Struct):
    """What the ledger says of one task: live or ended, never both."""

    shard: Shard
    live: Task | None = None
    outcome: Outcome | None = None
    payload: Payload | None = None
    result: Payload | None = None
    spilled: list[str] = []

    @property
    def row(self) -> Task | Outcome:
        """The live task, else the outcome."""
        row = self.live or self.outcome
        if row is None:
            raise ValueError("a view has a live task or an outcome")
        return row


class Totals(msgspec.Struct):
    """Counts for people: live and ended tasks by state number, bytes on disk."""

    live: dict[int, int]
    ended: dict[int, int]
    size_bytes: int


Ends = tuple[list[tuple[Outcome, bytes, str]], list[int]]
"""Outcomes, each with its result bytes (empty without one) and its handler; and ids that no task has."""


class Reads(Protocol):
    """Questions of people and gateways; each sees the last commit.

    Every one is safe to call from any one thread at a time.
    """

    def task_view(self, task_id: int) -> TaskView | None:
        """Everything about one task, or None when there is no such task."""

    def task_list(self, states: Sequence[int], after: int, limit: int) -> list[TaskView]:
        """Tasks with id > `after` in one of the states (empty: any), by id, without payloads and results."""

    def ahead(self, shards: Sequence[int], key: int, task_id: int, limit: int) -> int:
        """How many READY tasks of the shards have a smaller (key, id), counted up to `limit`."""

    def batch(self, batch_id: int) -> Batch | None:
        """One batch, or None."""

    def batch_by_key(self, key: str) -> Batch | None:
        """The latest batch with this key that is not aborted, or None."""

    def batch_list(self, limit: int) -> list[Batch]:
        """Batches, latest first."""

    def outcomes(self, first: int, last: int, limit: int) -> list[tuple[Outcome, bytes]]:
        """Outcomes with first ≤ id ≤ last by id, each with its result bytes (empty without one)."""

    def ends(self, ids: Sequence[int]) -> Ends:
        """How those of the ids that have ended did, and those that no task has."""

    def ended_ids(self, first: int, last: int, limit: int) -> list[tuple[int, int]]:
        """(id, state) of outcomes with first ≤ id ≤ last, by id."""

    def asked(self, question: Question) -> Answer:
        """The answer to a question of the core, as of the last commit."""

    def totals(self) -> Totals:
        """Counts over everything; may take a while on large ledgers."""


class Ledger(Protocol):
    """The one durable store.

    All methods but `prepare` and `holds` block; the driver calls `commit`, `renew` and `prune` from one thread, reads
    from another. `lease_s` is how long an owner may be silent before another one may take over; 0: for ever.
    """

    name: str
    lease_s: float

    def open(self, now_us: int, who: str) -> Opening:
        """Become the owner: lock, migrate, raise the epoch.

        Raises:
            LedgerOwned: another live owner; names it.
            LedgerTooNew, LedgerBroken, LedgerUnavailable: as they say.
        """

    def prepare(self, batch: Commit) -> Callable[[], Committed]:
        """Take out of a commit what is written; what is returned writes it and answers, as `commit`.

        Quick and without I/O, for the driver's loop; the rows in `batch` may change afterwards.
        """

    def commit(self, batch: Commit) -> Committed:
        """Write all of it durably or nothing, then answer.

        Raises:
            Fenced: the epoch is over.
            LedgerBroken: a stored fence did not match: nothing was written.
            LedgerUnavailable: the end of the commit may be unknown; the core must be rebuilt from `reopen`.
        """

    def reopen(self, now_us: int) -> Opening:
        """Read everything again after a failed commit, under the same lock and a new epoch.

        Raises:
            Fenced: another owner took the ledger meanwhile.
        """

    def holds(self) -> bool:
        """Whether this owner surely still is one: its lease is not nearly over. Quick and without I/O."""

    def renew(self) -> None:
        """Make sure that this owner still is one, and prolong its lease; nothing when that was done a moment ago.

        Raises:
            Fenced: another owner took the ledger.
            LedgerUnavailable: nobody knows; the core must be rebuilt from `reopen`.
        """

    def prune(self, before_us: int, rows: int, held: Collection[int] | None = None) -> int:
        """Delete at most `rows` outcomes that ended before the time (never rows of a kept batch, nor what a step of a
        run names) with all that hangs on them, runs that ended before it, expired keys and unused shards; returns how
        many rows went.

        `held` are the shards that the core has in memory; None: nobody knows, and only those of batches that are no
        more go. With `held` a ledger may keep what is over for up to two days more, to drop a day of it at once, and
        then says more than `rows`.
        """

    def reads(self) -> Reads:
        """A second, read-only way in."""

    def close(self) -> None:
        """Release the lock; safe to call twice."""
