"""What a person sees on the terminal."""

import msgspec

from benchmarks.figures import Verdict
from benchmarks.machine import Machine

_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})
BUSY_CORES = 0.25


class Companion(msgspec.Struct, frozen=True):
    """One measure as a share of another in the same rounds."""

    measure: str
    beside: str
    share: float


def print_machine(found: Machine) -> None:
    """On what this runs, and what spoils it."""
    print(f"{found.processor}, {found.cores} cores, {found.memory_gib} GiB, {found.system}")
    print(f"{found.python}, SQLite {found.sqlite}, ledgers on {found.filesystem} ({found.folder})")
    print(f"commit {found.commit}{' with changes' if found.changed else ''}, load average {found.load:.2f}\n")
    if found.filesystem in _MEMORY_FILE_SYSTEMS:
        print("These ledgers are in memory: nothing below is durable. Name a folder on a disk with --folder.\n")


def print_table(verdicts: list[Verdict], beside: list[Companion]) -> None:
    """Every figure with its range, its floor and the disk's time; then shares of what stands beside."""
    names = (
        "measure",
        "figure",
        "median",
        "range",
        "floor",
        "ratio",
        "reached",
        "fdatasync p50 / p99",
        "others",
        "pace",
    )
    rows = [names, *(_row(verdict) for verdict in verdicts)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(names))]
    print()
    before = ""
    for row in rows:
        shown = ("" if row[0] == before else row[0], *row[1:])
        before = row[0]
        print("  ".join(cell.ljust(width) for cell, width in zip(shown, widths, strict=True)).rstrip())
    for each in beside:
        print(f"\n{each.measure} reaches {each.share:.0%} of {each.beside} (round by round)", end="")
    judged = [verdict for verdict in verdicts if verdict.reached is not None]
    print(f"\n\n{sum(bool(verdict.reached) for verdict in judged)} of {len(judged)} floors reached.")
    print("others: cores that everyone else kept busy meanwhile; pace: one step of a fixed Python loop beside it.")
    busy = sum((verdict.others_cores or 0.0) > BUSY_CORES for verdict in verdicts)
    if busy:
        print(f"Noisy: others kept more than {BUSY_CORES:g} of a core busy beside {busy} of {len(verdicts)} figures.")


def _row(verdict: Verdict) -> tuple[str, ...]:
    sign = "≤" if verdict.at_most else "≥"
    disk = verdict.disk
    return (
        verdict.measure,
        verdict.says,
        f"{_number(verdict.median)} {verdict.unit}",
        f"{_number(verdict.low)} … {_number(verdict.high)}",
        "" if verdict.floor is None else f"{sign} {_number(verdict.floor)}",
        "" if verdict.ratio is None else f"{verdict.ratio:.2f}",
        "" if verdict.reached is None else ("yes" if verdict.reached else "NO"),
        "" if disk is None else f"{disk.p50_ms:.2f} / {disk.p99_ms:.2f} ms",
        "" if verdict.others_cores is None else f"{verdict.others_cores:.2f}",
        f"{verdict.pace_ns:.0f} ns",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
