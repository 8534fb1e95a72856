"""Backoff stays within its bounds, and losses are halved down to one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.kernel.retry import LONGEST_WAIT_S, POISON_LOSSES, SUSPECT_DEATHS, backoff_s, exhausted, half, wait_us
from wsaios.kernel.task import Effective, Options, effective

SECONDS = st.floats(0, 1e6, allow_nan=False)


class Always:
    """Chance that always says the same."""

    def __init__(self, says: float) -> None:
        self._says = says

    def random(self) -> float:
        """That."""
        return self._says


def options(initial_s: float, factor: float, max_s: float) -> Effective:
    """Options with this backoff."""
    return effective(Options(backoff_initial_s=initial_s, backoff_factor=factor, backoff_max_s=max_s), None)


@given(SECONDS, st.floats(1, 100), SECONDS, st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_between_nothing_and_its_ceiling(
    initial_s: float, factor: float, max_s: float, attempt: int, says: float
) -> None:
    wait_s = backoff_s(options(initial_s, factor, max_s), attempt, Always(says))

    assert 0 <= wait_s <= max_s
    if attempt == 1:
        assert wait_s <= initial_s


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_ceiling_never_falls_with_the_attempts(one: int, more: int) -> None:
    chosen, top = options(0.5, 2.0, 300.0), Always(1.0)

    assert backoff_s(chosen, one, top) <= backoff_s(chosen, one + more, top)


def test_the_first_ceilings_are_those_that_are_stated() -> None:
    chosen = effective(None, None)

    assert [backoff_s(chosen, attempt, Always(1.0)) for attempt in (1, 2, 3, 4, 9, 10, 10_000)] == [
        1.0,
        2.0,
        4.0,
        8.0,
        256.0,
        300.0,
        300.0,
    ]


def test_one_seed_gives_one_row_of_waits() -> None:
    chosen = effective(None, None)
    rows = [[backoff_s(chosen, attempt, random.Random(5)) for attempt in range(1, 9)] for _ in range(2)]

    assert rows[0] == rows[1]
    assert len(set(rows[0])) == len(rows[0])


@pytest.mark.parametrize("attempts, left", [(1, True), (2, True), (3, False), (4, False)])
def test_attempts_end_at_their_number(attempts: int, left: bool) -> None:
    assert exhausted(effective(Options(max_attempts=3), None), attempts) is not left


@given(st.integers(1, 1000))
def test_halving_comes_to_one_row(size: int) -> None:
    steps = 0
    while size > 1:
        assert half(size) <= size // 2
        size, steps = half(size), steps + 1

    assert half(1) == 1
    assert steps < 10


def test_three_losses_poison_and_three_deaths_are_suspicious() -> None:
    assert (POISON_LOSSES, SUSPECT_DEATHS) == (3, 3)


@given(st.floats())
def test_a_time_to_wait_always_fits_into_a_ledger(seconds: float) -> None:
    longest = LONGEST_WAIT_S * 1e6
    assert 0 <= wait_us(seconds) <= longest
    if 0 <= seconds <= LONGEST_WAIT_S:
        assert wait_us(seconds) == int(seconds * 1e6)
