"""Who waits for a limit, who is woken when some of it is free, and who must let a better one go first."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Final

from wsaios.components.executor.backfill import RunUs, shadow
from wsaios.components.executor.gate import HOLD_US, Gate, Wait, cost_of
from wsaios.components.executor.gates import Gates
from wsaios.components.executor.reasons import too_much, words
from wsaios.kernel.executor import Window
from wsaios.kernel.limit import MANY, NEVER, TASKS, Held
from wsaios.kernel.task import Effective, HandlerSpec, Shard, Task

LIMIT: Final = "limit"
Place = tuple[tuple[int, int], int]
"""(key, id) of the first task of a shard, and the shard."""


class Queues:
    """Windows that are parked for a limit hide nobody else. Of those under one limit the better goes first.

    A large one that lacks some of a resource is not passed for ever: when it began to wait, the time was worked out at
    which enough will be free; until then others may take what they will have given back by then, or what it leaves;
    after that only what it leaves. Source: EASY backfilling, Lifka, "The ANL/IBM SP Scheduling System" (1995), and
    Mu'alem and Feitelson (2001). One that waits for its slot or another limit is left what it needs after `HOLD_US`.
    """

    def __init__(self, gates: Gates, windows: Mapping[int, Window], options: Callable[[Task, str], Effective]) -> None:
        """`options` finds those that apply to a task."""
        self.gates = gates
        self.moved = False
        self.heeds: Callable[[Window], bool] = lambda _: True
        self._windows = windows
        self._options = options
        self._at: dict[int, Gate] = {}
        self._times: list[tuple[int, str]] = []
        self._timed: dict[str, int] = {}

    def rows(self, window: Window, spec: HandlerSpec, now_us: int) -> int:
        """How many of the tasks at the front may start now; 0: it must wait, and is in line for that.

        NEVER: it asks for more than there is.
        """
        gates = self.gates.of(window.shard, window.lane)
        head = window.head() if gates else None
        if head is None:
            return MANY
        # Fewer than where no limit counts: what is behind the first may need other amounts.
        options, found = self._options(head, window.shard.handler), MANY - 1
        took_us = self.gates.run_us(window.shard.handler)
        ends_us = now_us + took_us if took_us else None
        for gate in gates:
            if gate.rates or options.resources:
                unit = gate.never(options)
                if unit is not None and unit != TASKS:
                    return NEVER
            rows = gate.rows(options, now_us, single=spec.batch_size == 1)
            if rows > 0 and gate.queue:
                rows = self._beside(gate, window, head, ends_us, rows, now_us)
            if rows <= 0:
                self._wait(gate, window, options, now_us)
                return 0
            found = min(found, rows)
        return found

    def fits(self, shard: Shard, lane: str, options: Effective, now_us: int) -> bool:
        """Whether a task that stands in no window may start; if time lets it, that is when to look again."""
        for gate in self.gates.of(shard, lane):
            if gate.rows(options, now_us) <= 0:
                self._look_again(gate, gate.when_us(options, now_us))
                return False
        return True

    def started(self, window: Window) -> None:
        """Some of a window started: it waits no longer, and others may be next."""
        number = window.shard.id
        self._at.pop(number, None)
        for gate in self.gates.of(window.shard, window.lane):
            if gate.forget(number) and gate.queue:
                self.gates.stirred[gate.name] = None
                self.moved = True

    def left(self, number: int) -> None:
        """Another task may be the first of this shard: if it waits for a limit, that is looked at again."""
        gate = self._at.get(number)
        if gate is not None:
            self.gates.stirred[gate.name] = None

    def wake(self, now_us: int) -> list[Window]:
        """The windows that may have something to start since some of a limit is free, best first."""
        stirred, times = self.gates.stirred, self._times
        while times and times[0][0] <= now_us:
            at_us, name = heappop(times)
            if self._timed.get(name) == at_us:
                del self._timed[name]
                stirred[name] = None
        found: list[Place] = []
        for name in list(stirred):
            gate = self.gates.gates.get(name)
            if gate is None or not gate.queue:
                del stirred[name]
            else:
                found += self._woken(gate, now_us)
        for _, number in found:
            self._at.pop(number).loose[number] = None
        return [self._windows[number] for _, number in sorted(found)]

    def next_us(self) -> int | None:
        """When time frees something that is waited for."""
        times = self._times
        while times and self._timed.get(times[0][1]) != times[0][0]:
            heappop(times)
        return times[0][0] if times else None

    def let_go(self) -> list[Window]:
        """Other limits hold: nobody waits for the old ones."""
        self._at.clear()
        self._times.clear()
        self._timed.clear()
        for gate in self.gates.gates.values():
            gate.queue.clear()
            gate.loose.clear()
        return [window for window in self._windows.values() if window.parked == LIMIT]

    def never(self, window: Window) -> str:
        """Why the first of a window can never start."""
        head = window.head()
        if head is None:
            return ""
        options = self._options(head, window.shard.handler)
        for gate in self.gates.of(window.shard, window.lane):
            unit = gate.never(options)
            if unit is not None and unit != TASKS:
                return too_much(gate, options, unit)
        return ""

    def why(self, window: Window, now_us: int) -> Held | None:
        """For which limit a window waits; None: it does not."""
        gate, head = self._at.get(window.shard.id), window.head()
        if gate is None or head is None or window.parked != LIMIT:
            return None
        options = self._options(head, window.shard.handler)
        refs = self.gates.holders(gate)
        before = [number for number in gate.queue if number != window.shard.id]
        return Held(
            gate.name, words(gate, options, now_us), tuple(dict.fromkeys(task for task, _ in refs)), tuple(before)
        )

    def _wait(self, gate: Gate, window: Window, options: Effective, now_us: int) -> None:
        number = window.shard.id
        wait = gate.queue.get(number)
        if wait is None:
            wait = gate.queue[number] = Wait(now_us)
        self._at[number] = gate
        gate.loose.pop(number, None)
        lacks = gate.lacks(options, now_us)
        if not lacks:
            # A better one goes first, and need not start before something else happens to it.
            self.gates.stirred[gate.name] = None
        elif wait.promised_us is None and any(gate.capacity(unit) is not None for unit in lacks):
            wait.promised_us, _ = shadow(gate, options, self.gates.run_us)
        self._look_again(gate, gate.when_us(options, now_us))

    def _look_again(self, gate: Gate, at_us: int | None) -> None:
        if at_us is not None and at_us < self._timed.get(gate.name, at_us + 1):
            self._timed[gate.name] = at_us
            heappush(self._times, (at_us, gate.name))

    def _woken(self, gate: Gate, now_us: int) -> list[Place]:
        """The best of each lane, as many as there is room for."""
        if gate.running >= gate.most:
            # Nobody can start; what leaves stirs it again.
            self.gates.stirred.pop(gate.name, None)
            return []
        waiting = sorted(self._waiting(gate))
        lanes = Counter(self._windows[number].lane for _, number in waiting)
        counts: Counter[str] = Counter()
        room, woken = False, []
        for place, number in waiting:
            window = self._windows[number]
            lane, head, rows = window.lane, window.head(), 1
            if lane not in lanes:
                continue
            if head is not None:
                options = self._options(head, window.shard.handler)
                rows = gate.rows(options, now_us)
                if rows <= 0:
                    self._look_again(gate, gate.when_us(options, now_us))
            room |= rows > 0
            # Where needs differ a better one may leave enough, however little there is room for of this kind.
            if rows > (0 if gate.varied else counts[lane]):
                counts[lane] += 1
                woken.append((place, number))
            elif rows > 0:
                del lanes[lane]
                if not lanes:
                    break
        if not room:
            self.gates.stirred.pop(gate.name, None)
        return woken

    def _waiting(self, gate: Gate) -> Iterator[Place]:
        """The windows that are parked for a limit, with their places."""
        for number in list(gate.queue):
            window = self._windows.get(number)
            here = window is not None and window.parked == LIMIT and self._at.get(number) is gate
            place = window.place() if window is not None else None
            if window is not None and place is not None:
                if here:
                    yield place, number
                continue
            gate.forget(number)
            if self._at.get(number) is gate:
                del self._at[number]
            if window is not None and here:
                # It has nothing now; what comes into it must be looked at.
                window.parked = ""

    def _beside(self, gate: Gate, window: Window, head: Task, ends_us: int | None, rows: int, now_us: int) -> int:
        """How many of `rows` may start beside what better ones that wait for this limit need of it."""
        mine = self._options(head, window.shard.handler)
        # Where all need the same nobody lacks what this one finds.
        for number in gate.queue if gate.varied else gate.loose:
            wait = gate.queue[number]
            other = self._windows.get(number)
            best = None if other is None or other is window else other.head()
            if other is None or best is None or (best.key, best.id) > (head.key, head.id):
                continue
            theirs = self._options(best, other.shard.handler)
            lacks = gate.lacks(theirs, now_us) if other.parked == LIMIT and self._at.get(number) is gate else None
            held = now_us - wait.since_us >= HOLD_US and (lacks or (lacks is None and other.parked in {"", LIMIT}))
            if not (lacks or held) or gate.never(theirs) is not None or not self.heeds(other):
                continue
            soon = ends_us is not None and wait.promised_us is not None and ends_us <= wait.promised_us
            if lacks and not _passes(gate, mine, theirs, lacks, None if soon else self.gates.run_us):
                return 0
            if lacks and mine.resources:
                rows = min(rows, 1)
            if held:
                rows = min(rows, _left(gate, mine, theirs, lacks or (), now_us))
            if rows <= 0:
                return 0
        return rows


def _passes(gate: Gate, mine: Effective, theirs: Effective, lacks: Iterable[str], run_us: RunUs | None) -> bool:
    """Whether a worse task may take of what a better one lacks, by what it leaves.

    `run_us` None: it gives all of a resource back before the better one is expected to start.
    """
    left: dict[str, int] | None = None
    for unit in lacks:
        if gate.capacity(unit) is None:
            if unit == TASKS or cost_of(mine, unit):
                return False
            continue
        amount = dict(mine.resources).get(unit, 0)
        if not amount or run_us is None:
            continue
        if left is None:
            _, left = shadow(gate, theirs, run_us)
        if left.get(unit, 0) < amount:
            return False
    return True


def _left(gate: Gate, mine: Effective, theirs: Effective, lacks: Iterable[str], now_us: int) -> int:
    """How many tasks may start, if a better one is left what it needs of all that it does not lack."""
    rows = MANY if TASKS in lacks else gate.most - gate.running - 1
    asked = dict(theirs.resources)
    for unit, amount in mine.resources:
        most = gate.capacity(unit)
        if most is not None and unit not in lacks:
            rows = min(rows, (most - gate.used.get(unit, 0) - asked.get(unit, 0)) // amount)
    for unit, rate in gate.rates.items():
        cost = cost_of(mine, unit)
        if cost and unit not in lacks:
            rows = min(rows, (rate.room(now_us) - cost_of(theirs, unit)) // cost)
    return rows
