"""The part of a shard that is in memory: its best tasks, in order."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice
from typing import Final

from wsaios.kernel.states import State
from wsaios.kernel.task import Shard, Task

_COMPACT: Final = 1024
_FIRST: Final = (-(1 << 63), 0)
_READY: Final = int(State.READY)
Row = tuple[int, int, Task]


class ShardWindow:
    """The best ready tasks of one shard, sorted; `complete` when the ledger holds no others.

    A task that stopped being ready stays as a husk until it comes to the front, so leaving costs nothing. `missed` is
    the best place of what came in while the ledger was asked for more: the answer knows nothing of it.
    """

    __slots__ = ("_at", "_rows", "asked", "bound", "complete", "lane", "missed", "parked", "queued", "shard")

    def __init__(self, shard: Shard, *, complete: bool) -> None:
        """`complete` False: the ledger may hold rows of it that are not in memory."""
        self.shard = shard
        self.complete = complete
        self.bound: tuple[int, int] = _FIRST
        self.asked = False
        self.lane = ""
        self.parked = ""
        self.queued: tuple[int, int] | None = None
        self.missed: tuple[int, int] | None = None
        self._rows: list[Row] = []
        self._at = 0

    def __len__(self) -> int:
        """How many rows are in memory, husks included."""
        return len(self._rows) - self._at

    def covers(self, task: Task) -> bool:
        """Whether a ready task of this shard belongs into memory."""
        return self.complete or (task.key, task.id) <= self.bound

    def add(self, task: Task, was: int | None = None) -> bool:
        """Take a task in when it belongs into memory; False: it stays in the ledger only.

        `was` is the key under which it stood here until now.
        """
        if was is not None:
            place = bisect_left(self._rows, (was, task.id), lo=self._at)
            if place < len(self._rows) and self._rows[place][1] == task.id:
                del self._rows[place]
        if not self.covers(task):
            if self.asked:
                self.miss(task)
            return False
        key, number, rows = task.key, task.id, self._rows
        row = (key, number, task)
        if not rows or rows[-1][0] < key or (rows[-1][0] == key and rows[-1][1] < number):
            rows.append(row)
            return True
        place = bisect_left(rows, (key, number), lo=self._at)
        if place < len(rows) and rows[place][1] == number:
            rows[place] = row
        else:
            rows.insert(place, row)
        return True

    def miss(self, task: Task) -> None:
        """The answer that is on its way does not know what has become of this task: it counts only up to there."""
        place = (task.key, task.id)
        if self.missed is None or place < self.missed:
            self.missed = place

    def extend(self, tasks: Iterable[Task], bound: tuple[int, int] | None) -> None:
        """Take the answer to `ReadyAfter(bound)`.

        Its tasks, and its last (key, id) when there may be more (None: complete).
        """
        missed, self.missed = self.missed, None
        rows = [(task.key, task.id, task) for task in tasks]
        if missed is not None and (bound is None or missed <= bound):
            rows = [row for row in rows if row[:2] < missed]
            bound = rows[-1][:2] if rows else self.bound
        self._rows += rows
        self.asked = False
        self.complete = bound is None
        if bound is not None:
            self.bound = bound

    def head(self) -> Task | None:
        """The best task, or None when none is in memory."""
        rows, at = self._rows, self._at
        end = len(rows)
        while at < end:
            task = rows[at][2]
            if task.state == _READY:
                self._at = at
                return task
            at += 1
        self._rows = []
        self._at = 0
        return None

    def place(self) -> tuple[int, int] | None:
        """(key, id) of the best task; for one that is not in memory, that which it must come after.

        None: there is none.
        """
        task = self.head()
        if task is not None:
            return task.key, task.id
        return None if self.complete else self.bound

    def take(self, most: int, now_us: int, *, lasting: bool = False) -> list[Task]:
        """Remove up to `most` tasks with equal options from the front; [] when none is in memory.

        After the first it ends before a task whose `expires_us` has come; `lasting`: before one that may expire.
        """
        first = self.head()
        if first is None:
            return []
        taken = [first]
        rows, at = self._rows, self._at + 1
        if most > 1:
            end, options = len(rows), first.body.options
            cap = first.body.cap or most
            most = min(most, cap)
            while len(taken) < most and at < end:
                task = rows[at][2]
                if task.state == _READY:
                    if task.body.options != options or (task.body.cap and task.body.cap < cap):
                        break
                    if task.expires_us is not None and (lasting or task.expires_us <= now_us):
                        break
                    taken.append(task)
                at += 1
        self._at = at
        self._compact()
        return taken

    def run(self, most: int, until: tuple[int, int] | None, now_us: int, *, lasting: bool = False) -> list[Task]:
        """Remove up to `most` tasks from the front that come before `until`, whatever their options.

        It ends before a task whose `expires_us` has come; `lasting`: before one with other options than the first, or
        that may expire.
        """
        taken: list[Task] = []
        rows, at = self._rows, self._at
        for place in range(at, len(rows)):
            task = rows[place][2]
            if task.state == _READY:
                if len(taken) == most or (until is not None and rows[place] > until):
                    break
                if task.expires_us is not None and (lasting or task.expires_us <= now_us):
                    break
                if lasting and taken and task.body.options != taken[0].body.options:
                    break
                taken.append(task)
            at = place + 1
        self._at = at
        self._compact()
        return taken

    def ready(self, most: int) -> int:
        """How many ready tasks stand at the front, counted up to `most`."""
        count = 0
        for _, _, task in self._rows[self._at :]:
            if count == most:
                break
            count += task.state == _READY
        return count

    def _compact(self) -> None:
        if self._at > _COMPACT and self._at * 2 > len(self._rows):
            del self._rows[: self._at]
            self._at = 0

    def oldest_us(self, most: int) -> int:
        """Since when the longest waiting of the first `most` ready rows is ready, µs UTC."""
        ready = (task for _, _, task in self._rows[self._at :] if task.state == _READY)
        return min(task.body.history[-1][1] for task in islice(ready, most))

    def trim(self, room: int) -> list[Task]:
        """With more than `room` rows, give up the later half of them; returns those."""
        if len(self) <= room:
            return []
        keep = self._at + room // 2
        gone = [task for _, _, task in self._rows[keep:]]
        del self._rows[keep:]
        self.complete = False
        self.bound = self._rows[-1][:2]
        return gone

    def thirsty(self, room: int) -> bool:
        """Whether the ledger should be asked for more rows now, `room` being how many may be in memory."""
        return not self.complete and not self.asked and len(self) <= room // 4
