"""Let everything go wrong that can, for as many minutes as are asked for, and say what was lost.

Each scenario gets its share of the minutes, and each is a fresh ledger, with schedulers and a client as processes.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from tests.acceptance.chaos.runs import Lengths, run
from tests.acceptance.chaos.scenarios import SCENARIOS, Scenario, of
from tests.acceptance.chaos.verdict import Figures
from tests.servers.postgres import PostgresServer, served

_AROUND_S: Final = 4.0
_COLUMNS: Final = (
    *("ledger", "scenario", "fault s", "acked", "errors", "lost", "twice", "ack s", "end s", "steady s"),
    *("before/s", "after/s", "ratio", "silent s", ""),
)
Row = tuple[str, Scenario, Lengths, Figures]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios and print the table; 1 when anything was lost, doubled, or did not recover."""
    options = _options(arguments)
    ledgers = ("postgres", "sqlite") if options.ledger == "both" else (options.ledger,)
    chosen = of(ledgers, tuple(options.only))
    lengths = shares(options.minutes * 60 / len(chosen))
    folder = Path(tempfile.mkdtemp(prefix="wsaios-chaos-"))
    print(f"{len(chosen)} scenarios, each {lengths.before_s:.0f} + {lengths.fault_s:.0f} + {lengths.after_s:.0f} s")
    rows: list[Row] = []
    with contextmanager(served)(durable=True) if "postgres" in ledgers else nullcontext() as server:
        for row in _rows(chosen, folder, lengths, server):
            rows.append(row)
            # Whoever is interrupted keeps what was measured.
            _write(rows, options.json)
            _progress(len(rows), len(chosen), row)
    _report(rows)
    print(f"\nthe same as JSON: {options.json}")
    bad = [row for row in rows if row[3].wrong() or row[3].slow()]
    if bad:
        print(f"{len(bad)} of {len(rows)} went wrong; the folders are kept in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if bad else 0


def shares(each_s: float) -> Lengths:
    """What a scenario does with its seconds."""
    rest_s = max(8.0, each_s - _AROUND_S)
    return Lengths(before_s=rest_s * 0.25, fault_s=rest_s * 0.35, after_s=rest_s * 0.4)


def _rows(
    chosen: list[tuple[str, Scenario]], folder: Path, lengths: Lengths, server: PostgresServer | None
) -> Iterator[Row]:
    for ledger, scenario in chosen:
        own = folder / f"{ledger}-{scenario.name}"
        own.mkdir()
        yield ledger, scenario, lengths, run(scenario, own, lengths, server if ledger == "postgres" else None)


def _progress(done: int, all_of: int, row: Row) -> None:
    ledger, scenario, _, figures = row
    verdict = "; ".join((*figures.wrong(), *figures.slow())) or "as it should be"
    print(f"{time.strftime('%H:%M:%S')} {done}/{all_of} {ledger} {scenario.name}: {verdict}", flush=True)


def _report(rows: list[Row]) -> None:
    table = [_COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(_COLUMNS))]
    print()
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _write(rows: list[Row], path: Path) -> None:
    told = [
        {"ledger": ledger, "scenario": scenario.name, **lengths._asdict(), **figures.described()}
        for ledger, scenario, lengths, figures in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1), "utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    ledger, scenario, lengths, figures = row
    seconds = (
        "-" if each is None else f"{each:.1f}"
        for each in (figures.first_acknowledged_s, figures.first_ended_s, figures.steady_s)
    )
    rates = (f"{figures.rate_before:.0f}", f"{figures.rate_after:.0f}", f"{figures.ratio:.0%}")
    counted = (figures.acknowledged, figures.unacknowledged, figures.jobs_lost, figures.twice)
    counts = tuple(str(count) for count in counted)
    verdict = "WRONG" if figures.wrong() else "SLOW" if figures.slow() else "ok"
    return (
        ledger,
        scenario.name,
        f"{lengths.fault_s:.0f}",
        *counts,
        *seconds,
        *rates,
        f"{figures.longest_silence_s:.1f}",
        verdict,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all scenarios together")
    parser.add_argument("--ledger", choices=("postgres", "sqlite", "both"), default="both")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", nargs="*", choices=names, default=[], help="these scenarios alone")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/chaos.json"), help="where figures go")
    told = parser.parse_args(arguments)
    if not told.minutes > 0:
        parser.error(f"--minutes must be more than 0, not {told.minutes:g}")
    return told


if __name__ == "__main__":
    sys.exit(main())
