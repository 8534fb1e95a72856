"""The failpoint of crash tests: kills the process at a named place, and notes which places were reached."""

import os
import signal
from collections import Counter
from collections.abc import Mapping
from typing import Final

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.failpoints import FAILPOINTS, Failpoint, nothing

TRACE: Final = "WSAIOS_FAILPOINT_TRACE"
"""The environment variable that names the file into which every place is written when it is first reached."""


def from_environment(value: str | None, environment: Mapping[str, str] = os.environ) -> Failpoint:
    """Die at the n-th hit of a place, without a word; `value` is like ``"ledger.ended@3"`` or ``"ledger.ended"``.

    None never dies; then only the trace is kept, if the environment asks for one.

    Raises:
        InvalidInput: there is no such place, or the number is none.
    """
    name, hit = _parsed(value) if value else ("", 0)
    trace = environment.get(TRACE)
    if not value and not trace:
        return nothing
    hits: Counter[str] = Counter()

    def reached(place: str) -> None:
        hits[place] += 1
        if trace and hits[place] == 1:
            _note(trace, place)
        if place == name and hits[place] == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _parsed(value: str) -> tuple[str, int]:
    name, mark, count = value.partition("@")
    if name not in FAILPOINTS:
        raise InvalidInput("failpoint", f"there is none called {name!r}; there are {', '.join(FAILPOINTS)}")
    if mark and (not count.isdecimal() or count == "0"):
        raise InvalidInput("failpoint", f"{value!r} asks for hit {count!r}; hits are counted from 1")
    return name, int(count or 1)


def _note(trace: str, place: str) -> None:
    # One write to a file opened for appending: processes that share the trace do not mix their lines.
    file = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, f"{place}\n".encode())
    finally:
        os.close(file)
