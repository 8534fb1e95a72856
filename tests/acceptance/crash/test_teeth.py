"""The proof itself is tested: a promise is broken inside the worker, and the check that guards it turns red."""

from pathlib import Path

import pytest

from tests.acceptance.crash.plan import Death, Plan
from tests.acceptance.crash.rounds import Round, run_rounds

pytestmark = pytest.mark.timeout(300)

IN_A_COMMIT = Death("failpoint", "journal", "ledger.before_commit", hit=9)
BY_ITSELF = Death("random", "journal", after_s=30.0)


def run(folder: Path, sabotage: str, *deaths: Death) -> Round:
    (done,) = run_rounds([Plan("teeth.0", deaths)], folder, jobs=1, sabotage=sabotage)
    return done


def red(done: Round) -> set[str]:
    return {problem.check for problem in done.problems}


def test_without_sabotage_all_checks_are_green(tmp_path: Path) -> None:
    done = run(tmp_path, "", IN_A_COMMIT)

    assert red(done) == set()
    assert done.lives[0].died


def test_without_the_fence_a_stale_outcome_is_taken_and_seen(tmp_path: Path) -> None:
    done = run(tmp_path, "no-fence")

    assert red(done) == {"fence"}


def test_an_acknowledgement_before_the_commit_is_seen(tmp_path: Path) -> None:
    done = run(tmp_path, "early-acknowledgement", IN_A_COMMIT)

    assert done.lives[0].died
    assert "lost" in red(done)


def test_a_second_run_of_what_may_run_once_is_seen(tmp_path: Path) -> None:
    done = run(tmp_path, "at-most-once-repeated", BY_ITSELF)

    assert done.lives[0].died
    assert red(done) == {"twice"}
