"""One limit at work: what is taken of it, by which calls, and who waits for it."""

from collections.abc import Callable
from typing import Final

from wsaios.components.executor.learning import Learner
from wsaios.components.executor.seat import Seat
from wsaios.components.executor.sliding import Sliding, Used
from wsaios.kernel.executor import AWAITS
from wsaios.kernel.limit import MANY, MILLION, REQUESTS, TASKS, Limit, millionths
from wsaios.kernel.task import Effective

HOLD_US: Final = 1_000_000
"""After so long worse ones leave what a task needs of one limit, while it waits for its slot or for another limit."""


class Wait:
    """A queue that waits for a limit: since when, and by when what it lacks was expected to be free."""

    __slots__ = ("promised_us", "since_us")

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self.promised_us: int | None = None


class Gate:
    """The one place where a limit is counted. Amounts are whole millionths, `running` counts tasks.

    `queue` are the shards that wait for it, and those that did and have not started since: these are `loose`. `varied`:
    not every task needs the same of it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.limit = Limit(name)
        self.running = 0
        self.used: dict[str, int] = {}
        self.rates: dict[str, Sliding] = {}
        self.learner: Learner | None = None
        self.seats: dict[Seat, None] = {}
        self.queue: dict[int, Wait] = {}
        self.loose: dict[int, None] = {}
        self.varied = False
        self.capacities: dict[str, int] = {}
        self._tasks = MANY
        self._keyed = name.startswith("key:")

    def change(self, limit: Limit, stored: Callable[[str], Used | None]) -> None:
        """Bound by this from now on; `stored` is what the ledger knows of a rate that was not there."""
        if limit == self.limit:
            return
        self.limit = limit
        self.capacities = {unit: millionths(most) for unit, most in limit.running.items() if unit != TASKS}
        self.varied = bool(self.capacities) or bool(limit.rates.keys() - {REQUESTS})
        self._tasks = int(limit.running.get(TASKS, MANY))
        before, self.rates = self.rates, {}
        for unit, rate in limit.rates.items():
            used = before[unit].used() if unit in before else stored(unit)
            self.rates[unit] = Sliding(millionths(rate.amount), round(rate.per_s * MILLION), used)
        learner = None if limit.learn is None else Learner(limit.learn)
        if learner is not None and self.learner is not None:
            learner.inherit(self.learner)
        self.learner = learner

    def forget(self, number: int) -> bool:
        """A shard waits no longer; whether it did."""
        self.loose.pop(number, None)
        return self.queue.pop(number, None) is not None

    @property
    def most(self) -> int:
        """How many tasks may run."""
        return self._tasks if self.learner is None else min(self._tasks, self.learner.allowed)

    def capacity(self, unit: str) -> int | None:
        """How much of a resource there is; None: it is not limited here."""
        return self.capacities.get(unit)

    def rows(self, options: Effective, now_us: int, *, single: bool = True) -> int:
        """How many tasks with these options may start now; `single`: each in a call of its own, else all in one."""
        if self.learner is not None and self.learner.closed_us > now_us:
            return 0
        rows = self.most - self.running
        for unit, amount in options.resources:
            capacity = self.capacities.get(unit)
            if capacity is not None:
                calls = (capacity - self.used.get(unit, 0)) // amount
                rows = min(rows, calls if single or calls <= 0 else MANY)
        for unit, rate in self.rates.items():
            cost, room = cost_of(options, unit), rate.room(now_us)
            rows = min(rows, room // cost if cost else MANY if room > 0 else 0)
        return rows

    def lacks(self, options: Effective, now_us: int) -> list[str]:
        """The units of which too little is left for one such task."""
        found = [TASKS] if self.running >= self.most else []
        for unit, amount in options.resources:
            capacity = self.capacities.get(unit)
            if capacity is not None and self.used.get(unit, 0) + amount > capacity:
                found.append(unit)
        found += [unit for unit, rate in self.rates.items() if rate.room(now_us) < max(1, cost_of(options, unit))]
        return found

    def never(self, options: Effective) -> str | None:
        """The unit of which such a task asks for more than there is at all."""
        if self._tasks < 1:
            return TASKS
        for unit, amount in options.resources:
            if amount > self.capacities.get(unit, amount):
                return unit
        return next((unit for unit, rate in self.rates.items() if cost_of(options, unit) > rate.limit), None)

    def when_us(self, options: Effective, now_us: int) -> int | None:
        """From when on time alone lets such a task start; None: time does not."""
        times = [rate.when_us(max(1, cost_of(options, unit)), now_us) for unit, rate in self.rates.items()]
        if self.learner is not None:
            times.append(self.learner.closed_us)
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) and max(known) > now_us else None

    def sit(self, seat: Seat) -> None:
        """A call holds its part from now on."""
        self.seats[seat] = None
        self.running += self._counted(seat)
        for unit, amount in seat.options.resources:
            if unit in self.capacities:
                self.used[unit] = self.used.get(unit, 0) + amount

    def pay(self, seat: Seat, now_us: int) -> None:
        """A call starts: that is taken of the rates."""
        for unit, rate in self.rates.items():
            cost = cost_of(seat.options, unit) * seat.left
            if cost:
                seat.paid = seat.paid or {}
                seat.paid[self.name, unit] = rate.take(cost, now_us), cost

    def rise(self, seat: Seat) -> None:
        """An attempt of a call left; with the last one all that the call held is free."""
        if seat not in self.seats:
            return
        self.running -= 0 if seat.away & AWAITS and not self._keyed else 1
        if seat.left:
            return
        del self.seats[seat]
        for unit, amount in seat.options.resources:
            if unit in self.capacities:
                self.used[unit] -= amount

    def settle(self, seat: Seat, now_us: int | None) -> bool:
        """A call is over: what was taken of the rates for it is put right; True: it used more than was taken.

        `now_us` None: it never began.
        """
        more = False
        for unit, rate in self.rates.items():
            cell, amount = (seat.paid or {}).get((self.name, unit), (0, 0))
            spent = 0 if now_us is None else (seat.spent or {}).get(unit)
            if spent is None or (unit == REQUESTS and now_us is not None):
                continue
            if spent < amount:
                rate.give_back(amount - spent, cell)
            elif spent > amount and now_us is not None:
                rate.take(spent - amount, now_us)
                more = True
        return more

    def stand(self, seat: Seat, *, aside: bool) -> None:
        """A call awaits other tasks, or does no longer: it counts as little as its slot does, but keeps its key."""
        if seat in self.seats and not self._keyed:
            self.running += -seat.left if aside else seat.left

    def _counted(self, seat: Seat) -> int:
        return 0 if seat.away & AWAITS and not self._keyed else seat.left


def cost_of(options: Effective, unit: str) -> int:
    """What one such task takes of a rate."""
    if unit == REQUESTS:
        return MILLION
    return next((amount for name, amount in options.costs if name == unit), 0)
