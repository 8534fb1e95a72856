"""All limits that there are, and the counts of each: which of them a task is under, what is taken, what is kept."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from wsaios.components.executor.gate import Gate
from wsaios.components.executor.seat import Seat
from wsaios.components.executor.usage import Usage
from wsaios.kernel.executor import Ref
from wsaios.kernel.limit import EACH, MILLION, TASKS, Limit, LimitView
from wsaios.kernel.task import Shard

_KEPT: Final = 4096
Under = tuple[str, str, str, str]


class Gates:
    """Taking and giving back are exact: whatever is counted can be counted anew from those who sit.

    `any`: there is a limit. `learns`: one finds out how many may run. `stirred` are
    the limits of which something became free.
    """

    def __init__(self, seats: Mapping[Ref, Seat], run_us: Callable[[str], int]) -> None:
        """`seats` are those who sit; `run_us` as in `Gate`."""
        self.any = False
        self.learns = False
        self.gates: dict[str, Gate] = {}
        self.stirred: dict[str, None] = {}
        self._seats = seats
        self.run_us = run_us
        self._set: dict[str, Limit] = {}
        self._own: dict[str, Limit] = {}
        self._of: dict[Under, tuple[Gate, ...]] = {}
        self.usage = Usage(self.gates)

    def set(self, limits: Iterable[Limit]) -> None:
        """Have these limits from now on; one that bounds nothing removes the one of its name."""
        for limit in limits:
            if limit.bounds:
                self._set[limit.on] = limit
            else:
                self._set.pop(limit.on, None)
        self._changed()

    def own(self, limit: Limit) -> bool:
        """What a lane or handler says of itself, where none of that name was set, unit by unit; whether that is new."""
        if self._own.get(limit.on, Limit(limit.on)) == limit:
            return False
        self._own[limit.on] = limit
        if not limit.bounds:
            del self._own[limit.on]
        self._changed()
        return True

    def of(self, shard: Shard, lane: str) -> tuple[Gate, ...]:
        """The limits that tasks of a shard are under in a lane."""
        under = lane, shard.handler, shard.tenant, shard.concurrency_key
        found = self._of.get(under)
        if found is None:
            if len(self._of) >= _KEPT:
                self._prune()
            names = (f"lane:{lane}", f"handler:{shard.handler}", f"tenant:{shard.tenant}", f"key:{under[3]}")
            gates = [self._gate(name) for name in (names if under[3] else names[:3])]
            found = self._of[under] = tuple(gate for gate in gates if gate is not None)
        return found

    def take(self, seat: Seat, now_us: int) -> None:
        """A call starts."""
        for gate in self.of(seat.shard, seat.lane):
            gate.sit(seat)
            if gate.rates:
                gate.pay(seat, now_us)
                self.usage.paid[gate.name] = None

    def leave(self, seat: Seat, now_us: int | None) -> None:
        """An attempt of a call left; `now_us` None: it never began."""
        for gate in self.of(seat.shard, seat.lane):
            gate.rise(seat)
            if gate.rates and not seat.left and gate.settle(seat, now_us):
                self.usage.paid[gate.name] = None
            if gate.queue:
                self.stirred[gate.name] = None

    def stand(self, seat: Seat, *, aside: bool) -> None:
        """A call awaits other tasks, or does no longer."""
        for gate in self.of(seat.shard, seat.lane):
            gate.stand(seat, aside=aside)
            if aside and gate.queue:
                self.stirred[gate.name] = None

    def told(self, ref: Ref, wait_us: int | None, now_us: int) -> None:
        """The call of an attempt ended well (None), or was refused and asked to wait so long."""
        seat = self._seats.get(ref)
        if seat is None:
            return
        for gate in self.of(seat.shard, seat.lane):
            if gate.learner is None:
                continue
            if wait_us is None:
                gate.learner.succeeded(gate.running)
            else:
                gate.learner.refused(seat.since_us, now_us, wait_us)
            if gate.queue:
                self.stirred[gate.name] = None

    def recount(self) -> None:
        """Count anew from who sits."""
        for gate in self.gates.values():
            gate.running, gate.used, gate.seats = 0, {}, {}
        for seat in dict.fromkeys(self._seats.values()):
            for gate in self.of(seat.shard, seat.lane):
                gate.sit(seat)

    def holders(self, gate: Gate) -> list[Ref]:
        """The attempts that hold something of a limit."""
        return [ref for ref, seat in self._seats.items() if seat in gate.seats]

    def views(self, now_us: int) -> list[LimitView]:
        """All limits by name, and each one at work under a limit for all of a kind."""
        names = {*self._set, *self._own, *(name for name, gate in self.gates.items() if gate.seats or gate.queue)}
        return [self._view(name, now_us) for name in sorted(names)]

    def inherit(self, old: "Gates") -> None:
        """Go on with what another one has learned and taken of rates; the rest is counted from who sits."""
        self.usage.inherit(old.usage, self._per_us)
        for name, gate in old.gates.items():
            own = self._gate(name)
            if own is not None and own.learner is not None and gate.learner is not None:
                own.learner.inherit(gate.learner)

    def _view(self, name: str, now_us: int) -> LimitView:
        limit, gate = self._limit(name) or Limit(name), None if name.endswith(f":{EACH}") else self._gate(name)
        if gate is None:
            return LimitView(limit)
        counted = {unit: gate.used.get(unit, 0) / MILLION for unit in limit.running if gate.capacity(unit) is not None}
        used = {unit: (rate.limit - rate.room(now_us)) / MILLION for unit, rate in gate.rates.items()}
        learner = gate.learner
        closed_us = 0 if learner is None else max(0, learner.closed_us - now_us)
        allowed = None if learner is None else learner.allowed
        return LimitView(limit, {TASKS: gate.running, **counted}, used, allowed, closed_us / MILLION, len(gate.queue))

    def _limit(self, name: str) -> Limit | None:
        own, chosen = self._own.get(name), self._set.get(name)
        if chosen is not None:
            return chosen.over(own)
        if own is not None:
            return own
        return self._set.get(f"{name.partition(':')[0]}:{EACH}")

    def _per_us(self, name: str, unit: str) -> int | None:
        limit = self._limit(name)
        rate = None if limit is None else limit.rates.get(unit)
        return None if rate is None else round(rate.per_s * MILLION)

    def _gate(self, name: str) -> Gate | None:
        limit, gate = self._limit(name), self.gates.get(name)
        if limit is None:
            return None
        if gate is None:
            gate = self.gates[name] = Gate(name)
        gate.change(limit, lambda unit: self.usage.take(f"{name} {unit}"))
        return gate

    def _changed(self) -> None:
        """Other limits hold: all that was counted is counted by these."""
        self._of.clear()
        for name in [name for name in self.gates if self._limit(name) is None]:
            del self.gates[name]
            self.stirred.pop(name, None)
        limits = (*self._set.values(), *self._own.values())
        self.any = bool(limits)
        self.learns = any(limit.learn is not None for limit in limits)
        self.recount()
        self.stirred.update(dict.fromkeys(self.gates))

    def _prune(self) -> None:
        """Limits of which nothing is taken and for which nobody waits come back when they are needed."""
        self._of.clear()
        for name, gate in list(self.gates.items()):
            idle = not gate.seats and not gate.queue and gate.learner is None
            if idle and not any(rate.used() for rate in gate.rates.values()):
                del self.gates[name]
