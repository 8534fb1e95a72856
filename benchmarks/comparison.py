"""What the runs of several systems say beside one another."""

from statistics import median
from typing import Final

import msgspec

from benchmarks.contest import Outcome
from benchmarks.figures import Disk, share
from benchmarks.systems import ACROSS, IN_PROCESS, System

SURVIVES: Final = "acknowledged work survives a power cut"
LOSES: Final = "acknowledged work may be lost in a power cut"
MARK_SHARE: Final = 0.8


class Row(msgspec.Struct):
    """One system over all its runs, in tasks a second from the first submit to the last result.

    `ratio`: our row of the same shape (`beside`) divided by this one, round by round. `times_best`, on our rows: this
    divided by the fastest peer of the group whose acknowledgement survives. `of_mark`: this divided by its mark.
    """

    name: str
    group: str
    how: str
    n: int
    ours: bool
    system: str = ""
    durability: str = ""
    survives: bool | None = None
    runs: list[float] = []
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    submit_per_s: float | None = None
    cpu_us: float | None = None
    beside: str = ""
    ratio: float | None = None
    times_best: float | None = None
    mark: float | None = None
    of_mark: float | None = None
    disk: Disk | None = None
    others_cores: float | None = None
    failed: str = ""


def compare(systems: list[System], outcomes: dict[str, list[Outcome]], failed: dict[str, str]) -> list[Row]:
    """One row for every system, also for those that could not be measured."""
    rows = [_row(system, outcomes.get(system.name, []), failed.get(system.name, "")) for system in systems]
    for row in rows:
        if row.beside and row.runs:
            row.ratio = share(_rates(outcomes.get(row.beside, [])), row.runs)
        if row.ours and row.runs:
            row.times_best = _times_best(row, rows)
    return rows


def sections(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Rows that may be held beside one another, fastest first; what could not be measured stands in none."""
    found = []
    for group in (IN_PROCESS, ACROSS):
        for survives, says in ((True, SURVIVES), (False, LOSES)):
            those = [row for row in rows if row.group == group and row.survives is survives and row.runs]
            if those:
                found.append((f"{group[0].upper()}{group[1:]}; {says}", sorted(those, key=lambda row: -row.median)))
    return found


def below_mark(rows: list[Row]) -> list[Row]:
    """Those that reached less of what they reached elsewhere than a right setup explains."""
    return [row for row in rows if row.of_mark is not None and row.of_mark < MARK_SHARE]


def _row(system: System, outcomes: list[Outcome], failed: str) -> Row:
    row = Row(system.name, system.group, system.how, system.n, system.ours, beside=system.beside, failed=failed)
    row.mark = system.mark
    if not outcomes:
        return row
    last = outcomes[-1]
    row.system, row.durability, row.survives = last.system, last.durability, last.survives
    row.runs = _rates(outcomes)
    row.median, row.low, row.high = median(row.runs), min(row.runs), max(row.runs)
    row.submit_per_s, row.cpu_us = _middle(outcomes, "submit_per_s"), _middle(outcomes, "cpu_us")
    row.of_mark = row.median / system.mark if system.mark else None
    disks = [outcome.sample.disk for outcome in outcomes if outcome.sample.disk is not None]
    if disks:
        row.disk = Disk(median(disk.p50_ms for disk in disks), median(disk.p99_ms for disk in disks))
    others = [outcome.sample.others_cores for outcome in outcomes if outcome.sample.others_cores is not None]
    row.others_cores = median(others) if others else None
    return row


def _rates(outcomes: list[Outcome]) -> list[float]:
    return [value for outcome in outcomes for value in outcome.sample.values.get("per_s", ())]


def _middle(outcomes: list[Outcome], key: str) -> float | None:
    values = [value for outcome in outcomes for value in outcome.sample.values.get(key, ())]
    return median(values) if values else None


def _times_best(row: Row, rows: list[Row]) -> float | None:
    peers = [other.median for other in rows if not other.ours and other.group == row.group and other.survives]
    return row.median / max(peers) if peers else None
