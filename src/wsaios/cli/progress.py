"""How a batch's way is shown: a bar on a terminal, plain lines elsewhere, or nothing."""

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from wsaios.cli.pace import Pace, span, speed
from wsaios.cli.streams import if_heard

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_EVERY_S: Final = 5.0
_NEVER: Final = 11
_FRAME_S: Final = 0.08
_MIB: Final = 1 << 20
_WORDS: Final = {
    "check": "checking",
    "copy": "copying",
    "accept": "accepting",
    "run": "running",
    "write": "writing",
    "move": "copying",
    "verify": "verifying",
}
_IN_BYTES: Final = ("check", "copy")
_BRIEF_BYTES: Final = 4 << 20
_BRIEF_ROWS: Final = 20_000
_WIDE: Final = 72
_PLAIN_TERMINALS: Final = ("dumb", "unknown")
Clock = Callable[[], float]


class Progress(Protocol):
    """A listener of a batch run that is closed at the end."""

    def phase(self, phase: str, total: int) -> None:
        """A part of the work begins."""

    def advance(self, done: int, failed: int = 0) -> None:
        """So much of it is done."""

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def close(self) -> None:
        """Nothing more will come."""


class Silent:
    """Says nothing."""

    def phase(self, phase: str, total: int) -> None:
        """Nothing."""

    def advance(self, done: int, failed: int = 0) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """A line every five seconds and at every tenth of the way."""

    def __init__(self, stream: TextIO, now_s: Clock = time.monotonic) -> None:
        self._stream = stream
        self._now_s = now_s
        self.phase("run", 0)

    def phase(self, phase: str, total: int) -> None:
        """Count anew. Rows that run have their tenths told; of the other parts, long ones say that they begin."""
        self._phase, self._total = phase, total
        self._pace = Pace(total)
        self._due_s = self._now_s() + _EVERY_S
        self._tenth = 1 if phase == "run" else _NEVER
        self._told = (-1, -1)
        if phase != "run" and not _brief(phase, total):
            self.note(f"{_WORDS[phase]} {_amount(phase, total)}")

    def advance(self, done: int, failed: int = 0) -> None:
        """Write a line if one is due and there is something new."""
        now_s = self._now_s()
        self._pace.look(done, now_s)
        tenths = 10 * done // self._total if self._total else 10
        if (done, failed) == self._told or (tenths < self._tenth and now_s < self._due_s):
            return
        if self._phase == "run":
            self._tenth = tenths + 1
        self._due_s = now_s + _EVERY_S
        self._told = (done, failed)
        self._stream.write(f"{described(self._phase, done, self._total, failed, self._pace)}\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """A line of its own."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left open."""


class Bar:
    """A bar with rows done, rate, failures and time left."""

    def __init__(self, now_s: Clock = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._now_s = now_s
        console, told = Console(stderr=True), TextColumn("{task.fields[told]}")
        # Where not everything fits, numbers say more than a bar.
        before = [TextColumn("{task.description:<9}"), BarColumn(bar_width=None)] if console.width >= _WIDE else []
        self._bar: RichProgress = Progress(*before, told, console=console, auto_refresh=False, expand=True)
        self._task = self._bar.add_task("", total=None, told="", visible=False)
        self._pace = Pace(0)
        self._phase = ""
        self._total = 0
        self._frame_s = 0.0
        self._shown = False
        self._bar.start()

    def phase(self, phase: str, total: int) -> None:
        """Begin a bar in the same line."""
        self._phase, self._total = phase, total
        self._pace = Pace(total)
        self._shown = phase == "run" or not _brief(phase, total)
        if self._shown:
            self._bar.update(
                self._task, description=_WORDS[phase], total=total or 1, completed=0, told="", visible=True
            )

    def advance(self, done: int, failed: int = 0) -> None:
        """Move it, some twelve times a second at most, and whenever all is done."""
        now_s = self._now_s()
        self._pace.look(done, now_s)
        if not self._shown or (now_s < self._frame_s and done < self._total):
            return
        self._frame_s = now_s + _FRAME_S
        told = counted(self._phase, done, self._total, failed, self._pace)
        self._bar.update(self._task, completed=done, told=told, refresh=True)

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        """Leave the bar as it is and give the cursor back."""
        self._bar.stop()


class WhileHeard:
    """Another one, until what it writes to is gone or full: a batch does not end because nobody watches it."""

    def __init__(self, make: Callable[[], Progress], stream: TextIO) -> None:
        self._stream = stream
        self._inner: Progress = Silent()
        self._heard(lambda: setattr(self, "_inner", make()))

    def phase(self, phase: str, total: int) -> None:
        """Passed on."""
        self._heard(lambda: self._inner.phase(phase, total))

    def advance(self, done: int, failed: int = 0) -> None:
        """Passed on."""
        self._heard(lambda: self._inner.advance(done, failed))

    def note(self, text: str) -> None:
        """Passed on."""
        self._heard(lambda: self._inner.note(text))

    def close(self) -> None:
        """Passed on."""
        self._heard(self._inner.close)

    def _heard(self, tell: Callable[[], None]) -> None:
        if not if_heard(tell, self._stream):
            self._inner = Silent()


def progress_for(*, quiet: bool, stream: TextIO | None = None) -> Progress:
    """What fits: nothing when it shall be quiet, a bar on a terminal that can show one, else lines."""
    to = sys.stderr if stream is None else stream
    if quiet:
        return Silent()
    shows_a_bar = to.isatty() and os.environ.get("TERM") not in _PLAIN_TERMINALS
    return WhileHeard(Bar if shows_a_bar else lambda: Lines(to), to)


def described(phase: str, done: int, total: int, failed: int, pace: Pace) -> str:
    """A line for those without a terminal."""
    share = 100 * done // total if total else 100
    return f"{_WORDS[phase]}: {share} %, {counted(phase, done, total, failed, pace)}"


def counted(phase: str, done: int, total: int, failed: int, pace: Pace) -> str:
    """Done and total, failures, rate and time left in words."""
    left = "" if done >= total else f", {span(pace.left_s)} left"
    if phase in _IN_BYTES:
        return f"{done / _MIB:,.0f}/{total / _MIB:,.0f} MiB, {pace.rate / _MIB:,.0f} MiB/s{left}"
    failures = f"{failed:,} failed, " if phase == "run" else ""
    return f"{done:,}/{total:,} rows, {failures}{speed(pace.rate)} rows/s{left}"


def _brief(phase: str, total: int) -> bool:
    return total < (_BRIEF_BYTES if phase in _IN_BYTES else _BRIEF_ROWS)


def _amount(phase: str, total: int) -> str:
    return f"{total / _MIB:,.0f} MiB" if phase in _IN_BYTES else f"{total:,} rows"
