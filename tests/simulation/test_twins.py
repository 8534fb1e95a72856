"""The same histories on the simulated and on the real ledger: every answer is the same."""

import msgspec
import pytest

from tests.simulation.fate import Fate
from tests.simulation.run import simulate
from tests.simulation.scenario import SCENARIOS, Scenario
from tests.simulation.twin import TwinLedger
from wsaios.ledger.postgres.ledger import PostgresLedger
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.simulation.ledger_store import Tables


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("setting", SCENARIOS, ids=lambda setting: str(setting.name))
def test_the_simulated_ledger_says_what_the_real_one_says(
    setting: Scenario, kind: str, request: pytest.FixtureRequest
) -> None:
    real: SqliteLedger | PostgresLedger
    if kind == "postgres":
        real = PostgresLedger(request.getfixturevalue("postgres").fresh())
    else:
        real = SqliteLedger("sqlite:///:memory:")
    twins: list[TwinLedger] = []

    def open_twin(tables: Tables) -> TwinLedger:
        twins.append(TwinLedger(tables, real))
        return twins[-1]

    # A second connection to a ledger in memory is not there to take over or to visit with.
    alone = msgspec.structs.replace(setting, takeover=0.0, visit=0.0)
    result = simulate(11, 200, alone, lambda seed, chosen: Fate(seed, chosen, open_twin))

    assert result.tasks > 0
    twins[-1].check()
    real.close()
