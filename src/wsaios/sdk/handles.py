"""What `submit`, `submit_many` and `run_workflow` hand out: a task, a batch, a run."""

from collections.abc import Iterator
from typing import Any, Protocol

from wsaios.kernel.ids import IdRange, encode, walk
from wsaios.kernel.task import Batch as BatchRow
from wsaios.kernel.views import BatchView, RunView, Status, StepView, Transition, Why


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

    async def pause(self, target: str, *, reason: str = "") -> str | int:
        """Hold it."""

    async def resume(self, target: str) -> str | int:
        """Go on."""

    async def retry(self, run_id: str, *, from_step: str | None = None) -> str:
        """Run it again."""

    async def signal(self, event: str = "", data: Any = None, *, run: str | None = None, step: str = "") -> int:
        """Tell what happened."""

    async def run_result(self, run_id: str, *, timeout_s: float | None = None) -> Any:
        """What a run gives back."""

    async def run_end(self, run_id: str, *, timeout_s: float | None = None) -> RunView:
        """Until it has ended."""

    async def run_status(self, run_id: str) -> RunView:
        """Where a run stands."""

    async def run_steps(self, run_id: str) -> list[StepView]:
        """Where its steps stand."""


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


class Run:
    """One run of a workflow. Two handles of the same run are equal."""

    __slots__ = ("_verbs", "number")

    def __init__(self, verbs: Verbs, number: int) -> None:
        self._verbs = verbs
        self.number = number

    @property
    def id(self) -> str:
        """The id that all verbs take."""
        return encode(self.number, "run")

    async def result(self, timeout_s: float | None = None) -> Any:
        """What it gives back, waiting for it: the `output` of its definition, else the results of its last steps.

        Raises:
            RunFailed: it did not succeed; says which step, and why.
            TimeoutError: not in time; the run goes on.
        """
        return await self._verbs.run_result(self.id, timeout_s=timeout_s)

    async def wait(self, timeout_s: float | None = None) -> RunView:
        """Until it has ended, however.

        Raises:
            TimeoutError: not in time; the run goes on.
        """
        return await self._verbs.run_end(self.id, timeout_s=timeout_s)

    async def status(self) -> RunView:
        """Where it stands."""
        return await self._verbs.run_status(self.id)

    async def steps(self) -> list[StepView]:
        """Where its steps stand, each after those that it depends on."""
        return await self._verbs.run_steps(self.id)

    async def signal(self, event: str = "", data: Any = None, *, step: str = "") -> int:
        """Tell an event to the steps of it that wait for that, or to one step; returns how many took it.

        Raises:
            NotPossible: none waits for it.
        """
        return await self._verbs.signal(event, data, run=self.id, step=step)

    async def cancel(self, reason: str = "") -> str:
        """End it, with all that runs for it. Returns its state in a word."""
        return str(await self._verbs.cancel(self.id, reason=reason))

    async def pause(self, reason: str = "") -> str:
        """Begin nothing more of it until `resume`; what runs goes on. Returns its state in a word."""
        return str(await self._verbs.pause(self.id, reason=reason))

    async def resume(self) -> str:
        """Go on. Returns its state in a word."""
        return str(await self._verbs.resume(self.id))

    async def retry(self, *, from_step: str | None = None) -> str:
        """Run again what failed, with all that depends on it, or `from_step` on; what succeeded before stays.

        Raises:
            NotPossible: it has not ended, or all of it succeeded and no step is named.
        """
        return await self._verbs.retry(self.id, from_step=from_step)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"<Run {self.id}>"
