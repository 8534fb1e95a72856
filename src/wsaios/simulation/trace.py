"""A recorded trace: what came in when, and how long it took."""

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from wsaios.kernel.errors import InputError
from wsaios.kernel.task import DEFAULT_TENANT

S: Final = 1_000_000
LONGEST_S: Final = 1e9
Progress = Callable[[int], None]


class Job(NamedTuple):
    """One call. `grade` names its class in the figures; `parents` are places of other jobs. Times are µs (UTC)."""

    arrival_us: int
    service_us: int
    grade: str = "all"
    priority: int = 0
    tenant: str = DEFAULT_TENANT
    deadline_us: int | None = None
    handler: str = "call"
    parents: tuple[int, ...] = ()


class Trace(msgspec.Struct):
    """Jobs by arrival; those that came at one instant as they were recorded. `path_us` is the longest chain of them."""

    name: str
    form: str
    jobs: list[Job]
    path_us: int = 0

    @property
    def linked(self) -> bool:
        """Whether some jobs wait for others."""
        return any(job.parents for job in self.jobs)


class Reading(msgspec.Struct, frozen=True):
    """How a trace is read.

    Service time of a request to a model, µs: `base_us` + `context_us` for each token read + `generated_us` for each one
    written. `by` parts requests at its median into the classes short and long. `priorities` and `deadlines_s` (after
    arrival) are for classes and replace what is recorded. `speed` multiplies the rate of arrival.
    """

    base_us: float = 10_000.0
    context_us: float = 150.0
    generated_us: float = 30_000.0
    by: str = "context"
    priorities: Mapping[str, int] = {}
    deadlines_s: Mapping[str, float] = {}
    speed: float = 1.0

    @property
    def changes(self) -> bool:
        """Whether anything of what was recorded is replaced."""
        return bool(self.speed != 1.0 or self.priorities or self.deadlines_s)


def adjusted(trace: Trace, reading: Reading) -> Trace:
    """The trace with what was asked for: rate of arrival, priorities and deadlines of classes.

    Raises:
        InputError: it has no jobs, or no class of that name.
    """
    if not trace.jobs:
        raise InputError(trace.name, "", "it holds no requests; check that it is the right file")
    known = {job.grade for job in trace.jobs}
    for grade in {*reading.priorities, *reading.deadlines_s} - known:
        raise InputError(trace.name, f"class {grade!r:.80}", f"there is none, only {', '.join(sorted(known))}")
    first = min(job.arrival_us for job in trace.jobs)
    jobs = []
    for job in trace.jobs if reading.changes else ():
        came = first + round((job.arrival_us - first) / reading.speed)
        due = None if job.deadline_us is None else came + job.deadline_us - job.arrival_us
        if job.grade in reading.deadlines_s:
            due = came + round(reading.deadlines_s[job.grade] * S)
        priority = reading.priorities.get(job.grade, job.priority)
        jobs.append(job._replace(arrival_us=came, deadline_us=due, priority=priority))
    jobs = jobs or trace.jobs
    if not trace.linked:
        jobs.sort(key=lambda job: job.arrival_us)
    return Trace(trace.name, trace.form, jobs, trace.path_us)


def span_us(text: object, source: str, where: str) -> int:
    """A time in seconds, as µs.

    Raises:
        InputError: it is none.
    """
    try:
        value = float(text)  # type: ignore[arg-type]  # whatever it is, it is told
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= LONGEST_S:
        raise InputError(source, where, f"must be seconds, a number from 0 to {LONGEST_S:g}, not {text!r:.80}")
    return round(value * S)
