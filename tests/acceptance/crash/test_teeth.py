"""The proof itself is tested: a promise is broken inside the worker, and the check that guards it turns red."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.crash.plan import Death, Plan
from tests.acceptance.crash.rounds import Round, run_rounds
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.timeout(300)

IN_A_COMMIT = Death("failpoint", "journal", "ledger.before_commit", hit=9)
BY_ITSELF = Death("random", "journal", after_s=30.0)


Run = Callable[..., Round]


@pytest.fixture(params=["sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    server: PostgresServer | None = request.getfixturevalue("postgres") if request.param == "postgres" else None

    def run(sabotage: str, *deaths: Death) -> Round:
        (done,) = run_rounds([Plan("teeth.0", deaths)], tmp_path, jobs=1, sabotage=sabotage, server=server)
        return done

    return run


def red(done: Round) -> set[str]:
    return {problem.check for problem in done.problems}


def test_without_sabotage_all_checks_are_green(run: Run) -> None:
    done = run("", IN_A_COMMIT)

    assert red(done) == set()
    assert done.lives[0].died


def test_without_the_fence_a_stale_outcome_is_taken_and_seen(run: Run) -> None:
    done = run("no-fence")

    assert red(done) == {"fence"}


def test_an_acknowledgement_before_the_commit_is_seen(run: Run) -> None:
    done = run("early-acknowledgement", IN_A_COMMIT)

    assert done.lives[0].died
    assert "lost" in red(done)


def test_a_second_run_of_what_may_run_once_is_seen(run: Run) -> None:
    done = run("at-most-once-repeated", BY_ITSELF)

    assert done.lives[0].died
    assert red(done) == {"twice"}
