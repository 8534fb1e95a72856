"""How much processor time a process and everything below it has used."""

import os
from collections import defaultdict
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
# After the name in /proc/PID/stat: the parent, and the times of the process and of its children that have ended.
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)


def tree_s(*roots: int) -> float:
    """Seconds that these processes, what descends from them, and what of that has ended were on a processor."""
    used: dict[int, float] = {}
    below: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(folder.name)
        used[pid] = sum(int(field) for field in fields[_TIMES]) / _TICKS
        below[int(fields[_PARENT])].append(pid)
    waiting, total = list(roots), 0.0
    while waiting:
        pid = waiting.pop()
        total += used.get(pid, 0.0)
        waiting += below.get(pid, ())
    return total
