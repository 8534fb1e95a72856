"""Schedulers under a supervisor that starts anew what ended, and a client beside them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.architecture.modules import ROOT

ENVIRONMENT: Final = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
_AGAIN_S: Final = 0.2
_STOP_S: Final = 30.0


def _run(module: str, folder: Path, *arguments: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    with (folder / f"{module}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"tests.acceptance.chaos.{module}", *arguments],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=stdin,
            stdout=log,
            stderr=log,
        )


class Workers:
    """A scheduler for each address; one that ends is followed by another after a moment, unless that is held back."""

    def __init__(self, urls: Sequence[str], folder: Path) -> None:
        self._urls = urls
        self._folder = folder
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._killed: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self.held_back = False
        self.ended_by_themselves: list[int] = []

    def begin(self) -> int:
        """Start the first; its pid."""
        self._alive[0] = _run("worker", self._folder, self._urls[0])
        return self._alive[0].pid

    def start(self) -> None:
        """Start the others, and watch over all."""
        self._fill()
        self._thread.start()

    def kill(self, pid: int | None = None) -> int:
        """SIGKILL one, the first unless its pid is given; its pid."""
        for process in list(self._alive.values()):
            if process.pid == (pid or process.pid) and process.poll() is None:
                self._killed.add(process.pid)
                process.kill()
                process.wait()
                return process.pid
        raise ProcessLookupError(pid)

    def stop(self) -> str:
        """Stop all in good order; what was wrong with that."""
        self._over.set()
        self._thread.join()
        for process in self._alive.values():
            process.send_signal(signal.SIGTERM)
        try:
            for process in self._alive.values():
                process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            return f"a scheduler had not ended {_STOP_S:g} s after SIGTERM"
        finally:
            self.end()
        return ""

    def end(self) -> None:
        """Leave nothing behind; safe to call twice."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        for process in self._alive.values():
            process.kill()
            process.wait()

    def _supervise(self) -> None:
        while not self._over.wait(_AGAIN_S):
            for place, process in list(self._alive.items()):
                if process.poll() is not None:
                    del self._alive[place]
                    if process.pid not in self._killed:
                        self.ended_by_themselves.append(process.returncode)
            if not self.held_back:
                self._fill()

    def _fill(self) -> None:
        for place, url in enumerate(self._urls):
            if place not in self._alive:
                self._alive[place] = _run("worker", self._folder, url)


class Client:
    """The client's process."""

    def __init__(self, url: str, folder: Path) -> None:
        self._process = _run("client", folder, url, str(folder), stdin=subprocess.PIPE)

    def rate(self, each_s: float) -> None:
        self._tell(f"rate {each_s}")

    def burst(self, count: int) -> None:
        self._tell(f"burst {count}")

    def end(self, within_s: float) -> str:
        """Submit no more, and wait for the answers; what was wrong with that."""
        self._tell("end")
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return f"the client had no answer to everything {within_s:g} s after its last submission"
        return f"the client ended with {code}" if code else ""

    def kill(self) -> None:
        """Leave nothing behind; safe to call twice."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        if self._process.poll() is None:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def sleep_until(until_s: float) -> None:
    """Sleep until that moment of the monotonic clock; not at all when it is over."""
    time.sleep(max(0.0, until_s - time.monotonic()))
