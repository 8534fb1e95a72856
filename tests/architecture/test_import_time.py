"""The one budget of time among the tests: how long importing takes, with the name of what takes it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

BUDGET_S = 0.3
ROUNDS = 3


@dataclass(frozen=True)
class Entry:
    name: str
    depth: int
    self_us: int
    total_us: int


def parse(report: str) -> list[Entry]:
    """Read `-X importtime`: self µs | cumulative µs | name, two spaces of indent a level; children come first."""
    entries = []
    for line in report.splitlines():
        if line.startswith("import time:") and "imported package" not in line:
            self_us, total_us, name = line.removeprefix("import time:").split("|")
            depth = (len(name) - len(name.lstrip()) - 1) // 2
            entries.append(Entry(name.strip(), depth, int(self_us), int(total_us)))
    return entries


def after_startup(entries: list[Entry]) -> list[Entry]:
    """Leave out what the interpreter imports for itself; `site` is the last of that."""
    last = max((place for place, entry in enumerate(entries) if entry.name == "site" and entry.depth == 0), default=-1)
    return entries[last + 1 :]


def measure(code: str) -> list[Entry]:
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return after_startup(parse(done.stderr))


def total_s(entries: list[Entry]) -> float:
    return sum(entry.total_us for entry in entries if entry.depth == 0) / 1e6


def slowest(entries: list[Entry]) -> str:
    """Name the distribution or module of ours with the most time of its own, and the modules that take it."""
    shares: dict[str, int] = {}
    for entry in entries:
        root = entry.name if entry.name.startswith("wsaios") else entry.name.partition(".")[0]
        shares[root] = shares.get(root, 0) + entry.self_us
    worst = sorted(shares.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name} ({us / 1000:.0f} ms)" for name, us in worst)


@pytest.mark.parametrize("code", ["import wsaios"])
def test_importing_stays_within_its_budget(code: str) -> None:
    best = min((measure(code) for _ in range(ROUNDS)), key=total_s)
    assert any(entry.name == "wsaios" for entry in best)
    assert total_s(best) < BUDGET_S, f"`{code}` takes {total_s(best):.3f} s; the slowest: {slowest(best)}"


def test_the_offender_is_named() -> None:
    report = """\
import time: self [us] | cumulative | imported package
import time:       900 |        900 | site
import time:     50000 |      50000 |     heavy.inner
import time:     10000 |      60000 |   heavy
import time:      2000 |      62000 | wsaios
"""
    entries = after_startup(parse(report))
    assert [entry.depth for entry in entries] == [2, 1, 0]
    assert total_s(entries) == pytest.approx(0.062)
    assert slowest(entries) == "heavy (60 ms), wsaios (2 ms)"
