"""Runs what is chosen, round by round, and tells what came out."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.beside import measure as measure_beside
from benchmarks.catalogue import catalogue
from benchmarks.figures import Measure, Sample, Verdict, judge, share
from benchmarks.machine import ROOT, Machine, machine
from benchmarks.processes import Failed, Given, fresh
from benchmarks.servers import Servers
from benchmarks.systems import System, chosen, systems
from benchmarks.table import Companion, print_machine, print_table

RESULTS: Final = ROOT / "benchmarks" / "results"
TIMEOUT_S: Final = 600.0
QUICK_TIMEOUT_S: Final = 120.0
OWN_RUNS_TIMEOUT_S: Final = 7_200.0


class Report(msgspec.Struct):
    """All that is known of one call of this program."""

    machine: Machine
    began: str
    quick: bool
    verdicts: list[Verdict]
    beside: list[Companion]
    samples: dict[str, list[Sample]]
    failed: dict[str, str]


def main() -> int:
    """Measure; 0 unless something could not be measured."""
    told = _arguments()
    # Ten million rows must not stay behind when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only = [word for words in told.only for word in words.split(",") if word]
    measures = [measure for measure in catalogue(told.rows, quick=told.quick) if _chosen(measure.name, only)]
    rows = chosen(systems(quick=told.quick), only)
    if told.list or not (measures or rows):
        print("\n".join([*(measure.name for measure in catalogue()), *(system.name for system in systems())]))
        return 0 if told.list else 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    failed = _beside_peers(rows, told) if rows else 0
    return max(failed, _floors(measures, told)) if measures else failed


def _beside_peers(rows: list[System], told: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="work-", dir=told.folder or RESULTS) as folder:
        return measure_beside(rows, told.runs, Path(folder), RESULTS)


def _floors(measures: list[Measure], told: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="work-", dir=told.folder or RESULTS) as folder, Servers() as servers:
        began, found = datetime.now(UTC), machine(Path(folder))
        print_machine(found)
        samples, failed = _rounds(measures, told, Path(folder), servers)
    verdicts = [
        verdict
        for measure in measures
        for figure in measure.figures
        if (verdict := judge(measure, figure, samples.get(measure.name, [])))
    ]
    report = Report(found, began.isoformat(), told.quick, verdicts, _beside(measures, samples), samples, failed)
    print_table(verdicts, report.beside)
    for name, reason in failed.items():
        print(f"\n{name} could not be measured: {reason}", file=sys.stderr)
    path = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(f"\n{path}" + ("  (small sizes: these figures prove nothing)" if told.quick else ""))
    return 1 if failed else 0


def _rounds(
    measures: list[Measure], told: argparse.Namespace, folder: Path, servers: Servers
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Every round runs everything once, so that a machine that changes its pace does so for all alike."""
    samples: dict[str, list[Sample]] = {}
    failed: dict[str, str] = {}
    for number in range(told.runs):
        for measure in measures:
            if measure.name in failed or (measure.own_runs and number):
                continue
            begun = time.monotonic()
            try:
                sample = _once(measure, told, folder, servers)
            except Failed as error:
                failed[measure.name] = str(error)
                print(f"  {measure.name}: {str(error).splitlines()[-1]}", file=sys.stderr, flush=True)
                continue
            samples.setdefault(measure.name, []).append(sample)
            head = measure.figures[0]
            shown = ", ".join(f"{value:,.4g}" for value in sample.values.get(head.key, ()))
            run = "all" if measure.own_runs else f"{number + 1}/{told.runs}"
            took = time.monotonic() - begun
            print(f"  {run} {measure.name}: {shown} {head.unit} ({took:.0f} s)", file=sys.stderr, flush=True)
    return samples, failed


def _once(measure: Measure, told: argparse.Namespace, folder: Path, servers: Servers) -> Sample:
    timeout_s = QUICK_TIMEOUT_S if told.quick else OWN_RUNS_TIMEOUT_S if measure.own_runs else TIMEOUT_S
    with _empty(folder) as own:
        given = Given(
            measure.module, str(own), measure.size, str(folder / "answer.json"), told.runs, probed=measure.durable
        )
        if measure.postgres:
            place = servers.postgres()
            given.url, given.synced = place.url, str(place.folder)
        return fresh(given, timeout_s=timeout_s)


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A folder for one run, gone afterwards."""
    own = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _beside(measures: list[Measure], samples: dict[str, list[Sample]]) -> list[Companion]:
    found = []
    for measure in measures:
        own, other = (
            [value for sample in samples.get(name, []) for value in sample.values.get("per_s", ())]
            for name in (measure.name, measure.beside)
        )
        ratio = share(own, other)
        if measure.beside and ratio is not None:
            found.append(Companion(measure.name, measure.beside, ratio))
    return found


def _chosen(name: str, only: list[str]) -> bool:
    return (
        not only
        or bool({"wsaios", "floors"} & set(only))
        or any(name == word or name.startswith(f"{word}.") for word in only)
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="Measure WSAIOS and hold it against its floors."
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a measure or a system, or the beginning of some, with commas or again for more; wsaios: "
        "everything but the peers; peers: all systems; floors: all measures",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that everything works, not to quote")
    parser.add_argument("--runs", type=int, default=3, help="runs of every measure (3)")
    parser.add_argument(
        "--rows", type=int, help="how many wait in `waiting`; a tenth of them is blocked in `blocked` (10,000,000)"
    )
    parser.add_argument("--folder", help="where ledgers are made (benchmarks/results); they are removed afterwards")
    parser.add_argument("--list", action="store_true", help="name the measures and end")
    told = parser.parse_args()
    if told.runs < 1 or (told.rows is not None and told.rows < 1):
        parser.error("--runs and --rows must be 1 or more")
    return told


if __name__ == "__main__":
    sys.exit(main())
