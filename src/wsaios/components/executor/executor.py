"""Which task starts next: windows of shards, heads of lanes, timers and slots, put together."""

from collections.abc import Iterable
from typing import Final

from wsaios.components.executor.heads import Heads
from wsaios.components.executor.policy import Policy
from wsaios.components.executor.slots import Slots
from wsaios.components.executor.timers import TimerWindow
from wsaios.components.executor.window import ShardWindow
from wsaios.kernel.executor import Executor, Window
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import Effective, Flag, HandlerSpec, LaneSpec, Options, Shard, Task, effective

ROOM: Final = 4096
ROWS_IN_MEMORY: Final = 65_536
_TIMED: Final = frozenset({State.PENDING, State.RETRYING})
_UNSTARTED: Final = frozenset({State.PENDING, State.READY, State.PAUSED})


class TaskExecutor:
    """The ready, the waiting-for-a-time and the running, as far as they are in memory."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.slots = Slots()
        self.handlers: dict[str, HandlerSpec] = {}
        self.windows: dict[int, Window] = {}
        self.due = TimerWindow(due_of, complete=True)
        self.expiring = TimerWindow(expiry_of, complete=True)
        self._touched: dict[int, Window] = {}
        self.suspects: dict[int, Task] = {}
        self.lanes: dict[str, Heads] = {}
        self._effective: dict[tuple[Options | None, str], Effective] = {}

    def lane(self, spec: LaneSpec) -> None:
        """Add a lane, or change how many slots it has."""
        self.slots.limit(spec.name, spec.slots)
        if spec.name not in self.lanes:
            self.lanes[spec.name] = Heads(self.windows)
            self._settle(window for window in self.windows.values() if window.lane == "")

    def handler(self, spec: HandlerSpec) -> None:
        """Make a handler known; its parked tasks may start."""
        self.handlers[spec.name] = spec
        self._effective.clear()
        self._settle(window for window in self.windows.values() if window.shard.handler == spec.name)

    def options(self, task: Task, handler: str) -> Effective:
        """The options that apply to a task of that handler."""
        pair = (task.body.options, handler)
        found = self._effective.get(pair)
        if found is None:
            if len(self._effective) > ROOM:
                self._effective.clear()
            spec = self.handlers.get(handler)
            found = self._effective[pair] = effective(task.body.options, spec.options if spec else None)
        return found

    def open(self, shard: Shard, *, complete: bool) -> Window:
        """The window of a shard, made when there is none; `complete` False: the ledger holds rows of it."""
        window = self.windows.get(shard.id)
        if window is None:
            window = self.windows[shard.id] = ShardWindow(shard, complete=complete)
            self._touched[shard.id] = window
            self._settle((window,))
        return window

    def offer(self, task: Task, shard: Shard) -> None:
        """Take in a task that became ready."""
        if self.suspect(task):
            return
        window = self.windows.get(shard.id)
        if window is None:
            window = self.open(shard, complete=True)
        if window.add(task):
            self._touched[shard.id] = window
            if window.parked == "fill":
                window.parked = ""
            self.awake(window)

    def touch(self, window: Window) -> None:
        """Have a window looked at when the step ends."""
        self._touched[window.shard.id] = window

    def touched(self) -> list[Window]:
        """The windows to look at, once."""
        touched, self._touched = self._touched, {}
        return list(touched.values())

    def choose(self, lane: str) -> Window | None:
        """The window whose head the policy starts next in a lane; None: there is none."""
        head = self.policy.choose(self.lanes[lane])
        return None if head is None else self.windows[head[2]]

    def until(self, lane: str) -> tuple[int, int] | None:
        """Up to which (key, id) the window just chosen would be chosen again; None: to its end."""
        return self.policy.until(self.lanes[lane])

    def suspect(self, task: Task) -> bool:
        """Whether a ready task was in flight at so many deaths of its owner that it must run alone."""
        if task.body.deaths < SUSPECT_DEATHS or task.state != State.READY:
            return False
        self.suspects[task.id] = task
        return True

    def awake(self, window: Window) -> None:
        """Say that a window may have something to start."""
        if window.lane and not window.parked:
            self.lanes[window.lane].push(window)

    def unpark(self, window: Window) -> None:
        """Let a parked window be looked at again."""
        window.parked = ""
        self._touched[window.shard.id] = window
        self.awake(window)

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

    def room(self) -> int:
        """How many rows of one shard may be in memory: the more shards, the fewer."""
        return max(64, min(ROOM, ROWS_IN_MEMORY // (len(self.windows) or 1)))

    def drop(self, window: Window) -> None:
        """Forget a window that has nothing in it nor in the ledger."""
        self.windows.pop(window.shard.id, None)
        self._touched.pop(window.shard.id, None)

    def settle(self, *windows: Window) -> None:
        """Find the lane of windows; park those whose handler or lane is not there."""
        self._settle(windows)

    def _settle(self, windows: Iterable[Window]) -> None:
        for window in windows:
            spec = self.handlers.get(window.shard.handler)
            lane = window.shard.lane or (spec.lane if spec else "")
            if window.parked == "seal":
                continue
            if spec is None:
                window.parked = "handler"
            elif lane not in self.lanes:
                window.parked = "lane"
            else:
                if window.lane != lane:
                    window.lane, window.queued = lane, None
                if window.parked in {"handler", "lane"}:
                    window.parked = ""
                self.awake(window)


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
