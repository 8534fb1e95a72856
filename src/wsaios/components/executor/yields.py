"""Calls that give their slots away while they run: at the end of their time, or to better work of a higher class."""

from collections.abc import Callable
from typing import Final

from wsaios.components.executor.shelf import Shelf
from wsaios.kernel.executor import RESTS, Ref, Rest, Span, Turn, Window
from wsaios.kernel.executor import Yields as PortYields
from wsaios.kernel.policy import Facts, Mlfq, Ordering
from wsaios.kernel.task import Shard, Task

_SLACK: Final = 64
PATIENCE_US: Final = 100_000
"""How long a coroutine that was asked to make room may take to its next checkpoint until another one is asked too."""


class Yields:
    """Who stops at a checkpoint, who goes on next, and who must make room."""

    def __init__(self, shelf: Shelf, ordering: Callable[[], Ordering]) -> None:
        self._shelf = shelf
        self._ordering = ordering
        self.preemptible: dict[str, dict[Ref, None]] = {}
        self._again_us: int | None = None

    def rest(self, task: Task, shard: Shard, now_us: int, *, used_up: bool) -> None:
        """A running call stopped at a checkpoint: its slot is free, and it stands in line for another one.

        Who used up the time of his level sinks to the next; who was asked to yield keeps his place.
        """
        ref = task.id, task.fence
        seat = self._shelf.slots.seat(ref)
        if seat is None or seat.away & RESTS:
            return
        turn = seat.turn
        if turn is None:
            turn = seat.turn = Turn(task.key)
        if used_up and self.quantum_us() is not None:
            turn.level += 1
            body, handler = task.body, shard.handler
            facts = Facts(body.priority, now_us, body.deadline_us, self._shelf.meter.run_us(handler), level=turn.level)
            turn.key = self._ordering().policy.key(facts)
        turn.asked_us = None
        self._shelf.slots.stand(ref, aside=True, now_us=now_us, why=RESTS)
        self._line_up(ref, turn.key)

    def goes_on(self, ref: Ref, now_us: int) -> int | None:
        """A call that rested takes a slot; for how long until it yields again, µs."""
        slots = self._shelf.slots
        self._shelf.resting.leave(ref)
        slots.stand(ref, aside=False, now_us=now_us, why=RESTS)
        seat = slots.seat(ref)
        if seat is None:
            return None
        line = self._shelf.lanes.get(seat.lane)
        if line is not None and line.shares is not None:
            line.shares.reach(seat.shard.tenant)
        return self.quantum_us(0 if seat.turn is None else seat.turn.level)

    def renew(self, task: Task, key: int) -> None:
        """Give a running call another place from which it may go on, at the top level."""
        ref = task.id, task.fence
        seat = self._shelf.slots.seat(ref)
        if seat is None:
            return
        if seat.turn is None:
            seat.turn = Turn(key)
        seat.turn.key, seat.turn.level = key, 0
        if ref in self._shelf.resting:
            self._line_up(ref, key)

    def inherit(self, old: PortYields) -> None:
        """Take over which calls may have to make room, and which stand in line: by the ordering of now."""
        if isinstance(old, Yields):
            self.preemptible = old.preemptible
        for ref in self._shelf.slots:
            seat = self._shelf.slots.seat(ref)
            if seat is not None and seat.away & RESTS and seat.turn is not None:
                self._line_up(ref, seat.turn.key)

    def returns(self, lane: str) -> Rest | None:
        """The call that goes on next in a lane, if it comes before all that has not begun.

        In its own class of work it may have to let another tenant go first; between the classes the place decides.
        """
        firsts = self._firsts(lane)
        return self._next(lane, self._shelf.choose(lane) if firsts else None, firsts)

    def _next(self, lane: str, window: Window | None, firsts: dict[int, Rest]) -> Rest | None:
        place = None if window is None else window.place()
        if window is None or place is None:
            return min(firsts.values(), default=None)
        own = firsts.pop(window.shard.grade, None)
        if own is not None and self._precedes(own, place, window.shard.tenant, lane):
            return min((own, *firsts.values()))
        other = min(firsts.values(), default=None)
        return other if other is not None and other.place < place else None

    def _precedes(self, rest: Rest, place: tuple[int, int], tenant: str, lane: str) -> bool:
        """Whether a call goes on before a task of this tenant, of the same class of work, begins."""
        seat, shares = self._shelf.slots.seat(rest.ref), self._shelf.lanes[lane].shares
        if shares is not None and seat is not None:
            had, has = shares.counter(seat.shard.tenant), shares.counter(tenant)
            if had != has:
                return had < has
        return rest.place < place

    def within(self, lane: str, span: Span) -> Span:
        """A span that ends no later than where a call goes on that stopped at a checkpoint."""
        rest = min(self._firsts(lane).values(), default=None)
        if rest is None:
            return span
        until, most = span
        # Among tenants that share, whose turn it is changes with every task.
        most = 1 if self._shelf.lanes[lane].shares is not None else most
        return Span(rest.place if until is None else min(until, rest.place), most)

    def _claim(self, lane: str, window: Window) -> tuple[int, int, int]:
        """Class and place of what would take a free slot, and how many of it there are."""
        rest, head = self._next(lane, window, self._firsts(lane, free=False)), window.head()
        if rest is not None:
            seat = self._shelf.slots.seat(rest.ref)
            return (0 if seat is None else seat.shard.grade), rest.key, 1
        return window.shard.grade, (0 if head is None else head.key), window.ready(self._shelf.slots.slots(lane))

    def _firsts(self, lane: str, *, free: bool = True) -> dict[int, Rest]:
        """Of each class the call that goes on first; `free`: of those for which there is a slot."""
        shares = self._shelf.lanes[lane].shares
        had = None if shares is None else shares.counter
        return self._shelf.resting.firsts(lane, self._shelf.room_of(lane) if free else None, had)

    def _line_up(self, ref: Ref, key: int) -> None:
        seat = self._shelf.slots.seat(ref)
        if seat is not None:
            shared = self._ordering().fair is not None
            tenant = seat.shard.tenant if shared else ""
            self._shelf.resting.add(seat.lane, seat.shard.grade, tenant, Rest(key, ref[0], ref))

    def quantum_us(self, level: int = 0) -> int | None:
        """How long a call of a level runs until it yields; None: until it is asked to."""
        policy = self._ordering().policy
        return policy.quantum_us(level) if isinstance(policy, Mlfq) else None

    @property
    def any(self) -> bool:
        """Whether some handler's calls may have to give their slots away."""
        return bool(self.preemptible)

    def may_yield(self, lane: str, ref: Ref, key: int) -> None:
        """A call that stood at `key` began, and may have to give its slot to work of a higher class."""
        seat = self._shelf.slots.seat(ref)
        if seat is not None:
            seat.turn = Turn(key)
        seats = self.preemptible.setdefault(lane, {})
        seats[ref] = None
        if len(seats) > _SLACK + 2 * self._shelf.slots.slots(lane):
            self.preemptible[lane] = {ref: None for ref in seats if self._shelf.slots.seat(ref) is not None}

    def next_us(self) -> int | None:
        """When another call is to be asked, where one that was asked did not react; None: never."""
        return self._again_us

    def waits(self, lane: str) -> Window | None:
        """The window of the best task in a lane in which calls may have to give their slots away."""
        head = self._shelf.lanes[lane].best() if self.preemptible.get(lane) else None
        return None if head is None else self._shelf.windows[head[2]]

    def begin(self) -> None:
        """Look at all lanes anew."""
        self._again_us = None

    def victims(self, lane: str, window: Window, now_us: int) -> list[Ref]:
        """Calls of lower classes that must give their slots to the better ones at the front of this window.

        Or to one that goes on before them: what is taken from a call must not go to another one that is no better.
        As many as find no free slot, less those that were asked a moment ago. Of the lowest class first, and of those
        the one that began last.
        """
        seats, found, asked = self.preemptible[lane], [], []
        slots, (grade, key, most) = self._shelf.slots, self._claim(lane, window)
        for ref in list(seats):
            seat = slots.seat(ref)
            if seat is None:
                del seats[ref]
            elif (turn := seat.turn) is None or seat.away:
                continue
            elif turn.asked_us is not None:
                asked.append(turn.asked_us + PATIENCE_US)
            elif seat.shard.grade < grade and turn.key > key:
                found.append((seat.shard.grade, -seat.since_us, ref))
        # A process that was told to end ends; a coroutine may be long on its way to its next checkpoint.
        sure = self._shelf.kinds[lane] != "async"
        coming = [until_us for until_us in asked if sure or until_us > now_us]
        wanted = most - max(0, slots.room(lane, grade)) - len(coming)
        chosen = [ref for _, _, ref in sorted(found)[: max(0, wanted)]]
        if not sure and len(chosen) < len(found) and (chosen or coming):
            soonest = min((*coming, now_us + PATIENCE_US))
            self._again_us = soonest if self._again_us is None else min(self._again_us, soonest)
        return chosen
