"""Handlers that worker processes import."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from wsaios import Context

IMPORTED = os.getpid()
CALLS = 0


def pid() -> int:
    return os.getpid()


def imported() -> tuple[int, int]:
    """In which process this module was imported, and the how manieth call of it this is."""
    global CALLS  # noqa: PLW0603  # shows that the module stays
    CALLS += 1
    return IMPORTED, CALLS


def double(i: int) -> int:
    return 2 * i


def die(how: str, mark: str = "") -> None:
    """End this process in a bad way; `mark` gets a line first."""
    if mark:
        with Path(mark).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(3)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: str) -> str:
    if not Path(mark).exists():
        Path(mark).touch()
        os._exit(1)
    return "well"


def hold(mark: str) -> int:
    """Say in `mark` who this is, and go on without end."""
    Path(f"{mark}.tmp").write_text(str(os.getpid()), "ascii")
    Path(f"{mark}.tmp").rename(mark)
    while True:
        time.sleep(0.01)


def heed(mark: str, context: Context) -> str:
    """Go on until the end is asked for."""
    Path(mark).touch()
    while not context.cancelled:
        time.sleep(0.001)
    Path(f"{mark}.heeded").touch()
    return "heeded"


def born(mark: str) -> None:
    """Start a program that outlives its parent if it may, then go on without end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    Path(f"{mark}.tmp").write_text(str(child.pid), "ascii")
    Path(f"{mark}.tmp").rename(mark)
    time.sleep(3600)


def talk(fail: bool, context: Context) -> str:
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.write(1, b"past Python\n")
    logging.getLogger("handlers").warning("logged %s", context.task_id)
    logging.getLogger("handlers").debug("not wanted")
    context.logger.warning("told", number=7)
    if fail:
        raise ValueError("it failed")
    return context.task_id


def flood(lines: int) -> int:
    for number in range(lines):
        print(f"line {number}")
    raise ValueError("after much output")


def remember(context: Context) -> dict[str, Any]:
    saved = context.saved
    context.progress(0.25, "a quarter")
    context.save({"attempt": context.attempt})
    if saved is None:
        os._exit(1)
    return {"saved": saved, "attempt": context.attempt, "tenant": context.tenant, "batch": context.batch_id}


def steps(n: int, context: Context) -> int:
    for number in range(n):
        context.progress(number / n, f"step {number}")
    return n


def rows(rows: list[dict[str, int]]) -> list[int]:
    return [row["i"] * 10 for row in rows]


def rows_die(rows: list[dict[str, int]]) -> list[int]:
    if any(row["i"] == 13 for row in rows):
        os._exit(1)
    return [row["i"] for row in rows]


def grow(mib: int) -> int:
    """Keep more memory at every call."""
    KEPT.append(bytearray(mib << 20))
    return os.getpid()


KEPT: list[bytearray] = []


def fork(how: str, context: Context) -> int:
    """The exit status of a process that comes back out of this call."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    context.progress(0.5, "forked")
    context.save("forked")
    context.logger.warning("forked")
    logging.getLogger("handlers").warning("forked")
    if how == "raise":
        raise ValueError("forked")
    if how == "exit":
        sys.exit(4)
    return -1


def fork_rows(rows: list[dict[str, int]]) -> list[int]:
    if child := os.fork():
        return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + row["i"] for row in rows]
    return []


def settings() -> tuple[int, list[int], bool]:
    return os.nice(0), sorted(os.sched_getaffinity(0)), os.getpgid(0) == os.getpid()


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


async def coroutine() -> None:
    """Cannot run in a process."""


class Group:
    @staticmethod
    def inside() -> str:
        return "inside"


NAMELESS = [lambda: 1]


def spend(context: Context) -> None:
    """Use less than it was to cost."""
    context.used(tokens=10)
