"""Programs that are started, told to stop or killed, and looked at from outside."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import apsw

from wsaios.kernel.states import State

ROOT: Final = Path(__file__).parents[3]
MARK: Final = "WSAIOS_TEST_MARK"
LIMIT_S: Final = 30.0
LOOK_S: Final = 0.02


@dataclass
class Program:
    """A running program; every process that comes from it carries `mark` in its environment."""

    process: subprocess.Popen[str]
    mark: str
    errors: Path

    def serving(self) -> None:
        """Wait until it serves."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "serving\n"

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def tell_until_it_ends(self, number: signal.Signals) -> int:
        """Send a signal again and again: two that come at once may count as one."""
        for _ in range(300):
            self.process.send_signal(number)
            try:
                return self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        return self.process.wait(LIMIT_S)

    def end(self) -> str:
        """Wait until it has ended by itself and well; what it said last."""
        said, _ = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0
        return said

    def errors_say(self, words: str) -> None:
        """Wait until it has said that on standard error."""
        until_s = time.monotonic() + LIMIT_S
        while words not in self.errors.read_text("utf-8"):
            assert time.monotonic() < until_s, f"{words!r} was not said"
            time.sleep(LOOK_S)

    def family(self) -> set[int]:
        """The processes that live and come from it, itself included."""
        mark = f"{MARK}={self.mark}".encode()
        found = set()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environment.read_bytes():
                    found.add(int(environment.parent.name))
            except OSError:
                continue
        return found


@contextmanager
def started(command: list[str], folder: Path, *imports: Path) -> Iterator[Program]:
    """Start a command in the checkout, with more folders on Python's path; it is killed when it outlives the block."""
    mark = uuid4().hex
    places = [*map(str, imports), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, MARK: mark, "PYTHONPATH": os.pathsep.join(places)}
    path = folder / f"errors.{mark}"
    with path.open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors)
    try:
        yield Program(process, mark, path)
    finally:
        process.kill()
        process.communicate()


def program(folder: Path, grace_s: float, *tasks: str) -> list[str]:
    """The command of the serving program."""
    return [sys.executable, "-m", "tests.acceptance.shutdown.program", str(folder), str(grace_s), *tasks]


def release(folder: Path) -> None:
    """Let handlers end."""
    (folder / "release").touch()


def executions(folder: Path) -> Counter[str]:
    """How often each call was begun, by the handlers' own trace."""
    return Counter((folder / "trace").read_text("utf-8").split())


def tasks(folder: Path) -> dict[str, tuple[State, Any]]:
    """State and reason of every task of a closed ledger, by its call; read past all code of the product."""
    connection = apsw.Connection(str(folder / "work.db"))
    rows = connection.execute(
        """
        SELECT payload.data ->> '$.call', task.state, json(task.body) ->> '$[12]'
        FROM (SELECT id, state, body FROM live UNION ALL SELECT id, state, body FROM outcome) AS task
        JOIN payload ON payload.id = task.id
        """
    )
    found = {str(call): (State(state), reason) for call, state, reason in rows}
    connection.close()
    return found


def left_in_order(folder: Path) -> bool:
    """Whether the last owner let go of the ledger and folded its log in."""
    connection = apsw.Connection(str(folder / "work.db"))
    clean = bool(connection.execute("SELECT clean FROM owner").get)
    connection.close()
    return clean
