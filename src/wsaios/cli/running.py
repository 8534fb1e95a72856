"""``wsaios batch run``: checks, runs, listens to signals, and says how it ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import typer

from wsaios.cli.errors import INTERRUPTED, OK, SOME_FAILED, told
from wsaios.cli.output import only_json, plain, print_json, print_lines
from wsaios.cli.pace import speed
from wsaios.cli.progress import progress_for
from wsaios.kernel.views import amount
from wsaios.scheduler.own_signals import give_back, keep
from wsaios.sdk.batch_plan import Request, prepare
from wsaios.sdk.batch_run import BatchRun
from wsaios.sdk.batch_summary import Summary
from wsaios.sdk.holder import refuse_owned

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = b"\x1b[?25h"
_CLEAR_LINE: Final = b"\r\x1b[2K"


class Interrupts:
    """What signals do to a run: the first one has it stop, a second SIGINT leaves at once."""

    def __init__(self, run: BatchRun, loop: asyncio.AbstractEventLoop, grace_s: float, *, quiet: bool) -> None:
        self._run = run
        self._loop = loop
        self._grace_s = grace_s
        self._quiet = quiet
        self.first: signal.Signals | None = None

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """Runs in the main thread between two of its instructions, also while a handler blocks the loop."""
        if self.first is None:
            self.first = signal.Signals(number)
            grace = f"what runs has {self._grace_s:g} s to end, nothing more is started"
            self._say(f"{self.first.name}: {grace}; Ctrl-C again leaves at once")
            self._loop.call_soon_threadsafe(self._run.stop)
        elif number == signal.SIGINT:
            self._say("left at once; nothing is lost, run the same command again to go on")
            with suppress(OSError):
                if sys.stderr.isatty():
                    os.write(2, _SHOW_CURSOR)
            os._exit(INTERRUPTED)

    def _say(self, text: str) -> None:
        # Past Python's buffers, which the code that was interrupted may be writing to.
        with suppress(OSError):
            if not self._quiet:
                os.write(2, (_CLEAR_LINE if sys.stderr.isatty() else b"") + text.encode() + b"\n")


def run_batch(request: Request, *, ledger: str | None, grace_s: float, quiet: bool, as_json: bool) -> NoReturn:
    """Run it and leave with its exit status."""
    with told(as_json=as_json):
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            with only_json() if as_json else nullcontext():
                summary, interrupt = _run(request, runner, ledger, grace_s, quiet=quiet)
            _say(summary, request, quiet=quiet, as_json=as_json)
            if interrupt is not None:
                # A handler may have left threads behind that nobody can end, and an exit in good order waits for them.
                sys.stderr.flush()
                os._exit(128 + interrupt)
        raise typer.Exit(SOME_FAILED if summary.unsuccessful else OK)


def _run(
    request: Request, runner: asyncio.Runner, ledger: str | None, grace_s: float, *, quiet: bool
) -> tuple[Summary, signal.Signals | None]:
    progress = progress_for(quiet=quiet)
    try:
        refuse_owned(ledger)
        plan = prepare(request, Path.cwd(), lambda size: progress.phase("check", size), progress.advance)
        run = BatchRun(plan, progress, ledger=ledger, grace_s=grace_s)
        interrupts = Interrupts(run, runner.get_loop(), grace_s, quiet=quiet)
        with _listening(interrupts):
            summary = runner.run(run.go())
    finally:
        progress.close()
    return summary, None if summary.finished else interrupts.first


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@contextmanager
def _listening(interrupts: Interrupts) -> Iterator[None]:
    before = {number: signal.signal(number, interrupts.hear) for number in _SIGNALS}
    for number, handler in before.items():
        keep(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
            give_back(number)


def _say(summary: Summary, request: Request, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(plain(summary) | {"rate": round(summary.rate, 3)})
        return
    if quiet:
        return
    print_lines(told_of(summary, Path(request.source).name))


def told_of(summary: Summary, source: str) -> Iterator[str]:
    """The last lines: what became of the rows, and where they are."""
    name = f"{summary.id} of {source}" if summary.id else source
    counts = [(word, getattr(summary, word)) for word in ("succeeded", "failed", "cancelled", "expired", "lost")]
    parts = ", ".join(f"{count:,} {word}" for word, count in counts if count or word in {"succeeded", "failed"})
    if not summary.finished:
        yield f"{name} stopped: {parts}, {summary.rows - summary.ended:,} to go of {amount(summary.rows, 'row')}"
        yield "run the same command again to go on"
        return
    yield f"{name}: {amount(summary.rows, 'row')}, {parts}"
    if summary.ran:
        before = f", {summary.ended - summary.ran:,} before" if summary.ended > summary.ran else ""
        yield f"{amount(summary.ran, 'row')} in {summary.seconds:.1f} s ({speed(summary.rate)} rows/s){before}"
    else:
        yield "it was finished before; nothing had to run (--fresh runs it anew)"
    yield f"results: {summary.out}"
    if summary.errors:
        yield f"errors:  {summary.errors}"
    if summary.failed or summary.lost:
        yield f"to run them again: wsaios batch replay {summary.id}, then the same command"
