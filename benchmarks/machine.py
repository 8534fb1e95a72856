"""On what, and of what, a run was measured; and who else kept the machine busy."""

import os
import platform
import resource
import subprocess
import sys
import time
from heapq import heapreplace
from pathlib import Path

import apsw
import msgspec

ROOT = Path(__file__).resolve().parent.parent
_IDLE = (3, 4)
_GUEST = 8
_HEAP = 4_096


class Machine(msgspec.Struct, frozen=True):
    """The machine and the software of a run; `load` is the load average over a minute when it began."""

    system: str
    processor: str
    cores: int
    memory_gib: float
    python: str
    sqlite: str
    folder: str
    filesystem: str
    load: float
    commit: str
    changed: bool


def machine(folder: Path) -> Machine:
    """What this run is measured on, with its ledgers in `folder`."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=apsw.sqlite_lib_version(),
        folder=str(folder),
        filesystem=_filesystem(folder),
        load=os.getloadavg()[0],
        commit=_git("rev-parse", "HEAD") or "unknown",
        changed=bool(_git("status", "--porcelain", "--", "src", "benchmarks")),
    )


class Watching:
    """Processor time from its making on: what this process and its children used, and what everyone else did."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._busy = busy_s()
        self._own = own_s()

    def wall_s(self) -> float:
        """Time since."""
        return time.monotonic() - self._wall

    def others_cores(self) -> float | None:
        """How many cores others kept busy, time stolen from a virtual machine included; None where nobody tells."""
        now = busy_s()
        if now is None or self._busy is None:
            return None
        return round(max(0.0, now - self._busy - own_s() + self._own) / self.wall_s(), 2)


def pace_ns(steps: int = 100_000) -> float:
    """Processor time of one step of a fixed Python loop, in ns: a row is made, kept and put into a heap."""
    table: dict[int, tuple[int, int]] = {}
    heap = [(number, number) for number in range(_HEAP)]
    begun = time.process_time_ns()
    for number in range(steps):
        row = table[number % _HEAP] = (number + number % 7, number)
        heapreplace(heap, row)
    return (time.process_time_ns() - begun) / steps


def own_s() -> float:
    """Processor time of this process and of those of its children that have ended, in seconds."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(each.ru_utime + each.ru_stime for each in used)


def memory_bytes(what: str) -> int:
    """Memory of this process: ``"VmRSS"`` now, ``"VmHWM"`` at its highest; 0 where nobody tells."""
    line = _line("/proc/self/status", what)
    return int(line.split()[0]) * 1024 if line else 0


def busy_s() -> float | None:
    """Seconds that all processors of the machine were busy since it began; None where nobody tells."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    ticks = sum(int(field) for place, field in enumerate(fields[:_GUEST]) if place not in _IDLE)
    return ticks / os.sysconf("SC_CLK_TCK")


def _line(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return sys.platform
    found = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(found)[1] if found else "unknown"


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607  # git is where the user has it
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
