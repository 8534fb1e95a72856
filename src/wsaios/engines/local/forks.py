"""Processes that code of the user forks."""

import os
from types import TracebackType


class Unforked:
    """Around code of the user: a process that was forked in there and comes back out of it ends here.

    Pipes, threads and the ledger belong to the process that entered. Its exit status is what Python would give it.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __enter__(self) -> None:
        """Nothing: this process is the right one."""

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        """Without a flush: what stands in buffers is of the process that entered, too."""
        if os.getpid() != self._pid:
            os._exit(_status(error))


def _status(error: BaseException | None) -> int:
    """The exit status of a process that ends with this exception."""
    if not isinstance(error, SystemExit):
        return int(error is not None)
    if isinstance(error.code, int):
        return error.code & 0xFF
    return int(error.code is not None)
