"""What is measured, what it is held against, and how runs become one figure."""

from statistics import median
from typing import Final

import msgspec

Values = dict[str, list[float]]
"""Measured values by key: one of each run."""


class Figure(msgspec.Struct, frozen=True):
    """One number of a measure. `floor` is what it must reach (`at_most`: must not exceed); None: told, not judged."""

    key: str
    says: str
    unit: str
    floor: float | None = None
    at_most: bool = False


class Measure(msgspec.Struct, frozen=True):
    """A module of `benchmarks.measures` with its sizes, run in a fresh process for every run.

    `durable` False: no disk is involved. `postgres`: its ledger is on a server. `own_runs`: it makes its runs itself,
    in processes of its own. `beside` names the measure that every run of it is divided by.
    """

    name: str
    module: str
    figures: tuple[Figure, ...]
    size: dict[str, int | str]
    durable: bool = True
    postgres: bool = False
    own_runs: bool = False
    beside: str = ""


class Disk(msgspec.Struct, frozen=True):
    """What one fdatasync of the ledger's folder took beside a run, in ms."""

    p50_ms: float
    p99_ms: float


class Sample(msgspec.Struct):
    """What one process measured.

    `others_cores` is how many cores everyone else on the machine kept busy meanwhile; `pace_ns` what one step of a
    fixed Python loop took beside it, which tells a slow machine, or one that shares its cores, from a slow program.
    """

    values: Values
    disk: Disk | None = None
    others_cores: float | None = None
    pace_ns: float = 0.0
    wall_s: float = 0.0


class Verdict(msgspec.Struct):
    """One figure over all its runs; `ratio` above 1 is better than the floor."""

    measure: str
    key: str
    says: str
    unit: str
    runs: list[float]
    median: float
    low: float
    high: float
    floor: float | None
    at_most: bool
    ratio: float | None
    reached: bool | None
    disk: Disk | None
    others_cores: float | None
    pace_ns: float


def judge(measure: Measure, figure: Figure, samples: list[Sample]) -> Verdict | None:
    """The verdict over all runs; None when this figure was not measured."""
    runs = [value for sample in samples for value in sample.values.get(figure.key, ())]
    if not runs:
        return None
    middle = median(runs)
    ratio = reached = None
    if figure.floor is not None:
        reached = middle <= figure.floor if figure.at_most else middle >= figure.floor
        above, below = (figure.floor, middle) if figure.at_most else (middle, figure.floor)
        ratio = above / below if below > 0 else None
    others = [sample.others_cores for sample in samples if sample.others_cores is not None]
    return Verdict(
        measure.name,
        figure.key,
        figure.says,
        figure.unit,
        runs,
        middle,
        min(runs),
        max(runs),
        figure.floor,
        figure.at_most,
        ratio,
        reached,
        _disk(samples) if measure.durable else None,
        median(others) if others else None,
        median(sample.pace_ns for sample in samples),
    )


def share(runs: list[float], beside: list[float]) -> float | None:
    """The median over the runs of one figure divided by that of its companion in the same round."""
    pairs = [run / other for run, other in zip(runs, beside, strict=False) if other]
    return median(pairs) if pairs else None


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _disk(samples: list[Sample]) -> Disk | None:
    disks = [sample.disk for sample in samples if sample.disk is not None]
    if not disks:
        return None
    return Disk(median(disk.p50_ms for disk in disks), median(disk.p99_ms for disk in disks))


MS: Final = 1000.0
MIB: Final = 1 << 20
