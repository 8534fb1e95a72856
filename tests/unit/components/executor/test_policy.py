"""The order: larger priority first, then age; ageing is linear, and waiting is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from wsaios.components.executor.policy import AGEING_US_PER_POINT, PriorityAgeing
from wsaios.kernel.task import PRIORITY_MAX, PRIORITY_MIN

PRIORITIES = st.integers(PRIORITY_MIN, PRIORITY_MAX)
TIMES = st.integers(0, 1 << 52)


@given(PRIORITIES, PRIORITIES, TIMES)
def test_of_two_enqueued_together_the_larger_priority_goes_first(one: int, other: int, at_us: int) -> None:
    policy = PriorityAgeing()

    assert (policy.key(one, at_us) < policy.key(other, at_us)) == (one > other)


@given(PRIORITIES, TIMES, TIMES)
def test_of_two_with_one_priority_the_older_goes_first(priority: int, one_us: int, other_us: int) -> None:
    policy = PriorityAgeing()

    assert (policy.key(priority, one_us) < policy.key(priority, other_us)) == (one_us < other_us)


@given(PRIORITIES, PRIORITIES, TIMES, st.integers(1, AGEING_US_PER_POINT))
def test_a_point_of_priority_is_worth_a_fixed_time(one: int, other: int, at_us: int, us_per_point: int) -> None:
    policy = PriorityAgeing(us_per_point)

    assert policy.key(other, at_us) - policy.key(one, at_us) == (one - other) * us_per_point


@given(PRIORITIES, TIMES, PRIORITIES, st.integers(1, 1 << 40), st.integers(1, AGEING_US_PER_POINT))
def test_nothing_enqueued_later_than_the_bound_goes_first(
    waits: int, since_us: int, comes: int, later_us: int, us_per_point: int
) -> None:
    policy = PriorityAgeing(us_per_point)
    comes_us = since_us + policy.longest_wait_us() + later_us

    assert policy.longest_wait_us() == (PRIORITY_MAX - PRIORITY_MIN) * us_per_point
    assert policy.key(waits, since_us) < policy.key(comes, comes_us)


@given(st.integers(), TIMES)
def test_a_priority_outside_the_range_counts_as_its_end(priority: int, at_us: int) -> None:
    policy = PriorityAgeing()

    assert policy.key(PRIORITY_MAX, at_us) <= policy.key(priority, at_us) <= policy.key(PRIORITY_MIN, at_us)


@given(PRIORITIES, TIMES)
def test_every_key_is_an_int64(priority: int, at_us: int) -> None:
    assert -(1 << 63) <= PriorityAgeing().key(priority, at_us) < 1 << 63
