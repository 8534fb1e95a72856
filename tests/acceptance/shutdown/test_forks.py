"""Processes that a function in a thread forks, beside a scheduler that hears signals."""

import sys
from pathlib import Path

import pytest

from tests.acceptance.shutdown.running import started

PROGRAM = (sys.executable, "-m", "tests.acceptance.shutdown.forking_program")


@pytest.mark.parametrize("way", ["run", "block"])
def test_a_signal_for_a_forked_process_ends_it_and_not_the_scheduler(tmp_path: Path, way: str) -> None:
    with started([*PROGRAM, str(tmp_path), way, "SIGTERM", "SIGTERM"], tmp_path) as serving:
        assert serving.end().split() == ["-15", "-15", "stopped"]


def test_an_interrupt_for_a_forked_process_ends_it_and_not_the_scheduler(tmp_path: Path) -> None:
    with started([*PROGRAM, str(tmp_path), "run", "SIGINT", "SIGTERM"], tmp_path) as serving:
        interrupted, after, last = serving.end().split()
    # By a KeyboardInterrupt, or before Python could raise one.
    assert interrupted in {"1", "-2"}
    assert (after, last) == ("-15", "stopped")
