"""In a worker: processes that a handler forks."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


class Offspring:
    """A process that is forked here lets go of the way to the scheduler, which must hear of the end of this one.

    On Linux it ends as soon as this one does. That is meant for one forked by the thread that calls handlers: the
    kernel ends it with the thread that forked it, and another one may be over long before. What such a process forks
    in its turn is nobody's: it outlives both.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        """For the thread that calls handlers."""
        self._descriptors = descriptors
        self._pid = os.getpid()
        self._thread = threading.get_ident()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        descriptors, self._descriptors = self._descriptors, ()
        for descriptor in descriptors:
            with suppress(OSError):
                os.close(descriptor)
        thread, self._thread = self._thread, 0
        if thread == threading.get_ident():
            die_with(self._pid)


def die_with(parent: int) -> None:
    """Linux ends this process as soon as its parent ends, however that was; elsewhere the control pipe tells."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  # only here

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
