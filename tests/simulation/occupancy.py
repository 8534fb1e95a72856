"""Who sits where, told from dispatches and reports alone; compared with what the core believes and with the engine."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from tests.simulation.red import Check, require
from tests.simulation.scenario import limit_of
from wsaios.kernel.engine import AtHand, AttemptRef, Ended, Freed, Report, Resumed, Unbegun, Work, WorkerLost, Yielded
from wsaios.kernel.executor import Slots
from wsaios.kernel.limit import Amounts
from wsaios.kernel.task import GRADES, LaneSpec, Shard


class Call(msgspec.Struct, eq=False):
    """One work that takes a slot, with the attempts that it still holds."""

    lane: str
    key: str
    left: set[AttemptRef]
    since_us: int
    shard: Shard
    resources: Amounts
    aside: bool = False


class Occupancy:
    """The calls of the owner at hand; `yielded` counts those that gave their slots away since the last flight."""

    yielded = 0

    def __init__(self) -> None:
        self._calls: dict[AttemptRef, Call] = {}
        self._lent: dict[tuple[str, str], int] = {}
        self._most_lent: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Another core begins with nothing."""
        self._calls.clear()
        self._lent.clear()
        self._most_lent.clear()

    def take(self, work: Work, shard: Shard, resources: Amounts, now_us: int) -> None:
        """A work of a shard has taken a slot, and holds so much."""
        refs = {AttemptRef(attempt.task, attempt.fence) for attempt in work.attempts}
        call = Call(work.lane, shard.concurrency_key, refs, now_us, shard, resources)
        self._calls.update(dict.fromkeys(refs, call))

    def hear(self, reports: Iterable[Report]) -> None:
        """Reports that a committed step has taken."""
        self.yielded = 0
        for report in reports:
            if isinstance(report, Yielded):
                call = self._calls.get(AttemptRef(report.task, report.fence))
                if call is not None:
                    call.aside = True
                    self.yielded += 1
            elif isinstance(report, AtHand):
                name = report.lane, report.handler
                self._most_lent[name] = max(self._most_lent.get(name, 0), self._lent.get(name, 0), report.rows)
                self._lent[name] = report.rows
            elif isinstance(report, WorkerLost):
                for ref in report.held:
                    self._leave(ref)
            elif isinstance(report, (Freed, Unbegun)) or (isinstance(report, Ended) and report.freed):
                self._leave(AttemptRef(report.task, report.fence))

    def taken(self) -> Counter[str]:
        """Slots taken by lane."""
        return Counter(call.lane for call in set(self._calls.values()) if not call.aside)

    def resume(self, resumed: Iterable[Resumed]) -> None:
        """Calls that yielded go on."""
        for ref, _ in resumed:
            call = self._calls.get(ref)
            if call is not None:
                require(call.aside, Check.SLOTS, "{} goes on and did not stop", ref)
                call.aside = False

    def room(self, lane: LaneSpec, grade: int) -> int:
        """How many slots of a lane a class of work may still take."""
        calls = [call.shard.grade for call in set(self._calls.values()) if call.lane == lane.name and not call.aside]
        kept = [lane.reserved.get(GRADES[above], 0) - calls.count(above) for above in range(grade + 1, len(GRADES))]
        return lane.slots - len(calls) - sum(max(0, each) for each in kept)

    def under(self, scope: str) -> Iterator[Call]:
        """The calls of a lane, handler, tenant or concurrency key."""
        kind, _, name = scope.partition(":")
        for call in dict.fromkeys(self._calls.values()):
            shard = call.shard
            names = {"lane": call.lane, "handler": shard.handler, "tenant": shard.tenant, "key": shard.concurrency_key}
            if names[kind] == name:
                yield call

    def keyed(self, key: str) -> int:
        """Attempts that run under a concurrency key."""
        return sum(call.key == key for call in self._calls.values())

    def silent(self, running: Sequence[AttemptRef], before_us: int) -> list[list[AttemptRef]]:
        """The attempts, call by call, that the engine does not know although they left before the time."""
        known = set(running)
        calls = [call for call in dict.fromkeys(self._calls.values()) if call.since_us < before_us]
        return [gone for call in calls if (gone := sorted(call.left - known))]

    def check(self, slots: Slots, lanes: Mapping[str, LaneSpec], running: Sequence[AttemptRef]) -> None:
        """The core counts as this does; what the engine runs of it sits somewhere."""
        taken = self.taken()
        for lane in lanes.values():
            free = max(0, lane.slots - taken[lane.name])
            require(
                slots.free(lane.name) == free,
                Check.SLOTS,
                "{}: the core has {} free, not {}",
                lane.name,
                slots.free(lane.name),
                free,
            )
        require(slots.taken() == taken.total(), Check.SLOTS, "the core has {} taken, not {}", slots.taken(), taken)
        for key in {call.key for call in self._calls.values() if call.key}:
            require(
                slots.key_taken(key) == self.keyed(key),
                Check.KEYS,
                "{}: {}, not {}",
                key,
                slots.key_taken(key),
                self.keyed(key),
            )
        for ref in running:
            call = self._calls.get(ref)
            require(call is None or ref in call.left, Check.SLOTS, "{} runs and its slot is free", ref)

    def check_room(self, work: Work, slots: int, rows: int, *, lasting: bool) -> bool:
        """What has just taken a slot found one, or may wait beyond them, where `rows` are a full work.

        `lasting`: it has no time to expire. True: it waits.
        """
        lent = self._most_lent.get((work.lane, work.handler), 0) // rows
        room = slots + (lent if lasting and not work.at_most_once else 0)
        taken = self.taken()[work.lane]
        require(taken <= room, Check.SLOTS, "{}: {} of {} and {} beyond", work, taken, slots, lent)
        return taken > slots

    def check_started(self, keys: Iterable[str]) -> None:
        """What has just started is within the limits of its keys."""
        self._most_lent = dict(self._lent)
        for key in keys:
            if key:
                require(
                    self.keyed(key) <= limit_of(key),
                    Check.KEYS,
                    "{}: {} of {}",
                    key,
                    self.keyed(key),
                    limit_of(key),
                )

    def _leave(self, ref: AttemptRef) -> None:
        call = self._calls.pop(ref, None)
        if call is not None:
            call.left.discard(ref)
