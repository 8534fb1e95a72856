"""Rounds with real processes: die, start again on the same ledger, die again, and at last run undisturbed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from tests.acceptance.crash.lines import Lines
from tests.acceptance.crash.nursery import ROOT, Nursery, Process
from tests.acceptance.crash.plan import Death, Plan
from tests.acceptance.crash.verdict import Problem, Verdict, judge
from tests.servers.postgres import PostgresServer

LIMIT_S: Final = 60.0
BEGUN: Final = b"begun\n"


@dataclass(frozen=True)
class Life:
    """How one process ended; `died` says that it was killed in the way that was planned."""

    death: Death | None
    died: bool
    problem: str = ""


@dataclass(frozen=True)
class Round:
    """What came of one round; `places` are the failpoints that its processes reached."""

    plan: Plan
    folder: Path
    lives: tuple[Life, ...]
    verdict: Verdict
    seconds: float
    places: frozenset[str]

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong, the way processes ended included."""
        return [Problem("process", life.problem) for life in self.lives if life.problem] + list(self.verdict.problems)


@dataclass
class Ear:
    """Hears what a worker says, and journals what it acknowledges, to the last line that it wrote before it died."""

    pipe: IO[bytes]
    journal: Lines
    begun: threading.Event = field(default_factory=threading.Event)

    def listen(self) -> None:
        """Listen until the worker is gone."""
        for line in self.pipe:
            if line == BEGUN:
                self.begun.set()
            elif line.endswith(b"\n"):
                self.journal.copy_durably(line)
        self.begun.set()


def run_rounds(
    plans: Sequence[Plan], folder: Path, *, jobs: int = 0, sabotage: str = "", server: PostgresServer | None = None
) -> Iterator[Round]:
    """Run rounds, each in a folder of its own, `jobs` beside each other (0: one for each processor), in order."""
    workers = jobs or os.cpu_count() or 1
    nurseries = threading.local()
    opened: list[Nursery] = []

    def prepare() -> None:
        nurseries.own = Nursery()
        opened.append(nurseries.own)

    def run(plan: Plan) -> Round:
        return run_round(plan, folder / plan.seed, nurseries.own, sabotage)

    if server is not None:
        for each in plans:
            (folder / each.seed).mkdir(parents=True)
            (folder / each.seed / "ledger").write_text(server.fresh(), "utf-8")
    try:
        with ThreadPoolExecutor(workers, initializer=prepare) as pool:
            yield from pool.map(run, plans)
    finally:
        for nursery in opened:
            nursery.close()


def run_round(plan: Plan, folder: Path, nursery: Nursery, sabotage: str = "") -> Round:
    """Run and judge one round in a folder that is not there yet, or has nothing but the address of its ledger."""
    began = time.monotonic()
    if [*folder.glob("*")] != [folder / "ledger"]:
        folder.mkdir(parents=True)
    lives = []
    for number, death in enumerate((*plan.deaths, None)):
        lives.append(_live(plan, folder, number, death, nursery, sabotage))
        if lives[-1].problem:
            break
    reached = folder / "places"
    places = frozenset(reached.read_text("utf-8").split()) if reached.exists() else frozenset()
    return Round(plan, folder, tuple(lives), judge(folder), time.monotonic() - began, places)


def _live(plan: Plan, folder: Path, number: int, death: Death | None, nursery: Nursery, sabotage: str) -> Life:
    journal = Lines(folder / "journal")
    output, spoken = os.pipe()
    with os.fdopen(output, "rb") as pipe:
        ear = Ear(pipe, journal)
        with (folder / f"errors.{number}").open("wb") as errors:
            process = _start(plan, folder, number, death, (nursery, sabotage, spoken, errors.fileno()))
        os.close(spoken)
        listener = threading.Thread(target=ear.listen)
        listener.start()
        problem = _wait(process, ear, death)
        listener.join()
    died = process.returncode == -signal.SIGKILL and not problem
    if died and death is not None and death.kind == "submit":
        journal.append({"what": "died behind a submit", "life": number})
    journal.close()
    if not problem and process.returncode != 0 and not (died and death is not None):
        problem = f"life {number} ended with {process.returncode}: {(folder / f'errors.{number}').read_text()[-2000:]}"
    return Life(death, died, problem)


def _start(plan: Plan, folder: Path, number: int, death: Death | None, means: tuple[Nursery, str, int, int]) -> Process:
    """Fork a worker that is to die; the last one is a new interpreter, as a person would start it."""
    nursery, sabotage, output, errors = means
    arguments = [str(folder), str(number), plan.seed]
    if sabotage:
        arguments += ["--sabotage", sabotage]
    if death is None:
        command = [sys.executable, "-m", "tests.acceptance.crash.worker", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=_environment(folder, death), stdout=output, stderr=errors)
    arguments += ["--acknowledge", death.acknowledge]
    arguments += ["--dies-at", str(death.submission), "--dies-in", str(death.execution)]
    return nursery.bear(arguments, _environment(folder, death), output, errors)


def _wait(process: Process, ear: Ear, death: Death | None) -> str:
    """Wait for the end, or bring it about; returns what is wrong when it does not come by itself."""
    try:
        if death is not None and death.kind == "random":
            ear.begun.wait(LIMIT_S)
            try:
                process.wait(death.after_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return f"a worker had not ended after {LIMIT_S:g} s; its stack is in its errors"
    return ""


def _environment(folder: Path, death: Death | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSAIOS_")}
    environment["WSAIOS_FAILPOINT_TRACE"] = str(folder / "places")
    if death is not None and death.failpoint:
        environment["WSAIOS_FAILPOINT"] = f"{death.failpoint}@{death.hit}"
    return environment
