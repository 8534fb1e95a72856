"""The one table from errors to exit statuses, and how they are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer

from wsaios.cli.streams import UNWRITABLE, complain
from wsaios.kernel import errors

OK: Final = 0
SOME_FAILED: Final = 1
BAD_USAGE: Final = 2
UNEXPECTED: Final = 70
TRY_AGAIN: Final = 75
INTERRUPTED: Final = 130

TERMINATED: Final = 143

MEANINGS: Final = (
    (OK, "done"),
    (SOME_FAILED, "some rows failed; `doctor` and `ledger check`: something is wrong"),
    (BAD_USAGE, "refused: bad usage, bad input, or a ledger that cannot be used"),
    (UNEXPECTED, "a defect of the program, with a traceback"),
    (UNWRITABLE, "standard output cannot be written; what was asked for is done"),
    (TRY_AGAIN, "not now; trying again later may help"),
    (INTERRUPTED, "stopped by SIGINT (Ctrl-C)"),
    (TERMINATED, "stopped by SIGTERM"),
)
"""What each exit status says, for the reference."""

STATUSES: Final[tuple[tuple[type[errors.WsaiosError], int], ...]] = (
    (errors.TaskFailed, SOME_FAILED),
    (errors.QueueFull, TRY_AGAIN),
    (errors.IllegalTransition, UNEXPECTED),
    (errors.CallerError, BAD_USAGE),
    (errors.OperatorError, BAD_USAGE),
    (errors.WsaiosError, TRY_AGAIN),
)
"""The first class that fits counts. Whatever is no WsaiosError is a defect: a traceback, and `UNEXPECTED`.

Source: 70 and 75 are EX_SOFTWARE and EX_TEMPFAIL of sysexits.h; 130 is what shells make of SIGINT.
"""


def status_of(error: errors.WsaiosError) -> int:
    """The exit status for an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


@contextmanager
def told(*, as_json: bool = False) -> Iterator[None]:
    """Turn errors into a line on standard error, with `as_json` also an object on standard output, and a status."""
    try:
        yield
    except errors.WsaiosError as error:
        refuse(error, as_json=as_json)
    except KeyboardInterrupt:
        complain("\ninterrupted")
        raise typer.Exit(INTERRUPTED) from None


def refuse(error: errors.WsaiosError, *, as_json: bool) -> NoReturn:
    """Tell an error and leave with its status."""
    if as_json:
        from wsaios.cli.output import print_json

        message = str(error).encode(errors="backslashreplace").decode()
        print_json({"error": {"type": type(error).__name__, "message": message}})
    complain(f"wsaios: {error}")
    raise typer.Exit(status_of(error)) from error
