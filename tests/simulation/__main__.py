"""Many seeds on all cores, or one again: ``python -m tests.simulation --seeds 2000``, ``--seed 17``."""

import argparse
import os
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import get_context

from tests.simulation.run import MUST_BE_MET, TURNS, Result, attempt, missing

_EVERY = 100


def main() -> int:
    """Run what was asked for; 0 when nothing was lost, nothing was done twice and everything was met."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many, from --seed on")
    parser.add_argument("--seed", type=int, help="the first one; alone: only this one")
    parser.add_argument("--steps", type=int, default=TURNS, help="turns of one seed before its faults stop")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    alone = asked.seed is not None and "--seeds" not in sys.argv
    first = 1 if asked.seed is None else asked.seed
    return _run(range(first, first + (1 if alone else asked.seeds)), asked.steps, asked.jobs)


def _run(seeds: range, turns: int, jobs: int) -> int:
    results: list[Result] = []
    began_s = time.monotonic()
    with get_context("spawn").Pool(min(jobs, len(seeds))) as pool:
        for outcome in pool.imap_unordered(partial(attempt, turns), seeds, chunksize=5 if len(seeds) > 50 else 1):
            if isinstance(outcome, str):
                print(outcome)
                return 1
            results.append(outcome)
            if len(results) % _EVERY == 0:
                _tell(results, len(seeds), began_s)
    return _summary(results, began_s)


def _tell(results: list[Result], seeds: int, began_s: float) -> None:
    tasks = sum(result.tasks for result in results)
    took_s = time.monotonic() - began_s
    print(f"{len(results)} of {seeds} seeds in {took_s:.0f} s: {tasks} tasks, 0 lost, 0 twice", flush=True)


def _summary(results: list[Result], began_s: float) -> int:
    met: Counter[str] = Counter()
    for result in results:
        met.update(result.met)
    for name, count in sorted(met.items()):
        print(f"{count:>10}  {name}")
    steps, works = (sum(getattr(result, name) for result in results) for name in ("steps", "works"))
    _tell(results, len(results), began_s)
    print(f"{steps} steps, {works} works dispatched; every check held after every step")
    lacking = missing(results) if len(results) >= _EVERY else []
    for name in lacking:
        print(f"never met: {name}")
    if not lacking and len(results) >= _EVERY:
        print(f"all {len(MUST_BE_MET)} things that must be met were met")
    return 1 if lacking else 0


if __name__ == "__main__":
    raise SystemExit(main())
