"""What decides the order: policies, each of which gives a task its place from facts known when it comes in.

Places are in µs where they can be, so that they can be read: two tasks with the same place are worth the same.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from wsaios.kernel.task import PRIORITY_MAX, PRIORITY_MIN, clamp_priority

S: Final = 1_000_000
PRIORITIES: Final = PRIORITY_MAX - PRIORITY_MIN
_STEP_BITS: Final = 8
_MS: Final = 1000


class Facts(NamedTuple):
    """A task as a policy sees it when it gives the task its place.

    `enqueued_us` and `deadline_us` are µs UTC. `run_us` is how long its handler has taken lately, µs (0: never seen).
    `cost` is the part of its lane that it takes and `share` the part of all slot time that its tenant used lately, both
    in 0 … 1. `depth` is the longest chain of tasks that it waits for, `level` how often it used up its time.
    """

    priority: int
    enqueued_us: int
    deadline_us: int | None = None
    run_us: int = 0
    cost: float = 0.0
    depth: int = 0
    share: float = 0.0
    level: int = 0


class FairShare(msgspec.Struct, frozen=True):
    """Tenants take turns by what each has had, as its weight allows (1 unless given here)."""

    weights: dict[str, float] = {}


class Policy(Protocol):
    """A pure function from facts to a place. A place is fixed at intake, stored, and orders a shard.

    Time may enter it only linearly: what all places grow by together changes no order and is never written.
    """

    def key(self, facts: Facts) -> int:
        """The place of a task within its shard; smaller first, an int64."""

    def longest_wait_us(self) -> int:
        """By how much a younger task can have been enqueued and still go first."""


Plain = Callable[[int, int], int]
"""Priority and time accepted in, place out: for policies that ask for nothing else. Every task meets it."""


class Fcfs(msgspec.Struct, frozen=True, tag="fcfs", tag_field="policy"):
    """First come, first served: place = time accepted. Priority counts for nothing; nothing overtakes."""

    def key(self, facts: Facts) -> int:
        """When it was accepted."""
        return facts.enqueued_us

    def longest_wait_us(self) -> int:
        """Nothing younger goes first."""
        return 0

    def plain(self) -> Plain:
        """The same from priority and time alone."""
        return lambda _, enqueued_us: enqueued_us


class Priority(msgspec.Struct, frozen=True, tag="priority", tag_field="policy"):
    """Larger priority first; a point of it is worth `point_s` of waiting: place = time accepted − priority × point_s.

    Linear ageing: base − rate × time accepted never changes, so that nothing is sorted again as time goes by.
    """

    point_s: float = 600.0

    def key(self, facts: Facts) -> int:
        """Clamped to PRIORITY_MIN … PRIORITY_MAX before use."""
        return facts.enqueued_us - clamp_priority(facts.priority) * int(self.point_s * S)

    def longest_wait_us(self) -> int:
        """(p_max − p_min) × point_s: what comes in later than that stands behind it, whatever it is."""
        return PRIORITIES * int(self.point_s * S)

    def plain(self) -> Plain:
        """The same from priority and time alone."""
        point_us = int(self.point_s * S)
        return lambda priority, enqueued_us: enqueued_us - clamp_priority(priority) * point_us


class Multifactor(msgspec.Struct, frozen=True, tag="multifactor", tag_field="policy"):
    """A weighted sum of what speaks for a task, each in 0 … 1, against its age.

    score = w_u × urgency + w_r × (1 − cost) + w_d × depth / max_depth + w_s × slack + w_f × (1 − share)
    place = time accepted − score / w_a × age_s

    urgency: (priority + 100) / 200. cost: the part of the lane's capacity that it takes. depth: the longest chain of
    tasks behind it. slack: 1 at its deadline, 0 when that is `slack_s` away or there is none. share: the part of the
    slot time that its tenant used lately. The age, linear and without an end, is worth w_a for every `age_s`.
    As Slurm's multifactor plugin adds them up, but with an age that does not stop at a maximum.
    """

    urgency: float = 0.5
    resource: float = 0.3
    depth: float = 0.2
    slack: float = 0.0
    share: float = 0.0
    age: float = 1.0
    age_s: float = 3600.0
    slack_s: float = 3600.0
    max_depth: float = 10.0

    def score(self, facts: Facts) -> float:
        """What speaks for the task but its age."""
        late_us = 0.0
        if facts.deadline_us is not None:
            late_us = 1.0 - (facts.deadline_us - facts.run_us - facts.enqueued_us) / (self.slack_s * S)
        return (
            self.urgency * (clamp_priority(facts.priority) - PRIORITY_MIN) / PRIORITIES
            + self.resource * (1.0 - _part(facts.cost))
            + self.depth * _part(facts.depth / self.max_depth)
            + self.slack * _part(late_us)
            + self.share * (1.0 - _part(facts.share))
        )

    def key(self, facts: Facts) -> int:
        """The time accepted, less what the score is worth in time."""
        return facts.enqueued_us - round(self.score(facts) / self.age * self.age_s * S)

    def longest_wait_us(self) -> int:
        """The whole span of the score, in time."""
        span = self.urgency + self.resource + self.depth + self.slack + self.share
        return round(span / self.age * self.age_s * S) + 1


class Deadline(msgspec.Struct, frozen=True, tag="deadline", tag_field="policy"):
    """Least slack first: place = deadline − how long its handler has taken lately; then the larger priority.

    Slack is deadline − now − run time, and now is the same for all: so the order of what must start by when is the
    order of slack, those that are late already in front. A task without a deadline, or with one further away, is
    treated as if it were due `horizon_s` after it came in; one that is late when it comes in, as due then.
    """

    horizon_s: float = 86_400.0

    def key(self, facts: Facts) -> int:
        """In ms, with the priority in the lowest bits."""
        came, due = facts.enqueued_us, facts.enqueued_us + int(self.horizon_s * S)
        if facts.deadline_us is not None:
            due = min(due, facts.deadline_us)
        latest_ms = max(came, due - facts.run_us) // _MS
        return (latest_ms << _STEP_BITS) + PRIORITY_MAX - clamp_priority(facts.priority)

    def longest_wait_us(self) -> int:
        """What comes in after a task had to start stands behind it."""
        return int(self.horizon_s * S) + _MS


class Mlfq(msgspec.Struct, frozen=True, tag="mlfq", tag_field="policy"):
    """Multi-level feedback: who used up the time of his level sinks to the next one, which is longer.

    `quanta_ms` are the times of the levels in ms, the top one first; a new task enters at the top. Within a level the
    order is that of coming in. Every `boost_s` all that waits counts as being at the top: place = (period, level, time
    within the period), where the period counts the boosts.
    """

    quanta_ms: tuple[float, ...] = (4.0, 8.0, 16.0)
    boost_s: float = 1.0

    def key(self, facts: Facts) -> int:
        """Period, level and time in one number."""
        span, levels = int(self.boost_s * S), len(self.quanta_ms)
        period, within = divmod(facts.enqueued_us, span)
        return (period * levels + min(facts.level, levels - 1)) * span + within

    def longest_wait_us(self) -> int:
        """What comes in after the next boost stands behind it."""
        return int(self.boost_s * S)

    def quantum_us(self, level: int) -> int:
        """How long a call of a level runs until it lets others go first; at the lowest one they take turns."""
        return int(self.quanta_ms[min(level, len(self.quanta_ms) - 1)] * _MS)

    def again(self, key: int, used_us: int, now_us: int) -> int:
        """The place of a task that had a slot for `used_us` from the place `key` on, and comes to run again.

        It keeps its place unless it used up the time of its level: then it stands behind what is there now, as many
        levels lower as its time makes.
        """
        span, levels = int(self.boost_s * S), len(self.quanta_ms)
        period, was = divmod(key // span, levels)
        level = was = was if period == now_us // span else 0
        while level < levels and used_us >= self.quantum_us(level):
            used_us -= self.quantum_us(level)
            level += 1
        return key if level == was else self.key(Facts(0, now_us, level=level))


AnyPolicy = Fcfs | Priority | Multifactor | Deadline | Mlfq


class Ordering(msgspec.Struct, frozen=True):
    """What starts next, as the ledger keeps it: the policy, and whether tenants share (None: they do not matter)."""

    policy: AnyPolicy = Priority()
    fair: FairShare | None = None


PROFILES: Final[dict[str, AnyPolicy]] = {
    "fcfs": Fcfs(),
    "priority": Priority(),
    "balanced": Multifactor(),
    "response": Multifactor(urgency=0.6, resource=0.2, depth=0.2),
    "resource": Multifactor(urgency=0.3, resource=0.5, depth=0.2),
    "multifactor": Multifactor(),
    "deadline": Deadline(),
    "mlfq": Mlfq(),
}
"""Policies by name; ``multifactor`` is another name of its profile ``balanced``."""


def _part(value: float) -> float:
    return min(1.0, max(0.0, value))
