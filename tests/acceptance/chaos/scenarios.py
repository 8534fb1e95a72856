"""The scenarios, by the names of the harness of PostgreSQL job queues where that has them."""

from typing import Final, NamedTuple

from tests.acceptance.chaos import faults
from tests.acceptance.chaos.faults import Cause
from tests.servers.fault_proxy import Fault

POSTGRES: Final = ("postgres",)
BOTH: Final = ("postgres", "sqlite")


class Scenario(NamedTuple):
    """One thing that goes wrong, on which ledgers, and how many schedulers there are.

    `apart`: only the first scheduler, which owns the ledger, is behind the proxy.
    """

    name: str
    cause: Cause
    ledgers: tuple[str, ...] = POSTGRES
    workers: int = 1
    apart: bool = False


SCENARIOS: Final = (
    Scenario("nothing", faults.nothing, BOTH),
    Scenario("server_restart", faults.restart),
    Scenario("server_crash", faults.crash, workers=2),
    Scenario("backend_kill", faults.terminate),
    Scenario("pool_exhaustion", faults.exhaust),
    Scenario("crash_recovery", faults.kill_one, workers=2),
    Scenario("repeated_kills", faults.kill_again, BOTH),
    Scenario("idle_in_tx", faults.idle_in_transaction),
    Scenario("active_readers", faults.readers, BOTH),
    Scenario("sustained_high_load", faults.load, BOTH),
    Scenario("event_burst", faults.bursts, BOTH),
    Scenario("net_latency", faults.wrong(Fault(latency_s=0.05))),
    Scenario("net_slow", faults.wrong(Fault(bytes_per_s=200_000))),
    Scenario("net_resets", faults.cut_again),
    Scenario("net_cut", faults.wrong(Fault(cut=True))),
    Scenario("net_black_hole", faults.wrong(Fault(black_hole=True))),
    Scenario("net_partition", faults.wrong(Fault(black_hole=True)), workers=2, apart=True),
)
"""`crash_recovery` kills one of two; with one alone, on SQLite, `repeated_kills` holds it."""


def of(ledgers: tuple[str, ...], only: tuple[str, ...] = ()) -> list[tuple[str, Scenario]]:
    """Ledgers and what goes wrong on them, one ledger after the other."""
    return [
        (ledger, scenario)
        for ledger in ledgers
        for scenario in SCENARIOS
        if ledger in scenario.ledgers and (not only or scenario.name in only)
    ]
