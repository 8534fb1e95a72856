"""Fifty rounds and more of real processes that die and come back: nothing is lost, nothing is there twice."""

import shutil

import pytest

from tests.acceptance.crash.plan import OF_A_WORKER, plan
from tests.acceptance.crash.rounds import Round, run_rounds
from tests.acceptance.crash.summary import Summary
from tests.acceptance.crash.verdict import NAMES

SEED = 20_250
ROUNDS = 52

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Round]:
    folder = tmp_path_factory.mktemp("crash")
    done = []
    for each in run_rounds([plan(SEED, number) for number in range(ROUNDS)], folder):
        done.append(each)
        if not each.problems:
            shutil.rmtree(each.folder)
    return done


@pytest.fixture(scope="module")
def summary(rounds: list[Round]) -> Summary:
    return Summary(rounds)


@pytest.mark.parametrize("check", NAMES)
def test_no_round_fails_the_check(rounds: list[Round], check: str) -> None:
    wrong = [f"{done.folder}: {problem}" for done in rounds for problem in done.problems if problem.check == check]

    assert wrong == []


def test_every_failpoint_was_reached_and_killed(summary: Summary) -> None:
    assert set(OF_A_WORKER) - summary.places == set()
    assert set(OF_A_WORKER) - set(summary.deaths) == set()


@pytest.mark.parametrize("way", ["at random", "right behind a submit", "inside a handler"])
def test_processes_died_in_every_other_way(summary: Summary, way: str) -> None:
    assert summary.deaths[way] > 0


def test_stale_outcomes_occurred_and_were_refused(summary: Summary) -> None:
    assert summary.figures["stale"] > 0
    assert summary.problems["fence"] == 0


@pytest.mark.parametrize(
    "figure",
    [
        *("acknowledged", "silent", "repeated", "promised", "taken back", "replayed", "died with its owner"),
        *("succeeded", "failed", "cancelled", "expired", "lost"),
    ],
)
def test_the_rounds_met_everything_that_a_crash_could_break(summary: Summary, figure: str) -> None:
    assert summary.figures[figure] > 0
