"""Schedulers in processes of their own, started and killed by tests."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Self

import wsaios

PROGRAM = Path(__file__).with_name("program.py")
SOURCE = Path(wsaios.__file__).parents[1]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "error"}


class Owner:
    def __init__(self, ledger: Path | str, *options: str, log: Path | None = None) -> None:
        """`log` is a file that gets what it says on standard error."""
        self._log = log
        self._command = [sys.executable, str(PROGRAM), str(ledger), *options]
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def begin(self) -> Self:
        with self._log.open("ab") if self._log is not None else nullcontext() as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment()
            )
        return self

    def start(self) -> Self:
        self.begin()
        self.await_line("ready")
        return self

    def await_line(self, line: str) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        assert said == line, f"the owner said {said!r} and not {line!r}; exit status {self.process.poll()}"

    def kill(self) -> None:
        """Have it die at once."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Have it end in good order; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def _reap(self) -> int:
        code = self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code
