"""One round with real processes: die, start again on the same ledger, die again, and at last run undisturbed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from tests.acceptance.crash.lines import Lines
from tests.acceptance.crash.plan import Death, Plan
from tests.acceptance.crash.verdict import Problem, Verdict, judge

ROOT: Final = Path(__file__).parents[3]
MODULE: Final = "tests.acceptance.crash.worker"
LIMIT_S: Final = 60.0
BEGUN: Final = b"begun\n"


@dataclass(frozen=True)
class Life:
    """How one process ended; `died` says that it was killed, in the way that was planned."""

    death: Death | None
    died: bool
    problem: str = ""


@dataclass(frozen=True)
class Round:
    """What came of one round."""

    plan: Plan
    folder: Path
    lives: tuple[Life, ...]
    verdict: Verdict
    seconds: float
    places: frozenset[str] = frozenset()

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong, the way processes ended included."""
        return [Problem("process", life.problem) for life in self.lives if life.problem] + list(self.verdict.problems)


@dataclass
class Worker:
    """A worker process and what it says."""

    process: subprocess.Popen[bytes]
    journal: Lines
    begun: threading.Event = field(default_factory=threading.Event)

    def listen(self, pipe: IO[bytes]) -> None:
        """Journal what the worker acknowledges, to the last line that it wrote before it died."""
        for line in pipe:
            if line == BEGUN:
                self.begun.set()
            elif line.endswith(b"\n"):
                self.journal.copy_durably(line)
        self.begun.set()


def run_round(plan: Plan, folder: Path, sabotage: str = "") -> Round:
    """Run and judge one round in an empty folder."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    lives = []
    for number, death in enumerate((*plan.deaths, None)):
        lives.append(_live(plan, folder, number, death, sabotage))
        if lives[-1].problem:
            break
    reached = folder / "places"
    places = frozenset(reached.read_text("utf-8").split()) if reached.exists() else frozenset()
    return Round(plan, folder, tuple(lives), judge(folder), time.monotonic() - began, places)


def _live(plan: Plan, folder: Path, number: int, death: Death | None, sabotage: str) -> Life:
    journal = Lines(folder / "journal")
    with (folder / f"errors.{number}").open("wb") as errors:
        process = subprocess.Popen(
            _command(plan, folder, number, death, sabotage),
            cwd=ROOT,
            env=_environment(folder, death),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    worker = Worker(process, journal)
    listener = threading.Thread(target=worker.listen, args=(process.stdout,))
    listener.start()
    late = _wait(worker, death)
    listener.join()
    process.stdout.close()
    died = process.returncode == -signal.SIGKILL and not late
    if died and death is not None and death.kind == "submit":
        journal.append({"what": "died behind a submit", "life": number})
    journal.close()
    problem = late
    if process.returncode not in {0, -signal.SIGKILL} or (death is None and process.returncode):
        problem = f"life {number} ended with {process.returncode}: {(folder / f'errors.{number}').read_text()[-2000:]}"
    return Life(death, died, problem)


def _wait(worker: Worker, death: Death | None) -> str:
    """Wait for the end, or bring it about; returns what is wrong when it has to."""
    process = worker.process
    try:
        if death is not None and death.kind == "random":
            worker.begun.wait(LIMIT_S)
            try:
                process.wait(death.after_s)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        process.kill()
        process.wait()
        return f"{process.args!r} had not ended after {LIMIT_S:g} s; its stack is in its errors"
    return ""


def _command(plan: Plan, folder: Path, number: int, death: Death | None, sabotage: str) -> Sequence[str]:
    command = [sys.executable, "-m", MODULE, str(folder), str(number), plan.seed]
    if death is not None:
        command += ["--acknowledge", death.acknowledge, "--dies-at", str(death.submission)]
    return [*command, "--sabotage", sabotage] if sabotage else command


def _environment(folder: Path, death: Death | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSAIOS_")}
    environment["WSAIOS_FAILPOINT_TRACE"] = str(folder / "places")
    if death is not None and death.failpoint:
        environment["WSAIOS_FAILPOINT"] = f"{death.failpoint}@{death.hit}"
    return environment
