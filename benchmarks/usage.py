"""How much processor time a process and everything below it has used."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
# After the name in /proc/PID/stat: the parent, and the times of the process and of its children that have ended.
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)


def tree_s(*roots: int) -> float:
    """Seconds that these processes, what descends from them, and what of that has ended were on a processor."""
    used = _all()
    return sum(used[pid][1] for pid in _tree(used, roots))


def tree(root: int) -> list[int]:
    """This process and all that descend from it."""
    return _tree(_all(), [root])


def _all() -> dict[int, tuple[int, float]]:
    """The parent and the processor time of every process."""
    found: dict[int, tuple[int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        used_s = sum(int(field) for field in fields[_TIMES]) / _TICKS
        found[int(folder.name)] = int(fields[_PARENT]), used_s
    return found


def _tree(every: dict[int, tuple[int, float]], roots: Iterable[int]) -> list[int]:
    below: dict[int, list[int]] = defaultdict(list)
    for pid, (parent, _) in every.items():
        below[parent].append(pid)
    waiting, found = list(roots), []
    while waiting:
        pid = waiting.pop()
        if pid in every:
            found.append(pid)
        waiting += below.get(pid, ())
    return found
