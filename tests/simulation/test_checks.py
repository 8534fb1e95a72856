"""The checks themselves: whatever promise is broken, the check of that name turns red."""

from collections.abc import Callable, Iterator

import pytest

from tests.simulation.fate import Fate
from tests.simulation.red import Check, Red
from tests.simulation.run import simulate
from tests.simulation.sabotage import SABOTAGE, Broken, HastyFate, UnfencedLedger
from tests.simulation.scenario import SCENARIOS, Scenario

_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
_SEEDS = range(1, 40)


def _reds(scenario: Scenario, make: Callable[[int, Scenario], Fate] = Fate) -> Iterator[Check]:
    """What turns red, seed by seed."""
    for seed in _SEEDS:
        try:
            simulate(seed, 200, scenario, make)
        except Red as red:
            yield red.check


@pytest.mark.parametrize("checks, name, broken", SABOTAGE.values(), ids=SABOTAGE)
def test_a_broken_promise_turns_its_check_red(checks: set[Check], name: str, broken: Broken) -> None:
    with broken():
        assert any(red in checks for red in _reds(_BY_NAME[name]))


def test_a_commit_without_fences_turns_the_check_of_the_owner_red() -> None:
    assert Check.OWNER in _reds(_BY_NAME["wild"], lambda seed, chosen: Fate(seed, chosen, UnfencedLedger))


def test_effects_that_leave_before_their_commit_turn_the_law_of_effects_red() -> None:
    assert next(_reds(_BY_NAME["calm"], HastyFate)) == Check.EFFECTS


def test_nothing_is_red_when_nothing_is_broken() -> None:
    simulate(1, 200, _BY_NAME["wild"])
