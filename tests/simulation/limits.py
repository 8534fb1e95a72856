"""Limits counted by brute force, from what left and what came back; compared with what the core believes of each."""

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Final

import msgspec

from tests.simulation.facts import After
from tests.simulation.occupancy import Call, Occupancy
from tests.simulation.red import Check, require
from wsaios.components.executor.gates import Gates
from wsaios.kernel.engine import AttemptRef, Report, Unbegun, Work
from wsaios.kernel.limit import REQUESTS, TASKS, Learn, Limit, Rate, amounts, millionths
from wsaios.kernel.task import Effective, HandlerSpec, Options, Shard, Task, effective
from wsaios.scheduler.bounds import LIMITS
from wsaios.simulation.ledger_store import Tables

NAMES: Final = (
    "lane:default", "lane:wide", "lane:thread", "handler:echo", "handler:vector", "handler:sheet", "tenant:acme",
    "tenant:*", "tenant:default", "key:one", "key:*",
)  # fmt: skip
_RUNNING: Final[tuple[dict[str, float], ...]] = (
    {},
    {TASKS: 1.0},
    {TASKS: 2.0},
    {TASKS: 3.0},
    {"gpu": 1.0},
    {"gpu": 1.5, TASKS: 3.0},
)
_RATES: Final[tuple[dict[str, Rate], ...]] = (
    {}, {REQUESTS: Rate(2, 0.02)}, {REQUESTS: Rate(8, 0.1)}, {"tokens": Rate(60, 0.05)},
    {REQUESTS: Rate(20, 0.3), "tokens": Rate(150, 0.2)},
)  # fmt: skip
_LEARN: Final = (None, None, None, Learn(start=2, most=4))
_SETTLES: Final = 3
_KEPT: Final = 2000
RESOURCES: Final = (None, None, {"gpu": 0.25}, {"gpu": 0.5}, {"gpu": 1.0})
COSTS: Final = (None, {"tokens": 10}, {"tokens": 25}, {"tokens": 60})


def some_limits(rng: Random) -> list[Limit]:
    """A few limits, some of them none any more."""
    names = rng.sample(NAMES, rng.randint(1, 3))
    return [Limit(name, dict(rng.choice(_RUNNING)), dict(rng.choice(_RATES)), rng.choice(_LEARN)) for name in names]


def no_limits() -> list[Limit]:
    """Everything may run."""
    return [Limit(name) for name in NAMES]


def asking(options: Options | None, serial: int) -> Options:
    """The same options, and something that they ask of limits; no number is drawn for it."""
    resources, costs = RESOURCES[serial % len(RESOURCES)], COSTS[serial // 3 % len(COSTS)]
    return msgspec.structs.replace(
        options or Options(),
        resources=None if resources is None else amounts(resources),
        costs=None if costs is None else amounts(costs),
    )


class Start(msgspec.Struct, eq=False):
    """A task that started under limits, when, and what it took of each rate."""

    at_us: int
    lane: str
    shard: Shard
    options: Effective


class Limited:
    """What started when, over every owner; and what limits held while that was decided."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._starts: dict[AttemptRef, Start] = {}
        self._before: dict[str, Limit] = {}
        self._since: dict[str, int] = {}
        self.met: Counter[str] = Counter()

    def limits(self) -> dict[str, Limit]:
        """Those that the ledger holds."""
        facts = self._tables.facts
        return {key: msgspec.json.decode(row[0], type=Limit) for (part, key), row in facts.items() if part == LIMITS}

    def hear(self, reports: Iterable[Report]) -> None:
        """What never began has taken nothing."""
        for report in reports:
            if isinstance(report, Unbegun):
                self._starts.pop(AttemptRef(report.task, report.fence), None)

    def committed(self, works: Iterable[Work], specs: dict[str, HandlerSpec]) -> None:
        """Works that are durable count as started, also those that do not leave because their owner dies."""
        for work in works:
            for attempt in work.attempts:
                row = self._tables.live.get(attempt.task)
                if row is None:
                    continue
                options = effective(row.body.options, specs[work.handler].options)
                start = Start(row.body.history[-1][1], work.lane, self._tables.shards[row.shard], options)
                self._starts[AttemptRef(attempt.task, attempt.fence)] = start
        oldest_us = max((start.at_us for start in self._starts.values()), default=0) - 2_000_000
        if len(self._starts) > _KEPT:
            self._starts = {ref: each for ref, each in self._starts.items() if each.at_us > oldest_us}

    def started(self, works: Iterable[Work], occupancy: Occupancy, now_us: int) -> None:
        """Works that have just left: none of them is above a limit that held before, nor above one that holds now."""
        now = self.limits()
        for name in {*now, *self._before}:
            if self._before.get(name) != now.get(name):
                self._since[name] = now_us
        for work in works:
            attempt = work.attempts[0]
            start = self._starts.get(AttemptRef(attempt.task, attempt.fence))
            if start is None:
                continue
            for (scope, before), (_, after) in zip(_over(self._before, start), _over(now, start), strict=True):
                if before is None or after is None:
                    continue
                self.met["started under a limit"] += 1
                self._check_running(scope, before, after, occupancy, start)
                self._check_rates(scope, before, after, start)
        self._before = now

    def _check_running(self, scope: str, before: Limit, after: Limit, occupancy: Occupancy, start: Start) -> None:
        asked, calls = {TASKS, *dict(start.options.resources)}, list(occupancy.under(scope))
        for unit in asked & before.running.keys() & after.running.keys():
            most = millionths(max(before.running[unit], after.running[unit]))
            taken = _held(calls, unit)
            require(taken <= most, Check.LIMITS, "{} starts: {} of {} {} of {}", start, taken, most, unit, scope)

    def _check_rates(self, scope: str, before: Limit, after: Limit, start: Start) -> None:
        for unit in before.rates.keys() & after.rates.keys():
            if before.rates[unit] != after.rates[unit]:
                continue
            rate = after.rates[unit]
            since_us = max(start.at_us - round(rate.per_s * 1e6), self._changed_us(scope))
            taken = self._taken(scope, unit, since_us, start.at_us)
            most = millionths(rate.amount)
            require(taken <= most, Check.LIMITS, "{} of {} {} of {} at {}", taken, most, unit, scope, start.at_us)

    def _changed_us(self, scope: str) -> int:
        """Since when its limit holds, or the one for all of its kind."""
        return max(self._since.get(scope, 0), self._since.get(_every(scope), 0))

    def _taken(self, scope: str, unit: str, since_us: int, upto_us: int) -> int:
        """What was taken of a rate after `since_us`."""
        starts = [each for each in self._starts.values() if since_us < each.at_us <= upto_us]
        return sum(cost_of(each.options, unit) for each in starts if scope in _scopes(each.lane, each.shard))

    def lets(self, after: After, task: Task, shard: Shard, lane: str) -> bool:
        """Whether limits let a task start now; rates are counted a little longer than they must be."""
        spec = after.known.handlers[shard.handler]
        start = Start(after.now_us, lane, shard, effective(task.body.options, spec.options))
        for scope, limit in _over(self.limits(), start):
            if limit is not None and not self._lets(after, scope, limit, start):
                return False
        return True

    def _lets(self, after: After, scope: str, limit: Limit, start: Start) -> bool:
        calls, asked = list(after.occupancy.under(scope)), {TASKS: 1_000_000, **dict(start.options.resources)}
        for unit, most in limit.running.items():
            if unit in asked and _held(calls, unit) + asked[unit] > millionths(most):
                return False
        for unit, rate in limit.rates.items():
            longest_us = round(rate.per_s * 1e6 * 33 / 32) + 1
            if after.now_us - self._changed_us(scope) < _SETTLES * longest_us:
                # What was taken before stays in cells of another size.
                return False
            taken = self._taken(scope, unit, after.now_us - longest_us, after.now_us)
            if taken + max(1, cost_of(start.options, unit)) > millionths(rate.amount):
                return False
        gate = _gates(after).gates.get(scope)
        learner = None if gate is None else gate.learner
        if gate is None or learner is None:
            return True
        return learner.closed_us <= after.now_us and gate.running < gate.most

    def free_us(self, after: After, task: Task, shard: Shard, lane: str) -> int | None:
        """By when time alone lets a task start that lacks something of rates and nothing else; None: it does not."""
        start = Start(
            after.now_us, lane, shard, effective(task.body.options, after.known.handlers[shard.handler].options)
        )
        times = []
        for scope, limit in _over(self.limits(), start):
            if limit is None:
                continue
            rates = msgspec.structs.replace(limit, running={})
            if limit.learn is not None or not self._lets(after, scope, msgspec.structs.replace(limit, rates={}), start):
                return None
            if self._lets(after, scope, rates, start):
                continue
            times += [self._leaves_us(after, scope, unit, rate, start) for unit, rate in limit.rates.items()]
        return max((time for time in times if time is not None), default=None) if None not in times else None

    def _leaves_us(self, after: After, scope: str, unit: str, rate: Rate, start: Start) -> int | None:
        """By when enough of a rate has left its window."""
        longest_us = round(rate.per_s * 1e6 * 33 / 32) + 1
        if after.now_us - self._changed_us(scope) < _SETTLES * longest_us:
            return None
        inside = [each for each in self._starts.values() if scope in _scopes(each.lane, each.shard)]
        inside = sorted(inside, key=lambda each: each.at_us)
        room = millionths(rate.amount) - sum(cost_of(each.options, unit) for each in inside)
        need = max(1, cost_of(start.options, unit))
        latest_us = after.now_us
        for each in inside:
            if room >= need:
                break
            room += cost_of(each.options, unit)
            latest_us = max(latest_us, each.at_us + longest_us)
        return latest_us if room >= need else None

    def check(self, after: After) -> None:
        """The core counts as this does, and keeps nothing of what is over."""
        for name, gate in _gates(after).gates.items():
            calls = list(after.occupancy.under(name))
            counted = _held(calls, TASKS)
            require(
                gate.running * 1_000_000 == counted, Check.LIMITS, "{}: {} run, not {}", name, gate.running, counted
            )
            for unit, used in gate.used.items():
                require(used == _held(calls, unit), Check.LIMITS, "{}: {} {}, not {}", name, used, unit, calls)


def excused(after: After, task: Task, shard: Shard, lane: str) -> bool:
    """Whether a better task waits for a limit that this one is under, too: it may be left what it needs."""
    executor = after.core.executor
    for gate in _gates(after).of(shard, lane):
        for number in gate.queue:
            window = executor.windows.get(number)
            place = None if window is None else window.place()
            if place is not None and place < (task.key, task.id):
                return True
    return False


def gated(after: After, shard: Shard, lane: str) -> bool:
    """Whether a shard waits for a limit."""
    window = after.core.executor.windows.get(shard.id)
    return window is not None and window.parked == "limit" and bool(after.core.executor.slots.gates.of(shard, lane))


def cost_of(options: Effective, unit: str) -> int:
    """What one start takes of a rate."""
    return 1_000_000 if unit == REQUESTS else dict(options.costs).get(unit, 0)


def _gates(after: After) -> Gates:
    gates = after.core.executor.slots.gates
    assert isinstance(gates, Gates)
    return gates


def _held(calls: Iterable[Call], unit: str) -> int:
    if unit == TASKS:
        return sum(len(call.left) for call in calls) * 1_000_000
    return sum(dict(call.resources).get(unit, 0) for call in calls)


def _scopes(lane: str, shard: Shard) -> list[str]:
    key = shard.concurrency_key
    return [f"lane:{lane}", f"handler:{shard.handler}", f"tenant:{shard.tenant}", *([f"key:{key}"] if key else [])]


def _every(scope: str) -> str:
    return scope.partition(":")[0] + ":*"


def _over(limits: dict[str, Limit], start: Start) -> Iterator[tuple[str, Limit | None]]:
    """The scopes that a start is in, and the limit of each."""
    for scope in _scopes(start.lane, start.shard):
        yield scope, limits.get(scope) or limits.get(_every(scope))
