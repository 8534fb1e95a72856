"""The worst scenarios in brief (`make chaos` is longer): nothing is lost, nothing is there twice, and work goes on."""

from pathlib import Path

import pytest

from tests.acceptance.chaos.runs import Lengths, run
from tests.acceptance.chaos.scenarios import SCENARIOS
from tests.servers.postgres import PostgresServer

BRIEF = Lengths(before_s=0.3, fault_s=1.5, after_s=0.2)
STILL = ("server_crash", "net_black_hole")
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize(
    "name", ["server_crash", "backend_kill", "pool_exhaustion", "crash_recovery", "net_black_hole"]
)
def test_on_postgresql_nothing_is_lost_when(name: str, durable_postgres: PostgresServer, tmp_path: Path) -> None:
    figures = run(BY_NAME[name], tmp_path, BRIEF, durable_postgres)
    assert figures.acknowledged > 0
    if name in STILL:
        assert figures.longest_silence_s >= BRIEF.fault_s * 0.8
    assert figures.wrong() == []


def test_in_a_file_nothing_is_lost_when_schedulers_are_killed(tmp_path: Path) -> None:
    figures = run(BY_NAME["repeated_kills"], tmp_path, BRIEF, None)
    assert figures.acknowledged > 0
    assert figures.wrong() == []
