"""A failure can be seen again: one seed is one run, whatever the process."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_SAY = "from tests.simulation.run import simulate; print([simulate(seed, 60).fingerprint for seed in range(1, 12)])"


def _say(hash_seed: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", _SAY],
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout


def test_the_order_of_sets_of_strings_decides_nothing() -> None:
    assert _say("1") == _say("2")


def test_the_command_runs_one_seed_and_tells_what_it_met() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "7", "--steps", "40"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "1 of 1 seeds" in found.stdout
    assert "0 lost, 0 twice" in found.stdout
