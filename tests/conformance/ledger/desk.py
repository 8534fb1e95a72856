"""What the suite needs to speak to any ledger: rows, and an owner who keeps the epoch and the time."""

from collections.abc import Callable
from typing import Any, Protocol

from msgspec.structs import replace

from wsaios.kernel.ledger import Answer, Commit, Committed, Ledger, Opening, Payload, Question
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, Body, Failure, Outcome, Shard, Task

NOW_US = 1_767_225_600_000_000


class ClientLedger(Ledger, Protocol):
    """A ledger that also opens for one commit of a client."""

    def open_as_client(self, now_us: int, who: str) -> Opening: ...


Another = Callable[[], ClientLedger]


class Desk:
    """The owner of an open ledger."""

    def __init__(self, ledger: ClientLedger, opening: Opening | None = None) -> None:
        self.ledger = ledger
        self.now_us = NOW_US
        self.opening = ledger.open(NOW_US, "the suite") if opening is None else opening

    @property
    def epoch(self) -> int:
        return self.opening.epoch

    def write(self, **families: Any) -> Committed:
        self.now_us += 1
        rows = [row.id for name in ("accepted", "batches", "runs") for row in families.get(name, [])]
        return self.ledger.commit(Commit(self.epoch, self.now_us, id_high=max(rows, default=0), **families))

    def ask(self, question: Question) -> Answer:
        return self.ledger.commit(Commit(self.epoch, self.now_us, questions=[question])).answers[0]

    def add(self, *tasks: Task, **families: Any) -> list[Task]:
        """Accept tasks with arguments; from then on they are stored."""
        self.write(accepted=list(tasks), payloads=[arguments(task.id) for task in tasks], **families)
        for task in tasks:
            task.stored_fence = task.fence
        return list(tasks)

    def end(self, *outcomes: Outcome, **families: Any) -> Committed:
        return self.write(ended=list(outcomes), **families)

    def reopen(self) -> Opening:
        self.opening = self.ledger.reopen(self.now_us)
        return self.opening


def shard(number: int = 1, **fields: Any) -> Shard:
    given = Shard(number, lane="", tenant="default", handler=f"h{number}", batch=0, concurrency_key="")
    return replace(given, **fields)


def body(**fields: Any) -> Body:
    return replace(Body(NOW_US, history=[(int(State.READY), NOW_US, 1, None)]), **fields)


def task(number: int, state: int = State.READY, **fields: Any) -> Task:
    given = Task(number, 1, int(state), fence=1, key=number, due_us=None, expires_us=None, body=body())
    return replace(given, **fields)


def outcome(of: Task, state: int = State.SUCCEEDED, **fields: Any) -> Outcome:
    """How a stored task ended."""
    given = Outcome(
        of.id,
        of.stored_fence,
        of.fence,
        int(state),
        of.shard,
        ended_us=NOW_US + 5,
        key=of.key,
        expires_us=of.expires_us,
        codec=0,
        size=0,
        failure=None if state == State.SUCCEEDED else Failure("ValueError", "no", "at line 1"),
        body=of.body,
    )
    return replace(given, **fields)


def batch(number: int, **fields: Any) -> Batch:
    given = Batch(number, state=1, handler="h", tenant="default", created_us=NOW_US, sealed_us=NOW_US)
    return replace(given, **fields)


def arguments(number: int, data: bytes = b'{"text":"hi"}', codec: int = 0) -> Payload:
    return Payload(number, codec, data)


def stored(row: Task) -> Task:
    """The task as the ledger tells it."""
    return replace(row, stored_fence=row.fence)


def kept(row: Outcome, size: int = 0) -> Outcome:
    """The outcome as the ledger tells it."""
    return replace(row, stored_fence=row.fence, size=size)


def ids(rows: list[Task]) -> list[int]:
    return [row.id for row in rows]
