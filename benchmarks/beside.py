"""Runs the systems beside one another, round by round, and writes what came out."""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.chart import picture
from benchmarks.comparison import Row, compare
from benchmarks.contest import PEERS, Outcome, run
from benchmarks.machine import ROOT, Machine, machine
from benchmarks.markdown import page
from benchmarks.processes import Failed
from benchmarks.servers import Servers
from benchmarks.systems import System

TIMEOUT_S: Final = 180.0
LEGEND: Final = "blue: WSAIOS; dark grey: survives a power cut; light grey: may not"


class Report(msgspec.Struct):
    """All that is known of one comparison."""

    machine: Machine
    began: str
    rows: list[Row]
    outcomes: dict[str, list[Outcome]]
    failed: dict[str, str]


def measure(systems: list[System], runs: int, folder: Path, results: Path) -> int:
    """Measure them all in turn, `runs` times, with stores in `folder`; 0 unless one could not be measured."""
    began, found = datetime.now(UTC), machine(folder)
    failed = _prepare(systems)
    with Servers() as servers:
        outcomes = _rounds(systems, runs, folder, servers, failed)
    rows = compare(systems, outcomes, failed)
    stem = results / f"{began:%Y%m%dT%H%M%SZ}-peers"
    text = page(rows, found, f"{began:%Y-%m-%d %H:%M} UTC", runs)
    print(f"\n{text}")
    report = Report(found, began.isoformat(), rows, outcomes, failed)
    stem.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    footnote = f"{found.processor}, {found.cores} cores; commit {found.commit[:12]}; {began:%Y-%m-%d}; {LEGEND}"
    stem.with_suffix(".svg").write_text(picture(rows, footnote), encoding="utf-8")
    print(f"{stem}.json, .md, .svg")
    return 1 if failed else 0


def _rounds(
    systems: list[System], runs: int, folder: Path, servers: Servers, failed: dict[str, str]
) -> dict[str, list[Outcome]]:
    """Every round runs everything once, so that a machine that changes its pace does so for all alike."""
    outcomes: dict[str, list[Outcome]] = {}
    for number in range(runs):
        for system in systems:
            if system.name in failed:
                continue
            begun = time.monotonic()
            try:
                with tempfile.TemporaryDirectory(prefix="run-", dir=folder, ignore_cleanup_errors=True) as own:
                    outcome = run(system, Path(own), servers, timeout_s=TIMEOUT_S)
            except Failed as error:
                failed[system.name] = str(error)
                _say(f"{system.name} could not be measured: {str(error).splitlines()[-1]}")
                continue
            outcomes.setdefault(system.name, []).append(outcome)
            rate, others = outcome.sample.values["per_s"][0], outcome.sample.others_cores
            noise = "" if others is None else f", others kept {others:.2f} cores busy"
            took = time.monotonic() - begun
            _say(f"{number + 1}/{runs} {system.name}: {rate:,.0f} tasks/s ({took:.0f} s{noise})")
    return outcomes


def _prepare(systems: list[System]) -> dict[str, str]:
    """Install what the systems need, where that is allowed; a reason for every one that has to do without."""
    for server, script in (("redis", "redis.sh"), ("postgres", "postgres.sh")):
        if any(system.server == server for system in systems):
            subprocess.run([str(ROOT / "tools" / script)], stdout=sys.stderr, check=False)
    peers = [system.name for system in systems if not system.ours]
    if not peers:
        return {}
    made = subprocess.run(
        [str(ROOT / "tools" / "peers.sh"), sys.executable, str(PEERS)], stdout=sys.stderr, check=False
    )
    if not made.returncode:
        return {}
    return dict.fromkeys(peers, f"tools/peers.sh could not make {PEERS.name}; it says above why")


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)
