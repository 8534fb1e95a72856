"""One run of a workflow in memory: where its steps stand, and the results that others will read."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from wsaios.kernel.expression import Expressions
from wsaios.kernel.ids import encode
from wsaios.kernel.run import Run, RunState, StepState
from wsaios.kernel.states import State
from wsaios.kernel.task import Failure
from wsaios.planning.workflow.plan import Plan
from wsaios.planning.workflow.prepared import Output, Prepared

ENDED: Final = int(StepState.SUCCEEDED)
AS_ENDED: Final = {
    int(State.SUCCEEDED): StepState.SUCCEEDED,
    int(State.FAILED): StepState.FAILED,
    int(State.LOST): StepState.FAILED,
    int(State.EXPIRED): StepState.FAILED,
    int(State.CANCELLED): StepState.CANCELLED,
}
"""What the end of a task makes of its step."""
_READ_AS: Final = {
    int(StepState.SUCCEEDED): "succeeded",
    int(StepState.FAILED): "failed",
    int(StepState.CANCELLED): "failed",
    int(StepState.SKIPPED): "skipped",
}
_encode: Final = msgspec.json.Encoder().encode
_LARGE: Final = 64 << 10
_MEMORY: Final = 32 << 20


class Memory:
    """Small results by task, the latest up to a number of bytes; what is not here is asked from the ledger."""

    def __init__(self, size_bytes: int = _MEMORY) -> None:
        self._room = size_bytes
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def keep(self, task: int, result: bytes) -> None:
        """Remember a result, if it is small."""
        if len(result) > _LARGE:
            return
        self._kept[task] = result
        self._room -= len(result) + _EACH
        while self._room < 0:
            _, gone = self._kept.popitem(last=False)
            self._room += len(gone) + _EACH

    def get(self, task: int) -> bytes | None:
        """The result, if it is here."""
        return self._kept.get(task)

    def drop(self, tasks: Iterator[int]) -> None:
        """Forget results."""
        for task in tasks:
            gone = self._kept.pop(task, None)
            if gone is not None:
                self._room += len(gone) + _EACH


_EACH: Final = 200


class Sheet:
    """What the runs of one version share: the plan, and its steps made ready when they are first needed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.users = 0
        self._prepared: dict[int, Prepared] = {}
        self.payloads: dict[int, bytes] = {}
        """Arguments, as JSON, that are the same in every run."""

    def prepared(self, number: int, language: Expressions) -> Prepared:
        """One step, ready to run."""
        found = self._prepared.get(number)
        if found is None:
            found = self._prepared[number] = Prepared(self.plan.steps[number], language)
        return found

    def plain(self, number: int) -> bool:
        """Whether nothing must be computed for a step, as for most of large workflows."""
        step = self.plan.steps[number]
        if step.when or step.foreach or step.wait_for is not None or step.http is not None:
            return False
        return not step.args or b"${" not in _encode(step.args)

    def output(self, language: Expressions) -> Output:
        """What a run gives back."""
        return Output(self.plan.definition.output, language)


class Fan:
    """A step that runs for each element of a list; `todo` are the places that have no task yet."""

    __slots__ = ("bad", "context", "done", "event", "items", "live", "queued", "tasks", "todo")

    def __init__(self, items: list[Any], event: Any, *, todo: deque[int] | None = None) -> None:
        self.items = items
        self.event = event
        self.todo: deque[int] = deque(range(len(items))) if todo is None else todo
        self.tasks: dict[int, int] = {}
        self.live: dict[int, int] = {}
        self.done = 0
        self.bad = 0
        self.queued = False
        self.context: dict[str, Any] | None = None


class Course:
    """A run that has not ended. Steps are known by their number.

    `left` counts the parents of a step that have not ended, `tasks` names the task of a step without a list, `data` the
    results of steps without a task, as JSON, `events` what came for steps that wait; `sizes` are the bytes of results.
    `open` counts its live tasks; `over`: nothing is left to do but to say how it ended.
    """

    def __init__(self, run: Run, sheet: Sheet) -> None:
        self.run = run
        self.sheet = sheet
        self.plan = plan = sheet.plan
        self.name = encode(run.id, "run")
        self.states = bytearray(len(plan.steps))
        self.left = [len(each) for each in plan.parents]
        self.tasks: dict[int, int] = {}
        self.fans: dict[int, Fan] = {}
        self.data: dict[int, str] = {}
        self.events: dict[int, str] = {}
        self.sizes: dict[int, int] = {}
        self.held: dict[int, None] = {}
        self.ended = 0
        self.open = 0
        self.over = False
        self._context: dict[str, Any] | None = None

    @property
    def failure(self) -> Failure | None:
        """Known as soon as the run cannot succeed any more: from then on nothing of it begins."""
        return self.run.failure

    @property
    def stopping(self) -> bool:
        """Whether nothing of it may begin any more."""
        return self.failure is not None or self.run.state == RunState.CANCELLING

    @property
    def paused(self) -> bool:
        """Whether nothing of it may begin for now."""
        return self.run.state == RunState.PAUSED

    def id_of(self, number: int) -> str:
        """A step as people call it."""
        return self.plan.steps[number].id

    def context(self, steps: dict[str, Any]) -> dict[str, Any]:
        """What expressions read: input, run, and these steps."""
        if self._context is None:
            run = self.run
            about = {"id": self.name, "workflow": run.name, "version": run.version, "tenant": run.tenant}
            self._context = {"input": msgspec.json.decode(run.input), "run": about}
        return {**self._context, "steps": steps}

    def live_tasks(self) -> list[int]:
        """The tasks of it that have not ended."""
        alone = [task for number, task in self.tasks.items() if self.states[number] == StepState.TASK]
        return sorted([*alone, *(task for fan in self.fans.values() for task in fan.live.values())])

    def all_tasks(self) -> Iterator[int]:
        """The tasks that it had."""
        yield from self.tasks.values()
        for fan in self.fans.values():
            yield from fan.tasks.values()

    def size_of(self, reads: frozenset[str]) -> int:
        """How many bytes the results of these steps have."""
        index = self.plan.index
        return sum(self.sizes.get(index[name], 0) for name in reads)

    def read(
        self, reads: frozenset[str], memory: Memory, told: dict[int, bytes] | None
    ) -> tuple[dict[str, Any], list[int]]:
        """Steps as expressions see them, and the tasks whose results must be asked for first."""
        found: dict[str, Any] = {}
        missing: list[int] = []

        def result(task: int) -> Any:
            data = memory.get(task)
            if data is None and told is not None:
                data = told.get(task)
            if data is None:
                missing.append(task)
                return None
            return msgspec.json.decode(data)

        for name in reads:
            number = self.plan.index[name]
            state = self.states[number]
            fan, value = self.fans.get(number), None
            if fan is not None:
                places = range(len(fan.items))
                value = [result(fan.tasks[item]) if fan.tasks.get(item, 0) > 0 else None for item in places]
            elif state == StepState.SUCCEEDED:
                said = self.data.get(number)
                value = result(self.tasks[number]) if said is None else msgspec.json.decode(said)
            found[name] = {"result": value, "state": _READ_AS.get(state, "pending")}
        return found, missing
