"""What one seed runs: how bad the day is, how much there is to do, and how little memory there is for it."""

from random import Random
from typing import Final

import msgspec

from wsaios.kernel.policy import Deadline, Fcfs, Mlfq, Multifactor, Priority
from wsaios.kernel.task import HISTORY_KEPT, HandlerSpec, LaneSpec, Options
from wsaios.simulation.faults import WILD, FaultPlan

US_PER_POINT: Final = 50_000
"""A point of priority is worth 50 ms of waiting, so that ageing decides something within seconds."""

_FAST: Final = Options(backoff_initial_s=0.2, backoff_factor=2.0, backoff_max_s=1.0)
LANES: Final = (
    LaneSpec("default", 2),
    LaneSpec("narrow", 1, "process"),
    LaneSpec("thread", 2, "thread"),
    LaneSpec("wide", 2, "process"),
)
LATE_LANE: Final = LaneSpec("odd", 1)
HANDLERS: Final = (
    HandlerSpec("echo", "default", options=_FAST, preemptible=True),
    HandlerSpec("once", "default", options=Options(delivery="at_most_once", timeout_s=0.3)),
    HandlerSpec("slow", "thread", options=msgspec.structs.replace(_FAST, timeout_s=0.2, max_attempts=4)),
    HandlerSpec("sheet", "thread", 3, 0, msgspec.structs.replace(_FAST, timeout_s=0.3)),
    HandlerSpec("vector", "wide", 4, 20_000, msgspec.structs.replace(_FAST, timeout_s=0.3), preemptible=True),
    HandlerSpec("stray", "odd", options=_FAST),
    HandlerSpec("late", "narrow", 2, 5_000, _FAST, preemptible=True),
)
VARIANTS: Final = {
    "echo": (HANDLERS[0], msgspec.structs.replace(HANDLERS[0], lane="narrow")),
    "vector": tuple(msgspec.structs.replace(HANDLERS[4], batch_size=size) for size in (4, 4, 2, 1)),
    "late": tuple(
        msgspec.structs.replace(HANDLERS[6], lane=lane, max_wait_us=wait_us)
        for lane, wait_us in (("narrow", 5_000), ("wide", 1_000), (LATE_LANE.name, 5_000))
    ),
}
"""The next process, or the same one later, may know a handler in another lane or with another batch size."""
KEY_LIMITS: Final = {"one": 1, "two": 2}


POLICIES: Final = (
    Fcfs(),
    Priority(US_PER_POINT / 1e6),
    Priority(US_PER_POINT / 1e5),
    Multifactor(slack=0.5, share=0.5, age_s=0.5, slack_s=1.0),
    Deadline(horizon_s=0.5),
    Mlfq(boost_s=0.05),
)


def limit_of(key: str) -> int:
    """How many may run under a concurrency key; one that is met once stands for a million such keys."""
    return KEY_LIMITS.get(key, 1)


CALM: Final = FaultPlan(fail=0.05, retry_after=0.03, give_up=0.01, lend=0.5, give_back=0.05)
DEADLY: Final = FaultPlan(
    die=0.5, die_group=0.1, crash_batch=0.4, time_out=0.2, stuck=0.5, fail=0.2, stale=0.3, lend=0.5, give_back=0.1
)
FAILING: Final = FaultPlan(fail=0.5, retry_after=0.1, give_up=0.05)
LOSSY: Final = FaultPlan(
    reject=0.05,
    unknown=0.1,
    lose_submit=0.1,
    lose_report=0.1,
    lose_cancel=0.3,
    duplicate=0.3,
    delay=0.3,
    reorder=0.5,
    stale=0.5,
    crash_batch=0.2,
    lend=0.3,
    give_back=0.1,
)


class Scenario(msgspec.Struct, frozen=True):
    """Chances are per turn; `room` rows of a shard fit in memory, and `timers` of those that wait for a time."""

    name: str
    faults: FaultPlan = WILD
    commit_fault: float = 0.02
    death: float = 0.01
    takeover: float = 0.003
    restart: float = 0.005
    engine_survives: float = 0.5
    visit: float = 0.3
    split: float = 0.1
    overlap: float = 0.3
    prune: float = 0.02
    replay: float = 0.1
    busy: float = 0.25
    longest_us: int = 30_000
    room: int = 8
    timers: int = 4
    piece: int = 2
    purge_rows: int = 3
    downtime_us: int = 0
    lines: int = 6
    weights: dict[str, float] = {}

    @property
    def alarmed(self) -> bool:
        """Whether there are triggers."""
        return bool(self.weights.get("alarm"))


SCENARIOS: Final = (
    Scenario("wild"),
    Scenario("calm", faults=CALM, commit_fault=0.0, death=0.0, takeover=0.0, restart=0.0, busy=0.4),
    Scenario("deadly", faults=DEADLY, death=0.06, engine_survives=0.3, longest_us=400_000),
    Scenario("lossy", faults=LOSSY, commit_fault=0.05),
    Scenario("crowded", faults=CALM, busy=0.7, room=4, longest_us=5_000, weights={"submit": 60}),
    Scenario("batches", busy=0.4, death=0.02, weights={"batch": 60, "sweep": 8}),
    Scenario(
        "families", faults=FAILING, busy=0.4, replay=0.8, piece=1, weights={"submit": 40, "family": 40, "replay": 20}
    ),
    Scenario("verbs", faults=FAILING, busy=0.5, weights={"act": 60, "sweep": 4}),
    Scenario(
        "meanwhile",
        faults=CALM,
        overlap=0.9,
        busy=0.6,
        room=4,
        timers=512,
        death=0.003,
        longest_us=5_000,
        weights={"submit": 80, "act": 80, "batch": 4, "family": 0, "act on batch": 0, "act on lane": 0, "sweep": 0},
    ),
    Scenario(
        "orders",
        faults=CALM,
        busy=0.6,
        room=4,
        death=0.02,
        longest_us=20_000,
        weights={"submit": 60, "batch": 30, "order": 5, "resize": 5, "hold": 0.2},
    ),
    Scenario(
        "alarms",
        faults=CALM,
        busy=0.4,
        death=0.02,
        commit_fault=0.03,
        downtime_us=4_000_000,
        weights={"alarm": 80, "submit": 10, "batch": 5, "family": 2, "flow": 12, "signal": 3, "emit": 12},
    ),
    Scenario(
        "flows", faults=FAILING, busy=0.4, death=0.03, weights={"flow": 40, "flow verb": 25, "signal": 12, "emit": 12}
    ),
    Scenario(
        "limits",
        faults=CALM,
        busy=0.6,
        room=4,
        death=0.02,
        longest_us=20_000,
        weights={"submit": 60, "batch": 30, "limit": 5, "order": 0.2, "hold": 0.2},
    ),
    Scenario("roomy", room=4096, timers=512, piece=1000, purge_rows=10_000, lines=HISTORY_KEPT),
)


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    return SCENARIOS[Random(f"scenario {seed}").randrange(len(SCENARIOS))]
