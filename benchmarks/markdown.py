"""The comparison as a page of Markdown that reads well on a terminal too."""

from typing import Final

from benchmarks.comparison import MARK_SHARE, Row, below_mark, sections
from benchmarks.machine import Machine
from benchmarks.table import BUSY_CORES

_HEAD: Final = (
    "row",
    "how",
    "tasks/s",
    "range",
    "submit/s",
    "CPU µs/task",
    "ours ÷ this",
    "÷ best peer",
    "fdatasync ms",
    "others",
)
_NOTE: Final = """\
tasks/s: from the first submit to the last result, median of all runs; submit/s: until the last submit had returned.
CPU: of client, worker and server together. ours ÷ this: our row of the same shape divided by this one, round by round.
÷ best peer: divided by the fastest other system of the same kind whose acknowledged work survives a power cut.
fdatasync: p50 of the store's folder. others: cores that everyone else on the machine kept busy meanwhile.
"""


def page(rows: list[Row], found: Machine, began: str, runs: int) -> str:
    """Everything a reader needs to judge the figures."""
    parts = [
        "# WSAIOS beside its peers\n",
        f"{began}, commit {found.commit}{' with changes' if found.changed else ''}, {runs} runs, rounds interleaved.",
        f"{found.processor}, {found.cores} cores, {found.memory_gib} GiB, {found.system}, {found.filesystem},",
        f"{found.python}, load average {found.load:.2f} when it began.\n",
    ]
    for title, those in sections(rows):
        parts += [f"## {title}\n", _table([_HEAD, *(_cells(row) for row in those)]), ""]
    stores = sorted({(row.system, row.durability) for row in rows if row.runs})
    parts += [_NOTE, *(f"- {system}: {durability}" for system, durability in stores), ""]
    parts += [_below(row, found.cores) for row in below_mark(rows)]
    noisy = [row.name for row in rows if (row.others_cores or 0.0) > BUSY_CORES]
    if noisy:
        parts.append(f"- Noisy: others kept more than {BUSY_CORES:g} of a core busy beside {', '.join(noisy)}.")
    parts += [f"- {row.name} could not be measured: {_first_line(row.failed)}" for row in rows if row.failed]
    return "\n".join(parts) + "\n"


def _below(row: Row, cores: int) -> str:
    """What a row below its mark would need, so that a reader sees whether the machine or the setup is short of it."""
    assert row.mark is not None
    said = f"- {row.name} is below its mark: {row.median:,.0f}/s of {row.mark:,.0f}/s on two quiet cores elsewhere"
    said += f" ({row.of_mark:.0%}; {MARK_SHARE:.0%} is enough)."
    if row.cpu_us:
        most = cores * 1e6 / row.cpu_us
        said += f" At {row.cpu_us:,.0f} µs a task, {cores} cores of their own allow at most {most:,.0f}/s."
    if row.others_cores is not None:
        said += f" Others kept {row.others_cores:.2f} cores busy."
    return f"{said} Its setup, and where its time goes: docs/adr/0030-peers.md."


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"**{row.name}**" if row.ours else row.name,
        row.how,
        _number(row.median),
        f"{_number(row.low)} … {_number(row.high)}",
        _number(row.submit_per_s),
        _number(row.cpu_us),
        _times(row.ratio),
        _times(row.times_best),
        "" if row.disk is None else f"{row.disk.p50_ms:.2f}",
        "" if row.others_cores is None else f"{row.others_cores:.2f}",
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}×"


def _first_line(text: str) -> str:
    """The whole of it stands in the JSON file."""
    return " … ".join(line.strip() for line in (text.splitlines()[0], *text.splitlines()[1:][-1:]))
