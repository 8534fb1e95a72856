"""Kill real processes for as many rounds as are asked for, and say what was lost."""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.crash.plan import plan
from tests.acceptance.crash.rounds import Round, run_rounds
from tests.acceptance.crash.summary import Summary
from tests.servers.postgres import PostgresServer, served


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds and print the table; 1 when anything was wrong."""
    options = _options(arguments)
    if options.ledger == "sqlite":
        return _run(options, None)
    with contextmanager(served)(durable=True) as server:
        return _run(options, server)


def _run(options: argparse.Namespace, server: PostgresServer | None) -> int:
    folder = Path(tempfile.mkdtemp(prefix="wsaios-crash-", dir=options.folder))
    plans = [plan(options.seed, number) for number in range(options.first, options.first + options.rounds)]
    print(f"{options.rounds} rounds from {options.first} on with seed {options.seed}, in {folder}", flush=True)
    began, summary, bad = time.monotonic(), Summary(), 0
    for done in run_rounds(plans, folder, jobs=options.jobs, sabotage=options.sabotage, server=server):
        summary.add(done)
        if done.problems:
            bad += 1
            _complain(done, options.seed)
        elif not options.keep:
            shutil.rmtree(done.folder)
        _progress(summary, options.rounds, time.monotonic() - began)
    print(*summary.lines(time.monotonic() - began), sep="\n")
    if bad:
        print(f"{bad} rounds went wrong; their folders are kept in {folder}")
    elif not options.keep:
        folder.rmdir()
    return 1 if bad else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.crash", description=__doc__)
    new = random.SystemRandom().randrange(1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=new, help="a new one unless given")
    parser.add_argument("--first", type=int, default=0, help="number of the first round, to run one of them again")
    parser.add_argument(
        "--jobs", type=int, default=0, help="rounds beside each other; one for each processor unless given"
    )
    parser.add_argument("--folder", type=Path, help="where ledgers and journals go; a temporary folder unless given")
    parser.add_argument("--keep", action="store_true", help="keep the folders of rounds that went well")
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), default="sqlite", help="on what the rounds run")
    parser.add_argument("--sabotage", default="", help="break a promise, to see that it is noticed")
    return parser.parse_args(arguments)


def _complain(done: Round, seed: int) -> None:
    number = done.plan.seed.rpartition(".")[2]
    there = " --ledger postgres" if (done.folder / "ledger").exists() else ""
    deaths = ", ".join(f"{life.death.name}{'' if life.died else ' (survived)'}" for life in done.lives if life.death)
    print(f"\nround {number} went wrong after: {deaths}")
    for problem in done.problems[:20]:
        print(f"  {problem}")
    print(f"  again: python -m tests.acceptance.crash --seed {seed} --first {number} --rounds 1{there}")
    print(f"  kept: {done.folder}", flush=True)


def _progress(summary: Summary, rounds: int, seconds: float) -> None:
    terminal = sys.stdout.isatty()
    if terminal or summary.rounds % 10 == 0 or summary.rounds == rounds:
        line = (
            f"{summary.rounds}/{rounds} rounds, {summary.deaths.total()} kills, "
            f"{summary.figures['acknowledged']:,} acknowledged, {summary.problems.total()} problems, {seconds:.0f} s"
        )
        print(f"\r{line}" if terminal else line, end="" if terminal and summary.rounds < rounds else "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
