"""Which task starts next: windows of shards, heads of lanes, timers and slots, put together."""

from collections.abc import Iterable
from typing import Final

from wsaios.components.executor.lent import Lent
from wsaios.components.executor.line import Line
from wsaios.components.executor.queues import LIMIT, Queues
from wsaios.components.executor.shares import Shares
from wsaios.components.executor.shelf import Shelf
from wsaios.components.executor.timers import TimerWindow
from wsaios.components.executor.yields import Yields
from wsaios.kernel.executor import Executor
from wsaios.kernel.limit import Limit
from wsaios.kernel.policy import Facts, Fcfs, Multifactor, Ordering, Plain, Priority
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Effective, Flag, HandlerSpec, LaneSpec, Options, Shard, Task, effective

_OPTIONS_KEPT: Final = 4096
_TIMED: Final = frozenset({State.PENDING, State.RETRYING})
_UNSTARTED: Final = frozenset({State.PENDING, State.READY, State.PAUSED})


class TaskExecutor(Shelf):
    """The ready, the waiting-for-a-time and the running, as far as they are in memory."""

    def __init__(self, ordering: Ordering) -> None:
        super().__init__()
        self._choose(ordering)
        self.lent = Lent()
        self.yields = Yields(self, lambda: self.ordering)
        self.queues = Queues(self.slots.gates, self.windows, self.options)
        self.due = TimerWindow(due_of, complete=True)
        self.expiring = TimerWindow(expiry_of, complete=True)
        self.suspects: dict[int, Task] = {}
        self._effective: dict[tuple[Options | None, str], Effective] = {}

    def lane(self, spec: LaneSpec) -> None:
        """Add a lane, or change how many slots it has."""
        self.slots.limit(spec.name, spec.slots, spec.reserved)
        self.kinds[spec.name] = spec.kind
        self._own(Limit(f"lane:{spec.name}", dict(spec.resources)))
        if spec.name not in self.lanes:
            self._numbers[spec.name] = len(self.lanes)
            self.lanes[spec.name] = self._line(spec.name)
            self.settle(*(window for window in self.windows.values() if window.parked == "lane"))

    def handler(self, spec: HandlerSpec) -> None:
        """Make a handler known; its parked tasks may start."""
        self.handlers[spec.name] = spec
        self._effective.clear()
        name = f"handler:{spec.name}"
        self._own(Limit(name) if spec.limit is None else spec.limit)
        windows = [window for window in self.windows.values() if window.shard.handler == spec.name]
        for window in windows:
            # What it waits for may be another thing now.
            if window.parked in {"fill", "key", LIMIT}:
                window.parked = ""
        self.settle(*windows)

    def limit(self, limits: Iterable[Limit]) -> None:
        """Have these limits from now on; one that bounds nothing removes the one of its name."""
        self.slots.gates.set(limits)
        self._let_go()

    def _own(self, limit: Limit) -> None:
        if self.slots.gates.own(limit):
            self._let_go()

    def _let_go(self) -> None:
        for window in self.queues.let_go():
            self.unpark(window)

    def order(self, ordering: Ordering) -> None:
        """Give places by another policy from now on, and let tenants share or not."""
        before = self.ordering
        self._choose(ordering)
        if ordering.fair == before.fair:
            return
        for name in self.lanes:
            self.lanes[name] = self._line(name)
        for window in self.windows.values():
            window.queued = None
            self.awake(window)

    def move(self, task: Task, shard: Shard, key: int) -> None:
        """Give a live task of the shard another place."""
        was, task.key = task.key, key
        if task.state == State.READY:
            self.offer(task, shard, was)

    def _choose(self, ordering: Ordering) -> None:
        self.ordering, self._plain = ordering, plain(ordering)
        self.meter.shares = ordering.fair is not None
        self.meter.uses = isinstance(ordering.policy, Multifactor) and ordering.policy.share > 0

    def _line(self, name: str) -> Line:
        fair = self.ordering.fair
        return Line(self.windows, name, None if fair is None else Shares(fair.weights))

    def place(self, shard: Shard, body: Body, now_us: int) -> int:
        """The place of a task within its shard, by the policy and what was measured."""
        if self._plain is not None:
            return self._plain(body.priority, body.accepted_us)
        meter, handler = self.meter, shard.handler
        cost, share = meter.cost(handler), meter.share(shard.tenant, now_us)
        return self.ordering.policy.key(
            Facts(body.priority, body.accepted_us, body.deadline_us, meter.run_us(handler), cost, body.depth, share)
        )

    def lane_us(self, lane: str) -> float | None:
        """How long a call in the lane has held its slot lately; None: none has ended."""
        return self.meter.lane_us(lane)

    def run_us(self, handler: str) -> int:
        """How long a call of the handler has taken lately; 0: none has ended."""
        return self.meter.run_us(handler)

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

    def offer(self, task: Task, shard: Shard, was: int | None = None) -> None:
        """Take in a task that became ready, or that is and stood in another place until now."""
        if self.suspect(task):
            return
        window = self.windows.get(shard.id)
        if window is None:
            window = self.open(shard, complete=True)
        if window.add(task, was):
            self.touch(window)
            if window.parked == LIMIT and (was is not None or window.head() is task):
                self.queues.left(shard.id)
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


def plain(ordering: Ordering) -> Plain | None:
    """How places are given where priority and time are enough; None: more must be known."""
    policy = ordering.policy
    return policy.plain() if isinstance(policy, Fcfs | Priority) else None


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
