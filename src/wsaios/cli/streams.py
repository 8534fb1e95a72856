"""Standard streams as they come: closed, full, in an old encoding, or with nobody left to read them."""

import io
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, TextIO

import typer

UNWRITABLE: Final = 74
"""Source: EX_IOERR of sysexits.h."""


def prepare() -> None:
    """Make all three usable: a closed one leads nowhere, and what an encoding lacks is written as an escape."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken: else the next file or socket would be taken for a standard stream.
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(texts: Iterable[str]) -> None:
    """Write to standard output; a reader that has left has read enough.

    Raises:
        typer.Exit: it cannot be written, which was said on standard error.
    """
    try:
        sys.stdout.writelines(texts)
        sys.stdout.flush()
    except BrokenPipeError:
        lead_nowhere(sys.stdout)
    except OSError as error:
        lead_nowhere(sys.stdout)
        complain(f"wsaios: standard output cannot be written: {error.strerror}")
        raise typer.Exit(UNWRITABLE) from error


def complain(text: str) -> None:
    """A line on standard error, if anybody can be told."""
    if_heard(lambda: _say(sys.stderr, f"{text}\n"), sys.stderr)


def if_heard(tell: Callable[[], None], stream: TextIO) -> bool:
    """Call `tell`, which writes to `stream`; False when that cannot be written, and from then on it leads nowhere."""
    try:
        tell()
    except OSError:
        lead_nowhere(stream)
        return False
    return True


def lead_nowhere(stream: TextIO) -> None:
    """Throw away what is left in a stream's buffers and all that comes, so that the end of the process is quiet."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _say(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
