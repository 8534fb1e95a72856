"""What a replay is worth: waits, completions, deadlines and fairness, by class of work."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final

import msgspec

from wsaios.simulation.replay import Run
from wsaios.simulation.trace import S, Trace

ALL: Final = "all"


class Spread(msgspec.Struct, frozen=True):
    """Of a list of numbers; percentiles are the smallest value that so many percent do not exceed."""

    mean: float
    p50: float
    p95: float
    p99: float
    longest: float


class Figures(msgspec.Struct, frozen=True):
    """Of one class. Times in seconds; `slowdown` is completion by service time. None: nobody asked."""

    grade: str
    count: int
    wait_s: Spread
    completion_s: Spread
    slowdown: Spread
    deadlines: int
    deadlines_met: int
    within_slo: int | None


class Result(msgspec.Struct, frozen=True):
    """Of one policy. `fairness` is Jain's index of the mean slowdowns of the tenants: 1 when all are alike.

    `makespan_s` is from the first arrival to the last end, `bound_s` what no order can be below: the last arrival with
    its service, the longest chain, and all work divided by the slots.
    """

    policy: str
    classes: list[Figures]
    fairness: float
    utilisation: float
    preemptions: int
    makespan_s: float
    bound_s: float


class Waits(msgspec.Struct):
    """Wait, completion and service of each job, µs, by its place in the trace."""

    wait: list[int]
    completion: list[int]
    ready: list[int]


def waits(trace: Trace, run: Run) -> Waits:
    """Completion counts from when a job could have begun: its arrival, or the end of the last one it waits for.

    The wait is the part of it in which it had no slot.
    """
    found = Waits([], [], [])
    for job, end_us in zip(trace.jobs, run.end_us, strict=True):
        ready = max([job.arrival_us, *(run.end_us[parent] for parent in job.parents)])
        found.ready.append(ready)
        found.completion.append(end_us - ready)
        found.wait.append(end_us - ready - job.service_us)
    return found


def result(policy: str, trace: Trace, run: Run, slots: int, slo_ms: float | None = None) -> Result:
    """The figures of one replay."""
    seen = waits(trace, run)
    grades = sorted({job.grade for job in trace.jobs})
    everything = range(len(trace.jobs))
    classes = [_figures(ALL, everything, trace, run, seen, slo_ms)]
    if len(grades) > 1 and not trace.linked:
        for grade in grades:
            places = [place for place in everything if trace.jobs[place].grade == grade]
            classes.append(_figures(grade, places, trace, run, seen, slo_ms))
    first = min(job.arrival_us for job in trace.jobs)
    last = max(run.end_us)
    work = sum(job.service_us for job in trace.jobs)
    latest = max(job.arrival_us + job.service_us for job in trace.jobs) - first
    span = last - first
    return Result(
        policy,
        classes,
        _fairness(trace, seen),
        work / (slots * span) if span else 0.0,
        run.yields,
        span / S,
        max(latest, trace.path_us, work / slots) / S,
    )


def _figures(grade: str, places: Sequence[int], trace: Trace, run: Run, seen: Waits, slo_ms: float | None) -> Figures:
    jobs = trace.jobs
    due = [(jobs[place].deadline_us, run.end_us[place]) for place in places]
    dated = [(at, end) for at, end in due if at is not None]
    within = None if slo_ms is None else sum(seen.completion[place] <= slo_ms * 1000 for place in places)
    return Figures(
        grade,
        len(places),
        spread(seen.wait[place] / S for place in places),
        spread(seen.completion[place] / S for place in places),
        spread(_slowdown(seen.completion[place], jobs[place].service_us) for place in places),
        len(dated),
        sum(end <= at for at, end in dated),
        within,
    )


def spread(values: Iterable[float]) -> Spread:
    """Mean and percentiles, by the nearest rank."""
    ordered = sorted(values)

    def part(percent: int) -> float:
        return round(ordered[ceil(len(ordered) * percent / 100) - 1], 6)

    return Spread(round(sum(ordered) / len(ordered), 6), part(50), part(95), part(99), round(ordered[-1], 6))


def _slowdown(completion_us: int, service_us: int) -> float:
    # A call shorter than a millisecond counts as one: or those that take no time would be all that is seen.
    return max(1.0, completion_us / max(service_us, 1000))


def _fairness(trace: Trace, seen: Waits) -> float:
    """Source: Jain, Chiu and Hawe, DEC-TR-301 (1984): (Σx)² / (n Σx²)."""
    tenants: dict[str, list[float]] = {}
    for job, completion in zip(trace.jobs, seen.completion, strict=True):
        tenants.setdefault(job.tenant, []).append(_slowdown(completion, job.service_us))
    means = [sum(each) / len(each) for each in tenants.values()]
    return sum(means) ** 2 / (len(means) * sum(mean * mean for mean in means))
