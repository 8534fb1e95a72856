"""Calls that give their slots away while they run: at the end of their time, or to better work of a higher class."""

from collections.abc import Callable
from typing import Final

from wsaios.components.executor.shelf import Shelf
from wsaios.kernel.executor import Ref, Rest, Turn, Window
from wsaios.kernel.policy import Facts, Mlfq, Ordering
from wsaios.kernel.task import Shard, Task

_SLACK: Final = 64


class Yields:
    """Who stops at a checkpoint, who goes on next, and who must make room."""

    def __init__(self, shelf: Shelf, ordering: Callable[[], Ordering]) -> None:
        self._shelf = shelf
        self._ordering = ordering
        self._preemptible: dict[str, dict[Ref, None]] = {}

    def rest(self, task: Task, shard: Shard, now_us: int, *, used_up: bool) -> None:
        """A running call stopped at a checkpoint: its slot is free, and it stands in line for another one.

        Who used up the time of his level sinks to the next; who was asked to yield keeps his place.
        """
        ref = task.id, task.fence
        seat = self._shelf.slots.seat(ref)
        if seat is None or seat.aside:
            return
        turn = seat.turn
        if turn is None:
            turn = seat.turn = Turn(task.key)
        if used_up and self.quantum_us() is not None:
            turn.level += 1
            body, handler = task.body, shard.handler
            facts = Facts(body.priority, now_us, body.deadline_us, self._shelf.meter.run_us(handler), level=turn.level)
            turn.key = self._ordering().policy.key(facts)
        turn.asked = False
        self._shelf.slots.stand(ref, aside=True, now_us=now_us)
        self._shelf.resting.add(seat.lane, shard.grade, Rest(turn.key, task.id, ref))

    def returns(self, lane: str) -> Rest | None:
        """The call that goes on next in a lane, if it comes before all that has not begun."""
        rest = self._shelf.resting.best(lane, self._shelf.room_of(lane))
        if rest is None:
            return None
        window = self._shelf.choose(lane)
        place = None if window is None else window.place()
        return rest if place is None or rest.place < place else None

    def before(self, lane: str, until: tuple[int, int] | None) -> tuple[int, int] | None:
        """A place, or that of the call that goes on next in the lane, whichever comes first."""
        rest = self._shelf.resting.best(lane, self._shelf.room_of(lane))
        if rest is None:
            return until
        return rest.place if until is None else min(until, rest.place)

    def quantum_us(self, level: int = 0) -> int | None:
        """How long a call of a level runs until it yields; None: until it is asked to."""
        policy = self._ordering().policy
        return policy.quantum_us(level) if isinstance(policy, Mlfq) else None

    @property
    def any(self) -> bool:
        """Whether some handler's calls may have to give their slots away."""
        return bool(self._preemptible)

    def may_yield(self, lane: str, ref: Ref, key: int) -> None:
        """A call that stood at `key` began, and may have to give its slot to work of a higher class."""
        seat = self._shelf.slots.seat(ref)
        if seat is not None:
            seat.turn = Turn(key)
        seats = self._preemptible.setdefault(lane, {})
        seats[ref] = None
        if len(seats) > _SLACK + 2 * self._shelf.slots.slots(lane):
            self._preemptible[lane] = {ref: None for ref in seats if self._shelf.slots.seat(ref) is not None}

    def waits(self, lane: str) -> Window | None:
        """The window of the best task in a lane in which calls may have to give their slots away."""
        head = self._shelf.lanes[lane].best() if self._preemptible.get(lane) else None
        return None if head is None else self._shelf.windows[head[2]]

    def victims(self, lane: str, window: Window) -> list[Ref]:
        """Calls of lower classes that must give their slots to the better ones at the front of this window.

        As many as find no free slot, less those that were asked before. Of the lowest class first, and of those the one
        that began last.
        """
        seats, found, asked = self._preemptible[lane], [], 0
        slots, grade, head = self._shelf.slots, window.shard.grade, window.head()
        if head is None:
            return []
        for ref in list(seats):
            seat = slots.seat(ref)
            if seat is None:
                del seats[ref]
            elif (turn := seat.turn) is None:
                continue
            elif turn.asked:
                asked += 1
            elif not seat.aside and seat.shard.grade < grade and turn.key > head.key:
                found.append((seat.shard.grade, -seat.since_us, ref))
        wanted = window.ready(slots.slots(lane)) - max(0, slots.room(lane, grade)) - asked
        return [ref for _, _, ref in sorted(found)[: max(0, wanted)]]
