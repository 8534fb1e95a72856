"""One seed from its first turn to its drained end, and what it met on the way."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from tests.simulation.day import WEIGHTS, Day
from tests.simulation.fate import Fate
from tests.simulation.mishaps import Mishap
from tests.simulation.red import Red
from tests.simulation.scenario import Scenario, scenario
from tests.simulation.small import small_pieces
from wsaios.kernel.run import StepState
from wsaios.kernel.states import ALLOWED
from wsaios.simulation.faults import Fault

TURNS: Final = 300

MUST_BE_MET: Final = frozenset(
    {
        *(f"change {was.name} -> {then.name}" for was, then in ALLOWED),
        *(f"fault {fault.value}" for fault in Fault),
        *(f"mishap {mishap.name}" for mishap in Mishap),
        *(f"deed {deed}" for deed in WEIGHTS),
        "a call gives its slot away",
        "started under a limit",
        "a call goes on",
        "a call runs on through a rebuild",
        "a call is asked to make room",
        *(
            f"asked {verb} {kind}"
            for verb in ("cancel", "pause", "resume", "replay")
            for kind in ("task", "batch", "lane", "all")
        ),
        *(
            f"asked {what}"
            for what in ("submit", "submit again", "open batch", "stage rows", "seal batch", "abort batch", "flush")
        ),
        "asked start run",
        "asked signal",
        *(f"a run: {verb}" for verb in ("cancel", "pause", "resume", "replay")),
        *(f"a run ends: {state}" for state in ("SUCCEEDED", "FAILED", "CANCELLED")),
        *(f"a row: {state.name}" for state in StepState if state != StepState.PENDING),
        "an event that is taken",
        "an event that is told",
        "an emitted event that is taken",
        "asked emit for steps",
        "an item of a list",
        "a step with a task",
        "asked submit refused: IdempotencyConflict",
        "asked submit refused: InvalidInput",
        "asked submit unacknowledged",
        "unanswered at a death",
        "stale reports refused",
        "several rows in one work",
        "halves of a micro-batch",
        "a task that ran alone",
        "a checkpoint found again",
        "a history in parts",
        "a plan begun",
        "a firing waits",
        "a trigger begins a run",
        "a firing is skipped",
        "a time is missed",
        "a change is told",
        "times are made up for",
        "a plan carried on",
        "ended by Poison",
        "ended by TimedOut",
        "taken in during a commit",
        "a commit behind another one",
        "a work beyond the slots",
        "more of ReadyAfter",
        "more of DueAfter",
        "more of ExpiringAfter",
    }
)
"""What over a suite must have happened at least once, or the suite has shown less than it says."""


class Result(msgspec.Struct):
    """What one run met, how often."""

    seed: int
    scenario: str
    fingerprint: str
    steps: int
    tasks: int
    works: int
    met: dict[str, int]


def simulate(
    seed: int,
    turns: int = TURNS,
    chosen: Scenario | None = None,
    make: Callable[[int, Scenario], Fate] = Fate,
) -> Result:
    """Run a seed to its end.

    Raises:
        Red: a check failed.
    """
    setting = chosen or scenario(seed)
    with small_pieces(setting):
        day = Day(make(seed, setting))
        for _ in range(turns):
            day.turn()
        day.drain()
    driver = day.driver
    return Result(
        seed,
        setting.name,
        driver.fingerprint,
        driver.steps,
        len(driver.invariants.lives.known),
        driver.invariants.leaving.works,
        _met(day),
    )


def missing(results: Iterable[Result]) -> list[str]:
    """What none of the runs met."""
    met: Counter[str] = Counter()
    for result in results:
        met.update(result.met)
    return sorted(name for name in MUST_BE_MET if not met[name])


def attempt(turns: int, seed: int) -> Result | str:
    """As `simulate`; a failure comes in words, with the way to see it again."""
    try:
        return simulate(seed, turns)
    except Red as red:
        return f"seed {seed} is red: {red}\nreplay it: python -m tests.simulation --seed {seed} --steps {turns}"


def _met(day: Day) -> dict[str, int]:
    driver, invariants = day.driver, day.driver.invariants
    met: Counter[str] = Counter()
    for (was, then), count in invariants.lives.changes.items():
        met[f"change {was.name} -> {then.name}"] += count
    _add(met, "fault ", {fault.value: count for fault, count in driver.engine.counts.items()})
    _add(met, "mishap ", {mishap.name: count for mishap, count in driver.mishaps.items()})
    _add(met, "deed ", day.deeds)
    _add(met, "asked ", day.world.counts)
    watched = (invariants.lives, invariants.leaving, invariants, driver.purpose, driver.law, driver, day.flows)
    for counts in (*(each.met for each in watched), driver.limited.met):
        _add(met, "", counts)
    met["unanswered at a death"] = day.world.counts["unanswered at a death"]
    met["stale reports refused"] = driver.stale
    return {name: count for name, count in met.items() if count}


def _add(met: Counter[str], prefix: str, counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        met[prefix + name] += count
