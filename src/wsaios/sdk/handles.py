"""What `submit` and `submit_many` hand out: a task, a batch."""

from collections.abc import Iterator
from typing import Any, Protocol

from wsaios.kernel.ids import IdRange, encode, walk
from wsaios.kernel.task import Batch as BatchRow
from wsaios.kernel.views import BatchView, Status, Transition, Why


class Verbs(Protocol):
    """What handles need of a scheduler."""

    async def result(self, task_id: "str | Task", *, timeout_s: float | None = None) -> Any:
        """The result of a task."""

    async def status(self, task_id: str) -> Status:
        """Where it stands."""

    async def history(self, task_id: str) -> list[Transition]:
        """Every change."""

    async def why(self, task_id: str) -> Why:
        """What it waits for."""

    async def cancel(self, target: str, *, reason: str = "") -> str | int:
        """End it."""

    async def batch_status(self, batch_id: str) -> BatchView:
        """Where a batch stands."""

    async def wait(self, batch_id: str, *, timeout_s: float | None = None) -> BatchView:
        """Until all rows have ended."""


class Task:
    """One accepted task. Two handles of the same task are equal."""

    __slots__ = ("_verbs", "number")

    def __init__(self, verbs: Verbs, number: int) -> None:
        self._verbs = verbs
        self.number = number

    @property
    def id(self) -> str:
        """The id that all verbs take."""
        return encode(self.number)

    async def result(self, timeout_s: float | None = None) -> Any:
        """The result, waiting for it.

        Raises:
            TaskFailed: the task ended otherwise.
            TimeoutError: not in time; the task goes on.
        """
        # The handle itself: to spell its id and to read it again would cost as much as the rest of this call.
        return await self._verbs.result(self, timeout_s=timeout_s)

    async def status(self) -> Status:
        """Where it stands."""
        return await self._verbs.status(self.id)

    async def history(self) -> list[Transition]:
        """Every change, oldest first."""
        return await self._verbs.history(self.id)

    async def why(self) -> Why:
        """What it waits for."""
        return await self._verbs.why(self.id)

    async def cancel(self, reason: str = "") -> str:
        """End it; what runs is told to stop and can no longer commit. Returns its state in a word."""
        return str(await self._verbs.cancel(self.id, reason=reason))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"<Task {self.id}>"


class Batch:
    """One accepted batch: its length and its tasks in input order, without asking anyone."""

    __slots__ = ("_verbs", "length", "number", "ranges")

    def __init__(self, verbs: Verbs, row: BatchRow) -> None:
        self._verbs = verbs
        self.number = row.id
        self.length = row.rows
        self.ranges = [IdRange(*part) for part in row.ranges]

    @property
    def id(self) -> str:
        """The id that all verbs take."""
        return encode(self.number, "batch")

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Task]:
        return (Task(self._verbs, number) for number in walk(self.ranges))

    def __getitem__(self, index: int) -> Task:
        """The task of row `index` (0-based; negative counts from the end)."""
        place = index + self.length if index < 0 else index
        if not 0 <= place < self.length:
            msg = f"row {index} of a batch of {self.length}"
            raise IndexError(msg)
        for part in self.ranges:
            if place < part.length:
                return Task(self._verbs, part.at(place))
            place -= part.length
        raise IndexError(index)

    async def status(self) -> BatchView:
        """Where it stands."""
        return await self._verbs.batch_status(self.id)

    async def wait(self, timeout_s: float | None = None) -> BatchView:
        """Until all rows have ended.

        Raises:
            TimeoutError: not in time; the batch goes on.
        """
        return await self._verbs.wait(self.id, timeout_s=timeout_s)

    async def cancel(self, reason: str = "") -> int:
        """End what has not ended; returns how many rows that were."""
        return int(await self._verbs.cancel(self.id, reason=reason))

    def __repr__(self) -> str:
        return f"<Batch {self.id} of {self.length}>"
