"""One run of one system: its store made, its worker and its client started, what they tell read, all of it ended."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.disk import disk, sync_times_ms
from benchmarks.figures import Sample
from benchmarks.keeper import Kept
from benchmarks.machine import ROOT, Watching, busy_s, pace_ns
from benchmarks.processes import Failed, Given, fresh
from benchmarks.servers import Place, Servers
from benchmarks.systems import IN_PROCESS, System
from benchmarks.usage import tree_s

PEERS: Final = ROOT / ".venv-peers"
_LAST: Final = 1_500
_PREPARE_S: Final = 60.0
_LOOK_S: Final = 0.1


class Told(msgspec.Struct):
    """One line of a client (`benchmarks.peers.line`)."""

    event: str
    system: str = ""
    durability: str = ""
    survives: bool = False
    right: int = 0
    submit_s: float = 0.0
    total_s: float = 0.0


class Outcome(msgspec.Struct):
    """What one run gave, and what the system said of itself."""

    sample: Sample
    system: str
    durability: str
    survives: bool


class Marks(msgspec.Struct):
    """Wall clock, processor time of the system, and of the whole machine."""

    wall_s: float
    used_s: float
    busy_s: float | None


def run(system: System, folder: Path, servers: Servers, *, timeout_s: float) -> Outcome:
    """Run it once, in an empty folder.

    Raises:
        Failed: it did not end well or not in time, or not every result was right; says what it told last.
    """
    with _store(system, folder, servers) as place:
        times = sync_times_ms(place.folder)
        pace = pace_ns()
        outcome = (_embedded if system.measure else _across)(system, folder, place, timeout_s)
        outcome.sample.pace_ns = (pace + pace_ns()) / 2
        outcome.sample.disk = disk(times + sync_times_ms(place.folder))
    return outcome


@contextmanager
def _store(system: System, folder: Path, servers: Servers) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        if system.server == "redis":
            yield stack.enter_context(servers.redis())
        elif system.server == "postgres" and system.ours:
            yield servers.postgres()
        elif system.server == "postgres":
            yield stack.enter_context(servers.database(f"bench_{folder.name.replace('-', '_')}".lower()))
        elif system.ours:
            yield Place(f"sqlite:///{folder}/bench.db", folder)
        else:
            yield Place(str(folder / "bench.db"), folder)


def _embedded(system: System, folder: Path, place: Place, timeout_s: float) -> Outcome:
    """A measure of our own, in a process of its own."""
    url = place.url if system.server else ""
    given = Given("throughput", str(folder), {**system.measure, "n": system.n}, str(folder / "answer.json"), url=url)
    given.probed = False
    watching, server_s = Watching(), tree_s(place.pid) if place.pid else 0.0
    sample = fresh(given, timeout_s=timeout_s)
    others = watching.others_cores()
    if others is not None and place.pid:
        others = max(0.0, others - (tree_s(place.pid) - server_s) / watching.wall_s())
    sample.others_cores = others
    return Outcome(sample, "wsaios", system.durability, survives=True)


def _across(system: System, folder: Path, place: Place, timeout_s: float) -> Outcome:
    """A worker, where it has one, and a client that times itself."""
    environment = _environment(system, place)
    log = folder / "worker.log"
    try:
        with log.open("w+", encoding="utf-8") as err, contextlib.ExitStack() as stack:
            if system.before:
                _prepare(_command(system, system.before), environment, folder)
            roots = [place.pid] if place.pid else []
            workers: list[Kept] = []
            for _ in range(system.workers if system.worker else 0):
                command = _command(system, system.worker)
                worker = Kept(command, env=environment, folder=folder, out=subprocess.DEVNULL, err=err)
                workers.append(stack.enter_context(worker))
                roots.append(worker.pid)
            client = [*_python(system), "-m", "benchmarks.peers.client", system.module]
            kept = Kept(client, env=environment, folder=folder, out=subprocess.PIPE, err=err)
            stack.enter_context(kept)
            with _watched(kept, workers, system, timeout_s) as over:
                return _listen(kept, [*roots, kept.pid], system, over)
    except Failed as error:
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        raise Failed(f"{error}:\n{said[-_LAST:]}" if said else str(error)) from error


@contextmanager
def _watched(client: Kept, workers: list[Kept], system: System, timeout_s: float) -> Iterator[list[str]]:
    """End the client when its time is over or its worker is gone; the list then says so."""
    over: list[str] = []
    left = threading.Event()
    until = time.monotonic() + timeout_s

    def watch() -> None:
        while not left.wait(_LOOK_S):
            ended = [status for worker in workers if (status := worker.ended()) is not None]
            if ended:
                over.append(f"the worker of {system.name} ended with {ended[0]}")
            elif time.monotonic() > until:
                over.append(f"{system.name} took more than {timeout_s:g} s")
            if over:
                client.stop()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield over
    finally:
        left.set()
        watcher.join()


def _listen(client: Kept, roots: list[int], system: System, over: list[str]) -> Outcome:
    """Read what the client tells until it is done."""
    ready: Told | None = None
    begun = Marks(0.0, 0.0, None)
    for line in client.lines:
        told = _parsed(line)
        if told is None:
            continue
        if told.event == "ready":
            ready, begun = told, _marks(roots)
        elif told.event == "done" and ready is not None:
            return _outcome(system, ready, told, begun, _marks(roots))
    raise Failed(over[0] if over else f"{system.name} ended with {client.stop()} before it was done")


def _outcome(system: System, ready: Told, done: Told, begun: Marks, ended: Marks) -> Outcome:
    if done.right != system.n:
        raise Failed(f"{done.right} of {system.n} results of {system.name} were right")
    wall_s = ended.wall_s - begun.wall_s
    used_s = ended.used_s - begun.used_s
    values = {
        "per_s": [system.n / done.total_s],
        "submit_per_s": [system.n / done.submit_s],
        "cpu_us": [used_s * 1e6 / system.n],
    }
    others = None
    if begun.busy_s is not None and ended.busy_s is not None:
        others = round(max(0.0, ended.busy_s - begun.busy_s - used_s) / wall_s, 2)
    if system.group == IN_PROCESS:
        # It awaits as it submits: there is no time to submit alone.
        del values["submit_per_s"]
    return Outcome(Sample(values, others_cores=others, wall_s=wall_s), ready.system, ready.durability, ready.survives)


def _marks(roots: list[int]) -> Marks:
    return Marks(time.monotonic(), tree_s(*roots), busy_s())


def _parsed(line: str) -> Told | None:
    """A line of the protocol; a library may print lines of its own."""
    try:
        return msgspec.json.decode(line, type=Told)
    except msgspec.DecodeError:
        return None


def _prepare(command: list[str], environment: dict[str, str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=_PREPARE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{' '.join(command)} could not be run: {error}") from error
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-_LAST:]}")


def _environment(system: System, place: Place) -> dict[str, str]:
    told: dict[str, object] = {**system.told, "url": place.url, "n": system.n}
    # What is measured is this checkout, whatever is installed.
    paths = os.pathsep.join(str(path) for path in ((ROOT / "src", ROOT) if system.ours else (ROOT,)))
    return os.environ | {"BENCH_TOLD": msgspec.json.encode(told).decode(), "PYTHONPATH": paths}


def _command(system: System, words: tuple[str, ...]) -> list[str]:
    """A program of the environment that the system is in."""
    folder = Path(sys.executable).parent if system.ours else PEERS / "bin"
    return [str(folder / words[0]), *words[1:]]


def _python(system: System) -> list[str]:
    return _command(system, ("python",))
