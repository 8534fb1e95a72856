"""What may start in a lane: tenants in turn by their weights, and slots that are kept for classes of work."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.policy import FairShare, Fcfs, Ordering
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, HandlerSpec, LaneSpec, Shard, Task, effective

LANE = "default"


class Rig:
    """An executor with a lane of some slots, and a clock that is moved by hand."""

    def __init__(self, slots: int, fair: FairShare | None = None, reserved: dict[str, int] | None = None) -> None:
        self.executor = TaskExecutor(Ordering(Fcfs(), fair))
        self.executor.lane(LaneSpec(LANE, slots, reserved=reserved or {}))
        self.executor.handler(HandlerSpec("work", LANE))
        self.shards: dict[tuple[str, int], Shard] = {}
        self.number = 0
        self.running: list[tuple[tuple[int, int], str, int]] = []

    def submit(self, tenant: str, count: int = 1, grade: int = 1, at_us: int = 0) -> None:
        shard = self.shards.get((tenant, grade))
        if shard is None:
            shard = Shard(len(self.shards) + 1, "", tenant, "work", 0, "", grade)
            self.shards[tenant, grade] = shard
        for _ in range(count):
            self.number += 1
            body = Body(at_us, history=[(State.READY, at_us, 1, None)])
            key = self.executor.place(shard, body, at_us)
            self.executor.offer(Task(self.number, shard.id, State.READY, 1, key, None, None, body), shard)

    def start(self, now_us: int) -> list[tuple[str, int]]:
        """Start whatever may start; who it was, with the class."""
        started = []
        while self.executor.slots.free(LANE):
            window = self.executor.choose(LANE)
            if window is None:
                break
            until, most = self.executor.span(LANE, "work")
            free = self.executor.slots.free(LANE)
            for task in window.run(free if most is None else min(free, most), until, now_us):
                task.state = State.RUNNING
                self.executor.slots.take(LANE, window.shard, [(task.id, 1)], effective(None, None), now_us)
                self.running.append(((task.id, 1), window.shard.tenant, window.shard.grade))
                started.append((window.shard.tenant, window.shard.grade))
        return started

    def end(self, place: int, now_us: int) -> str:
        ref, tenant, _ = self.running.pop(place)
        self.executor.slots.leave(ref, now_us)
        return tenant


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=2), st.integers(1, 4))
def test_tenants_that_always_wait_get_slots_by_their_weights(weights: dict[str, int], slots: int) -> None:
    rig = Rig(slots, FairShare({tenant: float(weight) for tenant, weight in weights.items()}))
    for tenant in weights:
        rig.submit(tenant, 600)
    served: Counter[str] = Counter()
    for turn in range(1, 401):
        rig.start(turn * 1000)
        served[rig.end(0, (turn + 1) * 1000)] += 1
    total = sum(weights.values())
    for tenant, weight in weights.items():
        assert abs(served[tenant] - 400 * weight / total) <= 2 * slots + weight + 2, (served, weights)


def test_a_flood_of_one_tenant_does_not_hide_the_single_task_of_another() -> None:
    rig = Rig(1, FairShare())
    rig.submit("flood", 1000)
    assert rig.start(0) == [("flood", 1)]
    rig.submit("late", 1, at_us=50)
    rig.end(0, 100)
    assert rig.start(100) == [("late", 1)]


def test_idleness_is_no_credit() -> None:
    rig = Rig(1, FairShare())
    rig.submit("busy", 500)
    for turn in range(200):
        rig.start(turn * 1000)
        rig.end(0, (turn + 1) * 1000)
    rig.submit("back", 100)
    served: Counter[str] = Counter()
    for turn in range(200, 240):
        rig.start(turn * 1000)
        served[rig.end(0, (turn + 1) * 1000)] += 1
    assert abs(served["back"] - served["busy"]) <= 2


def test_long_calls_count_for_more_than_short_ones() -> None:
    rig = Rig(1, FairShare())
    rig.submit("long", 300)
    rig.submit("short", 300)
    had: Counter[str] = Counter()
    now = 0
    for _ in range(200):
        rig.start(now)
        tenant = rig.running[0][1]
        spent = 9000 if tenant == "long" else 1000
        now += spent
        rig.end(0, now)
        had[tenant] += spent
    assert abs(had["long"] - had["short"]) <= 20_000


def test_slots_that_are_kept_stay_free_for_their_class() -> None:
    rig = Rig(4, reserved={"interactive": 2})
    rig.submit("a", 10, grade=0)
    assert rig.start(0) == [("a", 0)] * 2
    assert rig.executor.slots.free(LANE) == 2
    rig.submit("a", 3, grade=2)
    assert rig.start(0) == [("a", 2)] * 2
    rig.end(0, 10)
    # The slot that bulk work left is nobody's own: what stands first takes it, and that is the older bulk row.
    assert rig.start(10) == [("a", 0)]
    rig.end(0, 20)
    assert [grade for _, _, grade in rig.running] == [2, 2, 0]


@given(st.lists(st.tuples(st.sampled_from("se"), st.integers(0, 2)), max_size=60), st.integers(0, 3), st.integers(0, 3))
def test_no_class_takes_what_is_kept_for_those_above(
    steps: list[tuple[str, int]], interactive: int, default: int
) -> None:
    kept = {2: interactive, 1: default}
    rig = Rig(7, reserved={"interactive": interactive, "default": default})
    now = 0
    for what, grade in steps:
        now += 10
        if what == "s":
            rig.submit("a", 1, grade, now)
        elif rig.running:
            rig.end(grade % len(rig.running), now)
        before = Counter(each for _, _, each in rig.running)
        for _, started in rig.start(now):
            before[started] += 1
            unused = sum(max(0, kept.get(above, 0) - before[above]) for above in range(started + 1, 3))
            assert 7 - before.total() >= unused
        running = Counter(each for _, _, each in rig.running)
        waiting = {window.shard.grade for window in rig.executor.windows.values() if window.head() is not None}
        for each in waiting:
            unused = sum(max(0, kept.get(above, 0) - running[above]) for above in range(each + 1, 3))
            assert 7 - running.total() <= unused
