"""Hundreds of seeded histories: every check after every step, and everything that must be met is met."""

import os
from multiprocessing import get_context

import pytest

from tests.simulation.run import Result, attempt, missing, simulate
from tests.simulation.scenario import SCENARIOS

_SEEDS = range(1, 241)
_TURNS = 300


@pytest.fixture(scope="module")
def outcomes() -> list[Result | str]:
    with get_context("spawn").Pool(min(4, os.cpu_count() or 1)) as pool:
        return pool.starmap(attempt, [(_TURNS, seed) for seed in _SEEDS], chunksize=8)


@pytest.mark.timeout(400)
def test_no_seed_turns_a_check_red(outcomes: list[Result | str]) -> None:
    red = [outcome for outcome in outcomes if isinstance(outcome, str)]

    assert not red, "\n".join(red[:3])


@pytest.mark.timeout(400)
def test_every_change_every_fault_and_every_deed_happened(outcomes: list[Result | str]) -> None:
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]

    assert missing(results) == []
    assert {result.scenario for result in results} == {scenario.name for scenario in SCENARIOS}
    assert sum(result.works for result in results) > 20_000


def test_a_seed_runs_the_same_twice() -> None:
    for seed in (3, 4, 5):
        assert simulate(seed, 100) == simulate(seed, 100)
