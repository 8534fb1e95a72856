"""Rounds of real processes that die and come back on PostgreSQL: nothing is lost, nothing is there twice."""

from pathlib import Path

import pytest

from tests.acceptance.crash.plan import plan
from tests.acceptance.crash.rounds import run_rounds
from tests.acceptance.crash.summary import Summary
from tests.servers.postgres import PostgresServer

ROUNDS = 10


@pytest.mark.timeout(120)
def test_no_round_on_postgresql_fails_a_check(postgres: PostgresServer, tmp_path: Path) -> None:
    rounds = list(run_rounds([plan(20_250, number) for number in range(ROUNDS)], tmp_path, server=postgres))
    summary = Summary(rounds)

    assert [f"{done.folder}: {problem}" for done in rounds for problem in done.problems] == []
    assert summary.deaths.total() > 0
    assert summary.figures["acknowledged"] > 0
    assert summary.figures["stale"] > 0
