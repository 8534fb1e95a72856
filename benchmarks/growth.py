"""How the cost of a task changes with how much waits, and with how many lanes, tenants and handlers there are.

Usage: ``python -m benchmarks.growth [--sizes 10000,100000,1000000] [--ledger sqlite|postgres]``, or ``make growth``.
Ends with 1 when a curve is not flat.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.curves import Chart, picture
from benchmarks.disk import disk, sync_times_ms
from benchmarks.figures import Disk, Values
from benchmarks.machine import ROOT, Machine, machine
from benchmarks.processes import Failed, Given, fresh
from benchmarks.servers import Servers
from benchmarks.table import print_machine

RESULTS: Final = ROOT / "benchmarks" / "results"
SIZES: Final = (10_000, 100_000, 1_000_000)
COUNTS: Final = (1, 10, 100, 1_000)
AXES: Final = {
    "waiting": "tasks that wait",
    "lanes": "lanes in use",
    "tenants": "tenants",
    "handlers": "handlers",
}
TASKS: Final = 5_000
ROUNDS: Final = 300
BYTES_A_ROW: Final = 800
MAKE_TIMEOUT_S: Final = 3_600.0
TIMEOUT_S: Final = 600.0


class Aspect(msgspec.Struct, frozen=True):
    """What is measured at each point; it is flat within `times` what it is at the first point, or `least` beyond.

    `in_turns` is the same where tasks of several lanes, tenants or handlers take turns.
    """

    key: str
    says: str
    unit: str
    times: float
    least: float = 0.0
    falls: bool = False
    in_turns: float = 0.0

    def allowed(self, axis: str) -> float:
        """How many times the first point it may be along an axis."""
        return self.times if axis == "waiting" or not self.in_turns else self.in_turns


# What is let pass, and why, stands in docs/how-to/measure.md.
ASPECTS: Final = (
    Aspect("per_s", f"{TASKS:,} tasks, submit → result", "/s", 1.25, falls=True, in_turns=1.5),
    Aspect("cpu_us", "processor time a task", "µs", 1.25, in_turns=1.5),
    Aspect("p50_ms", "idle round trip, p50", "ms", 1.5, 0.2),
    Aspect("peak_mib", "peak memory", "MiB", 1.0, 64.0),
    Aspect("restart_s", "start → first dispatch", "s", 1.0, 0.4),
)


class Point(msgspec.Struct):
    """One ledger: what stands in it, and what every run beside it measured."""

    axis: str
    n: int
    size: dict[str, int | str]
    runs: Values = {}
    url: str = ""


class Curve(msgspec.Struct):
    """One aspect along one axis: `medians` by size, and the worst ratio to the first point; above 1 is worse."""

    axis: str
    key: str
    says: str
    unit: str
    medians: dict[int, float]
    worst: float
    flat: bool


class Report(msgspec.Struct):
    """All that is known of one call of this program."""

    machine: Machine
    began: str
    ledger: str
    tasks: int
    disk: Disk
    curves: list[Curve]
    points: list[Point]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 when every curve is flat, 1 when one is not, 2 when it could not be measured."""
    told = _options(arguments)
    # Ten million rows must not stay behind when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = datetime.now(UTC)
    told.results.mkdir(parents=True, exist_ok=True)
    points = plan(told.sizes, told.counts, told.tasks, told.rounds, told.axis or tuple(AXES))
    with tempfile.TemporaryDirectory(prefix="growth-", dir=told.folder or told.results) as folder, Servers() as servers:
        found = machine(Path(folder))
        print_machine(found)
        try:
            synced = _measure(points, told, Path(folder), servers)
        except Failed as error:
            print(f"it could not be measured: {error}", file=sys.stderr)
            return 2
    curves = list(judge(points))
    report = Report(found, began.isoformat(), told.ledger, told.tasks, synced, curves, points)
    print(f"\n{table(report)}")
    path = told.results / f"growth-{told.ledger}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    path.with_suffix(".svg").write_text(drawn(report), encoding="utf-8")
    print(f"\n{path}\n{path.with_suffix('.svg')}")
    return int(not all(curve.flat for curve in curves))


def plan(
    sizes: Sequence[int], counts: Sequence[int], tasks: int, rounds: int, axes: Sequence[str] = tuple(AXES)
) -> list[Point]:
    """Every point once; the first one stands at the beginning of all curves."""
    alone: dict[str, int | str] = {"waiting": sizes[0], "lanes": 1, "tenants": 1, "handlers": 1}
    work: dict[str, int | str] = {"tasks": tasks, "rounds": rounds}
    points = [Point("", 0, {**alone, **work})]
    for axis in axes:
        many = sizes[1:] if axis == "waiting" else [count for count in counts if count > 1]
        points += [Point(axis, n, {**alone, **work, axis: n}) for n in many]
    return points


def judge(points: Sequence[Point]) -> Iterator[Curve]:
    """Each aspect along each axis, held against its first point round by round."""
    base = points[0]
    for axis in AXES:
        along = [point for point in points if point.axis == axis]
        for aspect in ASPECTS if along else ():
            first = base.runs[aspect.key]
            medians = {int(base.size[axis]): median(first)}
            worst, flat = 1.0, True
            for point in along:
                runs = point.runs[aspect.key]
                pairs = list(zip(runs, first, strict=True))
                ratio = median(one / other if not aspect.falls else other / one for one, other in pairs)
                more = median(other - one if aspect.falls else one - other for one, other in pairs)
                medians[point.n] = median(runs)
                worst = max(worst, ratio)
                flat = flat and (ratio <= aspect.allowed(axis) or more <= aspect.least)
            yield Curve(axis, aspect.key, aspect.says, aspect.unit, medians, worst, flat)


def table(report: Report) -> str:
    """What was found, for people: a line for each point, then what is not flat."""
    head = ("axis", "size", *(f"{aspect.says} ({aspect.unit})" for aspect in ASPECTS))
    rows = [head]
    for axis in AXES:
        curves = [curve for curve in report.curves if curve.axis == axis]
        for place, n in enumerate(curves[0].medians if curves else ()):
            name = "" if place else AXES[axis]
            rows.append((name, f"{n:,}", *(_number(curve.medians[n]) for curve in curves)))
        if curves:
            rows.append(("", "worst", *(f"{curve.worst:.2f} ×{'' if curve.flat else ' NOT FLAT'}" for curve in curves)))
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    flat = sum(curve.flat for curve in report.curves)
    lines.append(
        f"\n{flat} of {len(report.curves)} curves are flat on {report.ledger}; medians, and worst ratios to the"
    )
    lines.append(
        f"first point round by round. fdatasync p50 {report.disk.p50_ms:.2f} ms, p99 {report.disk.p99_ms:.2f} ms"
    )
    return "\n".join(lines)


def drawn(report: Report) -> str:
    """A row of charts for each axis."""
    rows = [
        [
            Chart(
                f"{curve.says}, {curve.unit}",
                curve.unit,
                list(curve.medians.items()),
                "flat" if curve.flat else "grows",
                f"{'flat' if curve.flat else 'not flat'}, worst {curve.worst:.2f} ×",
                AXES[curve.axis],
                logarithmic=True,
            )
            for curve in report.curves
            if curve.axis == axis
        ]
        for axis in AXES
    ]
    first = report.points[0].size["waiting"]
    about = (
        f"lanes, tenants and handlers beside {int(first):,} that wait; fdatasync p50 {report.disk.p50_ms:.2f} ms; "
        f"{report.machine.processor}, commit {report.machine.commit[:10]}"
    )
    title = f"The cost of a task as its surroundings grow, on {report.ledger}"
    return picture(title, about, [row for row in rows if row])


def _measure(points: list[Point], told: argparse.Namespace, folder: Path, servers: Servers) -> Disk:
    """Make all ledgers, then run the piece beside each of them, round by round."""
    place = folder
    most = max(int(point.size["waiting"]) for point in points)
    free = shutil.disk_usage(folder).free
    if free < most * BYTES_A_ROW:
        raise Failed(f"{most:,} waiting rows need {most * BYTES_A_ROW / (1 << 30):.1f} GiB in {folder}; say --folder")
    for point in points:
        if told.ledger == "postgres":
            server = servers.postgres()
            point.url, place = server[0], Path(server[1])
        begun = time.monotonic()
        _stage(point, told, folder, "make", 0)
        _say(f"made {_name(point)} in {time.monotonic() - begun:.1f} s")
    times_ms: list[float] = []
    for number in range(told.runs):
        times_ms += sync_times_ms(place)
        for point in points:
            begun = time.monotonic()
            for key, values in _stage(point, told, folder, "piece", number).items():
                point.runs.setdefault(key, []).extend(values)
            shown = ", ".join(f"{point.runs[each.key][-1]:,.4g} {each.unit}" for each in ASPECTS)
            _say(f"{number + 1}/{told.runs} {_name(point)}: {shown} ({time.monotonic() - begun:.1f} s)")
    return disk(times_ms)


def _stage(point: Point, told: argparse.Namespace, folder: Path, stage: str, number: int) -> Values:
    name = f"{point.axis or 'first'}-{point.n}"
    size = {**point.size, "stage": stage, "name": name, "run": number}
    given = Given("growth", str(folder), size, str(folder / "answer.json"), told.runs, probed=False, url=point.url)
    return fresh(given, timeout_s=MAKE_TIMEOUT_S if stage == "make" else TIMEOUT_S).values


def _name(point: Point) -> str:
    return f"{point.n:,} {AXES[point.axis]}" if point.axis else f"{int(point.size['waiting']):,} tasks that wait"


def _say(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _numbers(text: str) -> list[int]:
    numbers = [int(float(word)) for word in text.replace("_", "").split(",")]
    if numbers != sorted(set(numbers)) or numbers[0] < 1:
        raise argparse.ArgumentTypeError(f"must be numbers from 1 on, in rising order, not {text!r}")
    return numbers


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    sizes = ",".join(str(size) for size in SIZES)
    parser.add_argument("--sizes", type=_numbers, default=list(SIZES), help=f"how many tasks wait ({sizes})")
    counts = ",".join(str(count) for count in COUNTS)
    parser.add_argument("--counts", type=_numbers, default=list(COUNTS), help=f"lanes, tenants, handlers ({counts})")
    parser.add_argument("--axis", choices=tuple(AXES), action="append", help="only along this one; again for more")
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--runs", type=int, default=3, help="runs at every point (3)")
    parser.add_argument("--tasks", type=int, default=TASKS, help=f"the piece of work ({TASKS:,})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"idle round trips ({ROUNDS})")
    parser.add_argument("--folder", help="where ledgers are made (the results); they are removed afterwards")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON and the picture go")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
