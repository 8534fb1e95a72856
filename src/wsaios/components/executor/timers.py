"""Tasks that wait for a time: the nearest ones in memory, the others in the ledger."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush, nsmallest
from typing import Final

from wsaios.kernel.task import Task

LOW_WATER: Final = 512
REFILL: Final = 2048
HIGH_WATER: Final = 8192
_FIRST: Final = (-(1 << 63), 0)


class TimerWindow:
    """The nearest tasks by one of their times; `time_of` gives it, or None once the task no longer waits for it."""

    def __init__(self, time_of: Callable[[Task], int | None], *, complete: bool) -> None:
        """`complete` False: the ledger may hold waiting tasks that are not in memory."""
        self._time_of = time_of
        self._heap: list[tuple[int, int]] = []
        self._tasks: dict[int, Task] = {}
        self.complete = complete
        self.asked = False
        self.refill = REFILL
        self.bound: tuple[int, int] = _FIRST

    def __len__(self) -> int:
        """How many tasks are in memory."""
        return len(self._tasks)

    def covers(self, task: Task) -> bool:
        """Whether the task waits for this time and belongs into memory."""
        at = self._time_of(task)
        return at is not None and (self.complete or (at, task.id) <= self.bound)

    def add(self, task: Task) -> None:
        """Take a task in when it belongs into memory."""
        at = self._time_of(task)
        if at is not None and (self.complete or (at, task.id) <= self.bound):
            self._tasks[task.id] = task
            heappush(self._heap, (at, task.id))

    def leave(self, task: Task) -> None:
        """A task no longer waits; husks in the heap never outnumber the living for long."""
        if self._tasks.pop(task.id, None) is not None and len(self._heap) > LOW_WATER + 2 * len(self._tasks):
            self._heap = [(self._time_of(each) or 0, each.id) for each in self._tasks.values()]
            heapify(self._heap)

    def extend(self, tasks: Iterable[Task], bound: tuple[int, int] | None) -> None:
        """Take the answer to the question for more.

        Its tasks, and its last (time, id) when there may be more (None: complete).
        """
        for task in tasks:
            at = self._time_of(task)
            if at is not None:
                self._tasks[task.id] = task
                heappush(self._heap, (at, task.id))
        self.asked = False
        self.complete = bound is None
        if bound is not None:
            self.bound = bound

    def reset(self) -> list[Task]:
        """Read everything anew: the ledger got rows that were never in memory.

        Returns what is no longer kept for its time.
        """
        gone = list(self._tasks.values())
        self._heap, self._tasks = [], {}
        self.complete, self.bound = False, _FIRST
        return gone

    def due(self, now_us: int, most: int) -> Iterator[Task]:
        """Remove and yield up to `most` tasks whose time has come, nearest first."""
        heap = self._heap
        while heap and heap[0][0] <= now_us and most > 0:
            at, number = heappop(heap)
            task = self._tasks.get(number)
            if task is not None and self._time_of(task) == at:
                del self._tasks[number]
                most -= 1
                yield task

    def next_us(self) -> int | None:
        """When something is due next; a time that is too early is possible, one too late is not."""
        if self._heap:
            return self._heap[0][0]
        return None if self.complete else self.bound[0]

    def trim(self) -> list[Task]:
        """Give up what is too far away to be kept in memory; returns it."""
        if len(self._tasks) <= HIGH_WATER:
            return []
        times = [(self._time_of(task) or 0, number) for number, task in self._tasks.items()]
        self._heap = nsmallest(REFILL, times)
        self.bound = self._heap[-1]
        self.complete = False
        gone = [self._tasks.pop(number) for at, number in times if (at, number) > self.bound]
        heapify(self._heap)
        return gone

    def thirsty(self) -> bool:
        """Whether the ledger should be asked for more now."""
        return not self.complete and not self.asked and len(self._tasks) < LOW_WATER
