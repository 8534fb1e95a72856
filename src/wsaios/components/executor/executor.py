"""Which task starts next: windows of shards, heads of lanes, timers and slots, put together."""

from typing import Final

from wsaios.components.executor.heads import Heads
from wsaios.components.executor.lent import Lent
from wsaios.components.executor.policy import Policy
from wsaios.components.executor.shelf import Shelf
from wsaios.components.executor.slots import Slots
from wsaios.components.executor.timers import TimerWindow
from wsaios.kernel.executor import Executor
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import Effective, Flag, HandlerSpec, LaneSpec, Options, Shard, Task, effective

_OPTIONS_KEPT: Final = 4096
_TIMED: Final = frozenset({State.PENDING, State.RETRYING})
_UNSTARTED: Final = frozenset({State.PENDING, State.READY, State.PAUSED})


class TaskExecutor(Shelf):
    """The ready, the waiting-for-a-time and the running, as far as they are in memory."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.slots = Slots()
        self.lent = Lent()
        self.due = TimerWindow(due_of, complete=True)
        self.expiring = TimerWindow(expiry_of, complete=True)
        self.suspects: dict[int, Task] = {}
        self._effective: dict[tuple[Options | None, str], Effective] = {}

    def lane(self, spec: LaneSpec) -> None:
        """Add a lane, or change how many slots it has."""
        self.slots.limit(spec.name, spec.slots)
        self.kinds[spec.name] = spec.kind
        if spec.name not in self.lanes:
            self._numbers[spec.name] = len(self.lanes)
            self.lanes[spec.name] = Heads(self.windows, spec.name)
            self.settle(*(window for window in self.windows.values() if window.parked == "lane"))

    def handler(self, spec: HandlerSpec) -> None:
        """Make a handler known; its parked tasks may start."""
        self.handlers[spec.name] = spec
        self._effective.clear()
        windows = [window for window in self.windows.values() if window.shard.handler == spec.name]
        for window in windows:
            # What it waits for may be another thing now.
            if window.parked in {"fill", "key"}:
                window.parked = ""
        self.settle(*windows)

    def options(self, task: Task, handler: str) -> Effective:
        """The options that apply to a task of that handler."""
        pair = (task.body.options, handler)
        found = self._effective.get(pair)
        if found is None:
            if len(self._effective) > _OPTIONS_KEPT:
                self._effective.clear()
            spec = self.handlers.get(handler)
            found = self._effective[pair] = effective(task.body.options, spec.options if spec else None)
        return found

    def offer(self, task: Task, shard: Shard) -> None:
        """Take in a task that became ready."""
        if self.suspect(task):
            return
        window = self.windows.get(shard.id)
        if window is None:
            window = self.open(shard, complete=True)
        if window.add(task):
            self.touch(window)
            if window.parked == "fill":
                window.parked = ""
                self.awake(window)
            elif window.queued is None or (task.key, task.id) < window.queued:
                self.awake(window)
        elif window.parked == "fill":
            # Trimmed while it waited: the rows that would fill the batch are beyond what is in memory.
            self.unpark(window)

    def suspect(self, task: Task) -> bool:
        """Whether a ready task was in flight at so many deaths of its owner that it must run alone."""
        if task.body.deaths < SUSPECT_DEATHS or task.state != State.READY:
            return False
        self.suspects[task.id] = task
        return True

    def covers(self, task: Task) -> bool:
        """Whether a task belongs into memory."""
        state = task.state
        if state == State.RUNNING or task.id in self.suspects:
            return True
        if state == State.READY:
            window = self.windows.get(task.shard)
            if window is not None and window.covers(task):
                return True
        return self.due.covers(task) or self.expiring.covers(task)


def due_of(task: Task) -> int | None:
    """When a task that waits for a time goes on."""
    return task.due_us if task.state in _TIMED else None


def expiry_of(task: Task) -> int | None:
    """When a task that never started expires."""
    if task.state in _UNSTARTED and not task.body.flags & Flag.STARTED:
        return task.expires_us
    return None


def _fits(executor: TaskExecutor) -> Executor:
    return executor
