"""A fresh process for every run: how it is started, and what it does."""

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.disk import disk, sync_times_ms
from benchmarks.figures import Sample, Values
from benchmarks.machine import ROOT, Watching, pace_ns


class Failed(Exception):
    """A measuring process did not end well; the message is what it said last."""


class Given(msgspec.Struct):
    """What a measure gets: an empty folder (a stage: that of its measure), its sizes, how many runs if it makes them.

    `url` is the ledger on a server, empty: one in the folder; `synced` is the folder whose disk the server waits for.
    `spawned_s` is the monotonic time at which the process was asked for.
    """

    module: str
    folder: str
    size: dict[str, int | str]
    answer: str
    runs: int = 1
    probed: bool = True
    url: str = ""
    synced: str = ""
    spawned_s: float = 0.0

    def number(self, name: str) -> int:
        """A size that is a number."""
        return int(self.size[name])

    def word(self, name: str) -> str:
        """A size that is a name."""
        return str(self.size[name])

    def ledger(self, name: str = "bench") -> str:
        """The address of a ledger: that on the server, else one in the folder."""
        return self.url or f"sqlite:///{self.folder}/{name}.db"


def fresh(given: Given, *, timeout_s: float) -> Sample:
    """Run a module's `measure` in a new process and return what it found.

    Raises:
        Failed: it ended badly or not in time.
    """
    given.spawned_s = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.processes", msgspec.json.encode(given).decode()]
    # What is measured is this checkout, whatever is installed.
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    lifeline, held = os.pipe()
    try:
        done = subprocess.run(
            command,
            cwd=given.folder,
            env=environment,
            stdin=lifeline,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{given.module} {given.size} took more than {timeout_s:g} s") from error
    finally:
        os.close(lifeline)
        os.close(held)
    answer = Path(given.answer)
    if done.returncode or not answer.exists():
        raise Failed(
            f"{given.module} {given.size} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}"
        )
    sample = msgspec.json.decode(answer.read_bytes(), type=Sample)
    answer.unlink()
    return sample


def deliver(given: Given, sample: Sample) -> None:
    """Hand the answer to the process that asked."""
    Path(given.answer).write_bytes(msgspec.json.encode(sample))


def end_with_parent() -> None:
    """Who asked holds the other end of standard input, and lets go of it even when killed."""
    os.read(0, 1)
    os._exit(3)


def main() -> None:
    """Measure as told by the only argument."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    given = msgspec.json.decode(sys.argv[1], type=Given)
    measure: Callable[[Given], Values] = importlib.import_module(f"benchmarks.measures.{given.module}").measure
    folder = Path(given.synced or given.folder)
    times = sync_times_ms(folder) if given.probed else []
    pace = pace_ns()
    watching = Watching()
    values = measure(given)
    sample = Sample(values, None, watching.others_cores(), wall_s=watching.wall_s())
    sample.pace_ns = (pace + pace_ns()) / 2
    if given.probed:
        times += sync_times_ms(folder)
        sample.disk = disk(times)
    deliver(given, sample)


if __name__ == "__main__":
    main()
