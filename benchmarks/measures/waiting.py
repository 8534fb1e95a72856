"""Very many tasks that wait: the memory that they cost, and the restart of their owner to its first dispatch."""

import shutil
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.figures import Values
from benchmarks.processes import Failed, Given, fresh

FEW: Final = 10_000
BYTES_A_ROW: Final = 400
MAKE_TIMEOUT_S: Final = 3_600.0
TIMEOUT_S: Final = 600.0


def measure(given: Given) -> Values:
    """A ledger of `rows` waiting tasks, made once, beside some of 10,000; all else in `runs` processes of its own."""
    rows, folder = given.number("rows"), Path(given.folder)
    free = shutil.disk_usage(folder).free
    if free < 2 * rows * BYTES_A_ROW:
        gib = 2 * rows * BYTES_A_ROW / (1 << 30)
        raise Failed(
            f"{rows:,} waiting rows need about {gib:.1f} GiB in {folder}; make room, or say --rows or --folder"
        )
    few = [_stage(given, "make", {"name": f"few-{number}", "rows": FEW}) for number in range(given.runs)]
    many = _stage(given, "make", {"name": "many", "rows": rows}, MAKE_TIMEOUT_S)
    values: Values = {
        "make_s": many["wall_s"],
        "make_per_s": [rows / many["wall_s"][0]],
        "make_over_mib": [many["peak_mib"][0] - each["peak_mib"][0] for each in few],
        "size_gib": [_size_bytes(folder / "many.db") / (1 << 30)],
    }
    for name in ("many", *(f"few-{number}" for number in range(given.runs))):
        _stage(given, "admit", {"name": name})
    values["few_mib"] = [_restart(given, f"few-{number}", "clean")["peak_mib"][0] for number in range(given.runs)]
    for kind in ("clean", "cold", "killed"):
        if kind == "killed":
            # The first that is killed finds a ledger that was left in good order.
            _restart(given, "many", kind)
        found = [_restart(given, "many", kind) for _ in range(given.runs)]
        values[f"restart_{kind}_s"] = [run["start_s"][0] for run in found]
        values[f"process_{kind}_s"] = [run["process_s"][0] for run in found]
        if kind == "clean":
            values["many_mib"] = [run["peak_mib"][0] for run in found]
    pairs = zip(values["many_mib"], values["few_mib"], strict=True)
    values["over_mib"] = [high - low for high, low in pairs]
    return values


def _restart(given: Given, name: str, kind: str) -> Values:
    """``clean``: stopped in good order before and after; ``cold``: its file is first dropped from the page cache."""
    return _stage(given, "restart", {"name": name, "kind": kind})


def _stage(given: Given, stage: str, size: dict[str, int | str], timeout_s: float = TIMEOUT_S) -> Values:
    told = msgspec.structs.replace(
        given,
        module="waiting_stages",
        size={"stage": stage, **size},
        answer=f"{given.folder}/stage.json",
        probed=False,
    )
    return fresh(told, timeout_s=timeout_s).values


def _size_bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
