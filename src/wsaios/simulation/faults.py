"""What may go wrong between the scheduler and its workers, and how often."""

from collections import Counter
from enum import StrEnum
from random import Random

import msgspec


class Fault(StrEnum):
    """A kind of fault; each is a field of `FaultPlan`."""

    REJECT = "reject"
    UNKNOWN = "unknown"
    LOSE_SUBMIT = "lose_submit"
    LOSE_CANCEL = "lose_cancel"
    LOSE_REPORT = "lose_report"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    REORDER = "reorder"
    STALE = "stale"
    DIE = "die"
    DIE_GROUP = "die_group"
    CRASH_BATCH = "crash_batch"
    TIME_OUT = "time_out"
    STUCK = "stuck"
    FAIL = "fail"
    RETRY_AFTER = "retry_after"
    GIVE_UP = "give_up"
    LEND = "lend"
    GIVE_BACK = "give_back"


class FaultPlan(msgspec.Struct, frozen=True):
    """How likely each fault is where it can happen, 0…1; the plan without arguments has none.

    Pipe: `reject` and `unknown` are receipts (what is unknown did arrive); `lose_submit`, `lose_cancel`, `lose_report`
    swallow; `duplicate` and `delay` meet single reports, `reorder` the order of those due together, `stale` adds an end
    under an earlier fence. Worker: `die` takes one work, `die_group` several at once, `crash_batch` a micro-batch.
    Handler: `time_out` hangs a work that has a time limit, `stuck` lets such a one outlive it; `fail`, `retry_after`,
    `give_up` are answers of one attempt. Lanes of processes: `lend` says that some calls may wait beyond the slots,
    `give_back` takes that back with the calls that do.
    """

    reject: float = 0.0
    unknown: float = 0.0
    lose_submit: float = 0.0
    lose_cancel: float = 0.0
    lose_report: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    stale: float = 0.0
    die: float = 0.0
    die_group: float = 0.0
    crash_batch: float = 0.0
    time_out: float = 0.0
    stuck: float = 0.0
    fail: float = 0.0
    retry_after: float = 0.0
    give_up: float = 0.0
    lend: float = 0.0
    give_back: float = 0.0


WILD = FaultPlan(
    reject=0.02,
    unknown=0.03,
    lose_submit=0.03,
    lose_cancel=0.1,
    lose_report=0.03,
    duplicate=0.1,
    delay=0.1,
    reorder=0.3,
    stale=0.2,
    die=0.03,
    die_group=0.02,
    crash_batch=0.1,
    time_out=0.1,
    stuck=0.3,
    fail=0.05,
    retry_after=0.03,
    give_up=0.02,
    lend=0.3,
    give_back=0.1,
)
"""A bad day: every fault happens within a few hundred attempts."""


class Dice:
    """Decides by seed and plan whether a fault happens, and counts those that do."""

    def __init__(self, rng: Random, plan: FaultPlan) -> None:
        self.rng = rng
        self.plan = plan
        self.counts: Counter[Fault] = Counter()

    def roll(self, fault: Fault) -> bool:
        """Whether `fault` happens now."""
        likely: float = getattr(self.plan, fault)
        happens = self.rng.random() < likely
        if happens:
            self.counts[fault] += 1
        return happens

    def span_us(self, least_us: int, most_us: int) -> int:
        """Some time between the two."""
        return self.rng.randint(least_us, most_us)
