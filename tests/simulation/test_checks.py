"""The checks themselves: whatever promise is broken, the check of that name turns red."""

from collections.abc import Callable, Iterator

import pytest

from tests.simulation.fate import Fate
from tests.simulation.red import Check, Red
from tests.simulation.run import simulate
from tests.simulation.sabotage import (
    SABOTAGE,
    Broken,
    ChangingLedger,
    ForgetfulLedger,
    HastyFate,
    TwiceFate,
    UnfencedLedger,
)
from tests.simulation.scenario import SCENARIOS, Scenario

_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
_SEEDS = range(1, 80)


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


def test_a_task_that_the_ledger_forgets_turns_the_check_of_places_red() -> None:
    assert Check.PLACE in _reds(_BY_NAME["calm"], lambda seed, chosen: Fate(seed, chosen, ForgetfulLedger))


def test_an_end_that_changes_turns_the_check_of_outcomes_red() -> None:
    assert Check.OUTCOME in _reds(_BY_NAME["calm"], lambda seed, chosen: Fate(seed, chosen, ChangingLedger))


def test_an_attempt_that_leaves_twice_turns_its_check_red() -> None:
    assert Check.ATTEMPT in _reds(_BY_NAME["calm"], TwiceFate)


def test_effects_that_leave_before_their_commit_turn_the_law_of_effects_red() -> None:
    assert next(_reds(_BY_NAME["calm"], HastyFate)) == Check.EFFECTS


def test_every_check_has_been_seen_to_fail() -> None:
    seen = set[Check]().union(*(checks for checks, _, _ in SABOTAGE.values()))
    elsewhere = {Check.PLACE, Check.OUTCOME, Check.ATTEMPT, Check.OWNER, Check.EFFECTS, Check.TWINS}
    assert seen | elsewhere == set(Check)


def test_nothing_is_red_when_nothing_is_broken() -> None:
    assert simulate(1, 200, _BY_NAME["wild"]).tasks > 0
