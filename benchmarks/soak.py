"""Watch a scheduler under a steady mixed load, and say whether anything it holds goes on growing.

Usage: ``python -m benchmarks.soak [--minutes N] [--ledger sqlite|postgres]``, or ``make soak``. Ends with 1 when
something grows.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.curves import Chart, picture
from benchmarks.gauges import LedgerGauge, PostgresGauge, Readings, SqliteGauge, of_process
from benchmarks.machine import ROOT, Machine, Watching, machine
from benchmarks.processes import Failed
from benchmarks.servers import Servers
from benchmarks.soak_load import Line, Told
from benchmarks.steady import Quantity, Trend, trend
from benchmarks.table import print_machine

RESULTS: Final = ROOT / "benchmarks" / "results"
RETENTION_S: Final = 30.0
SAMPLES: Final = 360
LEAST_EVERY_S: Final = 2.0
END_S: Final = 60.0
ACROSS: Final = 4
# What is let pass, and why, stands in docs/how-to/measure.md.
QUANTITIES: Final = (
    Quantity("rss_mib", "memory of the process", "MiB", share=0.03, least=3.0),
    Quantity("descriptors", "open descriptors", "", least=2.0),
    Quantity("threads", "threads", "", least=2.0),
    Quantity("wal_mib", "write-ahead log", "MiB", share=0.1, least=2.0),
    Quantity("ledger_mib", "file of the ledger", "MiB", share=0.05, least=2.0),
    Quantity("dead_tuples", "dead tuples", "", share=0.25, least=2_000.0),
    Quantity("tables_mib", "tables and indexes", "MiB", share=0.05, least=2.0),
    Quantity("connections", "connections to the server", "", least=2.0),
    Quantity("cpu_us", "processor time a task", "µs", share=0.15),
    Quantity("p50_ms", "round trip, p50", "ms", share=0.5, least=1.0),
    Quantity("p99_ms", "round trip, p99", "ms", share=1.0, least=10.0),
    Quantity("per_s", "tasks ended a second", "/s", share=0.1, falls=True),
    Quantity("others_cores", "cores that others kept busy", "", judged=False),
)


class Sample(msgspec.Struct):
    """All that was read at one time since the beginning."""

    at_s: float
    values: Readings


class Report(msgspec.Struct):
    """All that is known of one soak."""

    machine: Machine
    began: str
    ledger: str
    seconds: float
    retention_s: float
    ended: dict[str, int]
    pruned: int
    trends: list[Trend]
    samples: list[Sample]


class Watched(NamedTuple):
    """What a soak left: its samples, tasks ended by kind, rows pruned."""

    samples: list[Sample]
    ended: dict[str, int]
    pruned: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; 0 when everything is flat, 1 when something grows, 2 when it could not be measured."""
    told = _options(arguments)
    # Neither a ledger nor a server must stay behind when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seconds = told.seconds or told.minutes * 60
    began = datetime.now(UTC)
    told.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-", dir=told.results) as folder, Servers() as servers:
        found = machine(Path(folder))
        print_machine(found)
        try:
            with _ledger(told.ledger, Path(folder), servers) as (url, gauge):
                load = Told(url, seconds, told.every or max(LEAST_EVERY_S, seconds / SAMPLES), RETENTION_S)
                watched = watch(load, gauge, Path(folder))
        except Failed as error:
            print(f"the soak ended early: {error}", file=sys.stderr)
            return 2
    trends = compare(watched.samples)
    report = Report(
        found, began.isoformat(), told.ledger, seconds, RETENTION_S, watched.ended, watched.pruned, trends, []
    )
    report.samples = watched.samples
    print(f"\n{table(report)}")
    path = told.results / f"soak-{told.ledger}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    path.with_suffix(".svg").write_text(drawn(report), encoding="utf-8")
    print(f"\n{path}\n{path.with_suffix('.svg')}")
    return int(any(each.verdict == "grows" for each in trends))


def watch(load: Told, gauge: LedgerGauge, folder: Path) -> Watched:
    """Let the load run in a process of its own and read what it holds whenever it tells a line.

    Raises:
        Failed: it ended badly.
    """
    samples: list[Sample] = []
    before: tuple[Line, Readings] | None = None
    line = Line(0.0, {})
    with _running(load, folder) as (process, lines):
        others = Watching()
        for text in lines:
            line = msgspec.json.decode(text, type=Line)
            if before is not None and line.at_s - before[0].at_s < load.every_s / 2:
                # The last line comes when the time is over; too few tasks end in a moment to say anything.
                continue
            values = {**of_process(process.pid), **gauge.read()}
            if before is not None:
                samples.append(Sample(line.at_s, _between(*before, line, values, others)))
                print(_progress(samples[-1], load), file=sys.stderr, flush=True)
            before, others = (line, values), Watching()
    if not samples:
        raise Failed("there was no time for two samples; let it take longer")
    return Watched(samples, line.ended, line.pruned)


def compare(samples: Sequence[Sample]) -> list[Trend]:
    """A trend for everything that was read."""
    found = []
    for quantity in QUANTITIES:
        read = [(each.at_s, each.values[quantity.key]) for each in samples if quantity.key in each.values]
        if read:
            found.append(trend(quantity, [at for at, _ in read], [value for _, value in read]))
    return found


def table(report: Report) -> str:
    """What was found, for people."""
    head = ("quantity", "middle third", "last third", "change an hour", "allowed", "noise", "verdict")
    rows = [head, *(_cells(each) for each in report.trends)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    ended = ", ".join(f"{count:,} {kind}" for kind, count in report.ended.items() if count)
    total = sum(report.ended.values())
    lines += ["", f"{total:,} tasks ended in {report.seconds:,.0f} s on {report.ledger}: {ended}"]
    lines.append(f"{report.pruned:,} rows pruned; what ended is kept for {report.retention_s:g} s")
    return "\n".join(lines)


def drawn(report: Report) -> str:
    """The curves over time."""
    charts = [
        Chart(
            each.says,
            each.unit,
            [(sample.at_s / 60, sample.values[each.key]) for sample in report.samples if each.key in sample.values],
            each.verdict,
            f"{each.verdict}: {each.middle:,.4g} → {each.last:,.4g} {each.unit}".rstrip(),
            "minutes",
        )
        for each in report.trends
    ]
    rows = [charts[place : place + ACROSS] for place in range(0, len(charts), ACROSS)]
    title = f"A steady mixed load for {report.seconds / 60:,.3g} minutes on {report.ledger}"
    about = f"middle third → last third; {report.machine.processor}, commit {report.machine.commit[:10]}"
    return picture(title, about, rows)


@contextmanager
def _ledger(kind: str, folder: Path, servers: Servers) -> Iterator[tuple[str, LedgerGauge]]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/soak.db", SqliteGauge(folder / "soak.db")
        return
    url = servers.postgres()[0]
    with PostgresGauge(url) as gauge:
        yield url, gauge


@contextmanager
def _running(load: Told, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """The process of the load, and its lines; at the end it must have ended well."""
    command = [sys.executable, "-m", "benchmarks.soak_load", msgspec.json.encode(load).decode()]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    said = folder / "said"
    with (
        said.open("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield process, iter(process.stdout.readline, "")
            code = process.wait(END_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"{error}\n{said.read_text(encoding='utf-8')[-2000:]}") from error
        finally:
            process.kill()
        if code:
            raise Failed(f"the load ended with {code}:\n{said.read_text(encoding='utf-8')[-2000:]}")


def _between(before: Line, then: Readings, line: Line, now: Readings, others: Watching) -> Readings:
    """What is read now, and what happened since the sample before."""
    values = dict(now)
    ended = sum(line.ended.values()) - sum(before.ended.values())
    used_s = values.pop("cpu_s") - then["cpu_s"]
    values["per_s"] = ended / (line.at_s - before.at_s)
    if ended:
        values["cpu_us"] = used_s * 1e6 / ended
    if line.p50_ms is not None and line.p99_ms is not None:
        values["p50_ms"], values["p99_ms"] = line.p50_ms, line.p99_ms
    cores = others.others_cores()
    if cores is not None:
        # The load is no child that has ended, so it would count among the others.
        values["others_cores"] = max(0.0, cores - used_s / others.wall_s())
    return values


def _progress(sample: Sample, load: Told) -> str:
    values = sample.values
    parts = [
        f"{values[each.key]:,.4g} {each.unit} {each.says}".replace("  ", " ")
        for each in QUANTITIES
        if each.key in values and each.key not in {"cpu_us", "others_cores", "threads"}
    ]
    return f"  {sample.at_s:,.0f}/{load.seconds:,.0f} s: {', '.join(parts)}"


def _cells(each: Trend) -> tuple[str, ...]:
    unit = f" {each.unit}" if each.unit else ""
    return (
        each.says,
        f"{each.middle:,.4g}{unit}",
        f"{each.last:,.4g}{unit}",
        f"{each.per_hour:+,.3g}{unit}",
        "" if each.verdict == "told" else f"{each.allowed:,.3g}{unit}",
        f"{each.noise:,.2g}{unit}",
        "" if each.verdict == "told" else each.verdict.upper() if each.verdict == "grows" else each.verdict,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="for how long (30)")
    parser.add_argument("--seconds", type=float, default=0.0, help="the same in seconds, to see that it works")
    parser.add_argument(
        "--every", type=float, default=0.0, help="seconds between two samples (360 samples, at least 2 s)"
    )
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON and the picture go")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
