"""Runs one command with everything it starts, and lets nothing of it outlive whoever asked for it.

``python -m benchmarks.keeper COMMAND …``: the command gets a session of its own. It is ended when standard input is
closed, which also a killed parent does: SIGTERM first, SIGKILL to what is left after `GRACE_S`.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from benchmarks.usage import tree

GRACE_S: Final = float(os.environ.get("BENCH_GRACE_S", "10"))
_CHILD_SUBREAPER: Final = 36
_STEP_S: Final = 0.02


class Kept:
    """A command under a keeper of its own; leaving the block ends all of it."""

    def __init__(
        self, command: list[str], *, env: dict[str, str], folder: Path, out: int | IO[str], err: IO[str]
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.keeper", *command],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The keeper; what it keeps descends from it."""
        return self._process.pid

    @property
    def lines(self) -> IO[str]:
        """What the command says, when `out` was a pipe."""
        assert self._process.stdout is not None
        return self._process.stdout

    def ended(self) -> int | None:
        """The exit status of the command once it has ended."""
        return self._process.poll()

    def stop(self) -> int:
        """End it, and return its exit status; safe to call twice."""
        if self._process.stdin is not None:
            # It may have ended by itself already.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            return self._process.wait(3 * GRACE_S)
        except subprocess.TimeoutExpired:
            # Somebody stopped the keeper; nothing but this still reaches what is below it.
            for pid in tree(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return self._process.wait()


def main(command: list[str]) -> int:
    """Run it; its exit status, 128 and more when a signal ended it."""
    if sys.platform == "linux":
        # What outlives its own parent becomes a child of this process, so that none is missed.
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Sent to the whole group of the harness; what is kept ends in its own way. The command does not inherit this.
        signal.signal(which, lambda *_: None)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_parent, args=(process.pid,), daemon=True).start()
    status = process.wait()
    _end_rest(process.pid)
    return status if status >= 0 else 128 - status


def _end_with_parent(group: int) -> None:
    """Whoever asked holds the other end of standard input."""
    while os.read(0, 1):
        pass
    _signal(group, signal.SIGTERM)
    time.sleep(GRACE_S)
    _signal(group, signal.SIGKILL)


def _end_rest(group: int) -> None:
    """Wait for what the command left behind; kill what does not go by itself."""
    until = time.monotonic() + GRACE_S
    _signal(group, signal.SIGTERM)
    while _some_left():
        if time.monotonic() > until:
            _signal(group, signal.SIGKILL)
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        time.sleep(_STEP_S)


def _some_left() -> bool:
    """Reap those that have ended; True while others have not."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return True
    return False


def _children() -> list[int]:
    try:
        return [
            int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
        ]
    except OSError:
        return []


def _signal(group: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, which)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
