"""Replays: the order of the core, held against one that is worked out by brute force."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from wsaios.kernel.events import Effects
from wsaios.kernel.policy import PROFILES, AnyPolicy, Facts, FairShare, Fcfs, Ordering, Priority
from wsaios.scheduler.core import Core
from wsaios.simulation import lean
from wsaios.simulation.clock import START_US
from wsaios.simulation.figures import result, spread
from wsaios.simulation.page import page
from wsaios.simulation.replay import Replay, Run, Setting
from wsaios.simulation.trace import Job, Reading, Trace, adjusted
from wsaios.simulation.trace_files import read_trace

DATA = Path(__file__).parents[4] / "shared" / "data"
INSTANCES = DATA / "wfinstances"


def random_trace(seed: int, count: int = 200) -> Trace:
    rng = Random(seed)
    jobs, at_us = [], START_US
    for _ in range(count):
        at_us += rng.choice((0, rng.randrange(1, 20_000)))
        grade = rng.choice(("short", "long"))
        service = rng.randrange(1, 4_000 if grade == "short" else 60_000)
        due = at_us + rng.randrange(100_000)
        tenant = rng.choice(("acme", "globex"))
        jobs.append(Job(at_us, service, grade, rng.choice((-60, 0, 0, 7, 60)), tenant, due, grade))
    return Trace("random", "table", jobs)


def random_graph(seed: int, count: int = 60) -> Trace:
    rng = Random(seed)
    jobs: list[Job] = []
    depths: list[int] = []
    for place in sorted(range(count), key=lambda place: place // 12):
        above = [other for other in range(len(jobs)) if depths[other] == place // 12 - 1]
        parents = tuple(sorted(rng.sample(above, min(len(above), rng.randrange(1, 4))))) if above else ()
        depths.append(place // 12)
        jobs.append(Job(START_US, rng.randrange(1, 50_000), handler=f"level {place // 12}", parents=parents))
    return Trace("graph", "workflow", jobs)


def by_hand(trace: Trace, policy: AnyPolicy, slots: int) -> list[int]:
    """Every moment at which something arrives or ends: as many of the best as there are slots."""
    waiting, order = list(enumerate(trace.jobs)), []
    ends: list[int] = []
    now_us = trace.jobs[0].arrival_us
    while waiting:
        ends = [at_us for at_us in ends if at_us > now_us]
        here = [each for each in waiting if each[1].arrival_us <= now_us]
        here.sort(key=lambda each: (policy.key(Facts(each[1].priority, each[1].arrival_us)), each[0]))
        for place, job in here[: slots - len(ends)]:
            order.append(place)
            ends.append(now_us + job.service_us)
            waiting.remove((place, job))
        later = [job.arrival_us for _, job in waiting if job.arrival_us > now_us]
        now_us = min(later + ends)
    return order


def replay(trace: Trace, policy: AnyPolicy, slots: int = 3, *, fair: bool = False, preempt: bool = False) -> Run:
    return Replay(trace, Ordering(policy, FairShare() if fair else None), Setting(slots, preempt=preempt)).run()


@pytest.mark.parametrize("policy", [Fcfs(), Priority(point_s=0.002), Priority()])
@pytest.mark.parametrize("seed", range(8))
def test_the_order_is_that_of_brute_force(seed: int, policy: AnyPolicy) -> None:
    trace = random_trace(seed)
    slots = 1 + seed % 4
    assert list(replay(trace, policy, slots).order) == by_hand(trace, policy, slots)


def test_a_backlog_that_does_not_fit_into_memory_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "_SLACK", 100)
    rng = Random(5)
    jobs = [Job(START_US + place // 40, 1000, priority=rng.randrange(-40, 40)) for place in range(9000)]
    trace, policy = Trace("deep", "table", jobs), Priority()
    first = list(replay(trace, policy, 1).order)
    keys = [(policy.key(Facts(jobs[place].priority, jobs[place].arrival_us)), place) for place in first[400:]]
    assert sorted(first) == list(range(9000))
    assert keys == sorted(keys)


def test_a_flipped_comparison_in_a_policy_changes_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = random_trace(3)
    before = list(replay(trace, Priority(), 2).order)

    def flipped(_: Priority) -> Callable[[int, int], int]:
        return lambda priority, enqueued_us: enqueued_us + priority * 600_000_000

    monkeypatch.setattr(Priority, "plain", flipped)
    assert list(replay(trace, Priority(), 2).order) != before


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.parametrize("name", PROFILES)
def test_nobody_is_asked_to_make_room_in_turns_for_ever(name: str, fair: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, step = 0, Core.step

    def counted(core: Core, *rest: Any) -> Effects:
        nonlocal steps
        steps += 1
        assert steps < 10_000, "the same calls give their slots to each other"
        return step(core, *rest)

    monkeypatch.setattr(Core, "step", counted)
    for seed in range(8):
        trace, steps = random_trace(seed), 0
        assert sorted(replay(trace, PROFILES[name], 1 + seed % 4, fair=fair, preempt=True).order) == [
            *range(len(trace.jobs))
        ]


@pytest.mark.parametrize("name", PROFILES)
def test_the_same_seed_gives_the_same_bytes_and_everything_ends_in_its_own_time(name: str) -> None:
    trace = random_trace(11)
    runs = [replay(trace, PROFILES[name], fair=True, preempt=True) for _ in range(2)]
    pages = [page(trace, 3, [result(name, trace, run, 3)], [run]) for run in runs]
    assert pages[0] == pages[1]
    assert runs[0].order.tobytes() == runs[1].order.tobytes()
    assert sorted(runs[0].order) == list(range(len(trace.jobs)))
    turns = runs[0].turns
    held = sum(turns[place + 1] - turns[place] for place in range(0, len(turns), 2))
    assert held == sum(job.service_us for job in trace.jobs)
    for job, start_us, end_us in zip(trace.jobs, runs[0].start_us, runs[0].end_us, strict=True):
        assert start_us >= job.arrival_us
        assert end_us - start_us >= job.service_us
    marks = sorted((turns[place], 1 - 2 * (place % 2)) for place in range(len(turns)) if turns[place])
    taken = 0
    for _, change in sorted(marks, key=lambda mark: (mark[0], mark[1])):
        taken += change
        assert taken <= 3


def test_preemption_and_quanta_are_counted() -> None:
    long, short = Job(START_US, 10_000, priority=-60), Job(START_US + 3000, 1000, priority=60)
    trace = Trace("two", "table", [long, short])
    assert replay(trace, Priority(), 1).yields == 0
    run = replay(trace, Priority(), 1, preempt=True)
    assert (run.yields, list(run.end_us)) == (1, [START_US + 11_000, START_US + 4000])
    assert replay(Trace("one", "table", [long]), PROFILES["mlfq"], 1).yields >= 1


@pytest.mark.parametrize("name", ["fcfs", "balanced", "mlfq"])
@pytest.mark.parametrize("seed", range(6))
def test_a_graph_runs_in_a_valid_order_between_its_bounds(seed: int, name: str) -> None:
    trace = random_graph(seed)
    assert broken_rules(trace, replay(trace, PROFILES[name], 4), 4) == []


def broken_rules(trace: Trace, run: Run, slots: int) -> list[str]:
    """What no order of a graph may do, and this one does."""
    broken = [] if sorted(set(run.order)) == list(range(len(trace.jobs))) else ["not everything started"]
    path: list[int] = []
    for place, job in enumerate(trace.jobs):
        before = max((path[parent] for parent in job.parents), default=0)
        path.append(before + job.service_us)
        early = [parent for parent in job.parents if run.end_us[parent] > run.start_us[place]]
        broken += [f"{place} started before {parent} had ended" for parent in early]
    work = sum(job.service_us for job in trace.jobs)
    made = max(run.end_us) - trace.jobs[0].arrival_us
    # Graham (1969): any order without idle slots stays below work / N + critical path × (1 − 1 / N).
    if not max(*path, work / slots) <= made <= work / slots + max(path):
        broken.append(f"{made} µs are not between the bounds")
    return broken


def test_an_order_that_no_graph_may_have_is_named() -> None:
    first, second = Job(START_US, 1000), Job(START_US, 3000, parents=(0,))
    trace = Trace("two", "workflow", [first, second])
    run = replay(trace, Fcfs(), 2)
    assert broken_rules(trace, run, 2) == []
    run.start_us[1], run.end_us[1] = START_US + 500, START_US + 3500
    assert broken_rules(trace, run, 2) == ["1 started before 0 had ended", "3500 µs are not between the bounds"]


@pytest.mark.skipif(not INSTANCES.is_dir(), reason="the public traces are not here")
def test_every_public_workflow_runs_in_a_valid_order() -> None:
    found = {}
    for file in sorted(INSTANCES.glob("*.json")):
        trace = adjusted(read_trace(str(file), Reading()), Reading())
        found[file.name] = broken_rules(trace, replay(trace, Fcfs(), 16), 16)
    assert found
    assert [name for name, broken in found.items() if broken] == []


def test_figures_of_a_trace_that_can_be_worked_out() -> None:
    first = Job(START_US, 2_000_000, "a", tenant="x", deadline_us=START_US + 2_000_000)
    second = Job(START_US, 1_000_000, "b", tenant="y", deadline_us=START_US + 2_000_000)
    trace = Trace("two", "table", [first, second])
    found = result("fcfs", trace, replay(trace, Fcfs(), 1), 1, slo_ms=2000)
    everything, a, b = found.classes
    assert (everything.grade, a.grade, b.grade) == ("all", "a", "b")
    assert (b.wait_s.mean, b.completion_s.mean, b.slowdown.mean) == (2.0, 3.0, 3.0)
    assert (everything.deadlines, everything.deadlines_met, everything.within_slo) == (2, 1, 1)
    assert (found.makespan_s, found.bound_s, found.utilisation) == (3.0, 3.0, 1.0)
    assert found.fairness == pytest.approx(16 / (2 * (1 + 9)))


def test_percentiles_are_of_the_nearest_rank() -> None:
    found = spread(range(1, 101))
    assert (found.mean, found.p50, found.p95, found.p99, found.longest) == (50.5, 50, 95, 99, 100)
    assert spread([7.0]).p99 == 7.0


def test_tenants_that_share_take_turns() -> None:
    jobs = [Job(START_US, 1000, tenant="a") for _ in range(50)] + [Job(START_US, 1000, tenant="b") for _ in range(50)]
    trace = Trace("shared", "table", jobs)
    plain, fair = (replay(trace, Fcfs(), 1, fair=fair) for fair in (False, True))
    assert sum(place >= 50 for place in plain.order[:50]) == 0
    assert 20 <= sum(place >= 50 for place in fair.order[:50]) <= 30


def test_whoever_uses_up_the_time_of_his_level_sinks_to_the_next_one() -> None:
    turns = replay(Trace("one", "table", [Job(START_US, 30_000)]), PROFILES["mlfq"], 1).turns
    assert [turns[place + 1] - turns[place] for place in range(0, 6, 2)] == [4000, 8000, 16_000]
