"""One seed from its first turn to its drained end, and what it met on the way."""

from collections import Counter
from collections.abc import Callable

import msgspec

from tests.simulation.day import Day
from tests.simulation.scenario import Scenario, scenario
from tests.simulation.small import small_pieces
from wsaios.simulation.ledger import SimLedger
from wsaios.simulation.ledger_store import Tables

TURNS = 300


class Result(msgspec.Struct):
    """What one run met: changes of state, faults of the engine, mishaps of owners and commits, what people asked for."""

    seed: int
    fingerprint: str
    steps: int
    tasks: int
    dispatched: int
    changes: dict[str, int]
    faults: dict[str, int]
    mishaps: dict[str, int]
    asked: dict[str, int]


def simulate(
    seed: int,
    turns: int = TURNS,
    chosen: Scenario | None = None,
    ledger: Callable[[Tables], SimLedger] = SimLedger,
) -> Result:
    """Run a seed to its end.

    Raises:
        Red: a check failed.
    """
    setting = chosen or scenario(seed)
    with small_pieces(setting):
        day = Day(seed, setting, ledger)
        for _ in range(turns):
            day.turn()
        day.drain()
    driver = day.driver
    changes = Counter(
        {f"{was.name} -> {then.name}": count for (was, then), count in driver.invariants.lives.changes.items()}
    )
    return Result(
        seed,
        driver.fingerprint,
        driver.steps,
        len(day.world.accepted),
        driver.invariants.leaving.works,
        dict(changes),
        {fault.value: count for fault, count in driver.engine.counts.items()},
        {mishap.name: count for mishap, count in driver.mishaps.items()},
        dict(day.world.counts),
    )
