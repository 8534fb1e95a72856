"""Policies: who goes before whom, by how much the younger may, and that every place fits into the ledger."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wsaios.kernel.policy import PROFILES, AnyPolicy, Deadline, Facts, Fcfs, Mlfq, Multifactor, Priority
from wsaios.kernel.task import PRIORITY_MAX, PRIORITY_MIN

PRIORITIES = st.integers(PRIORITY_MIN, PRIORITY_MAX)
TIMES = st.integers(0, 1 << 52)
PARTS = st.floats(0, 1)
WEIGHTS = st.floats(0, 10)
FACTS = st.builds(
    Facts,
    PRIORITIES,
    TIMES,
    st.none() | TIMES,
    st.integers(0, 1 << 40),
    PARTS,
    st.integers(0, 100),
    PARTS,
    st.integers(0, 20),
)
POLICIES = st.one_of(
    st.builds(Fcfs),
    st.builds(Priority, st.floats(0.001, 1e6)),
    st.builds(Multifactor, WEIGHTS, WEIGHTS, WEIGHTS, WEIGHTS, WEIGHTS, st.floats(0.1, 10), st.floats(0.1, 1e6)),
    st.builds(Deadline, st.floats(0.001, 1e7)),
    st.builds(Mlfq, st.just((4.0, 8.0)), st.floats(0.001, 1e4)),
)


@given(POLICIES, FACTS)
def test_every_place_is_an_int64(policy: AnyPolicy, facts: Facts) -> None:
    assert -(1 << 63) <= policy.key(facts) < 1 << 63


@given(POLICIES, FACTS, FACTS, st.integers(1, 1 << 40))
def test_nothing_enqueued_later_than_the_bound_goes_first(
    policy: AnyPolicy, waits: Facts, comes: Facts, later_us: int
) -> None:
    comes = comes._replace(enqueued_us=waits.enqueued_us + policy.longest_wait_us() + later_us)
    if isinstance(policy, Deadline):
        # Its places are in ms: within one of them the larger priority goes first.
        comes = comes._replace(enqueued_us=comes.enqueued_us + 1000)
    assert policy.key(waits) < policy.key(comes)


@given(POLICIES, FACTS, st.integers(1, 1 << 40))
def test_of_two_that_are_alike_the_younger_never_goes_first(policy: AnyPolicy, facts: Facts, later_us: int) -> None:
    deadline = None if facts.deadline_us is None else facts.deadline_us + later_us
    younger = facts._replace(enqueued_us=facts.enqueued_us + later_us, deadline_us=deadline)
    assert policy.key(facts) <= policy.key(younger)


@given(st.sampled_from((Fcfs(), Priority(), Priority(0.001))), FACTS)
def test_the_short_way_leads_to_the_same_place(policy: Fcfs | Priority, facts: Facts) -> None:
    assert policy.plain()(facts.priority, facts.enqueued_us) == policy.key(facts)


@given(PRIORITIES, PRIORITIES, TIMES, st.floats(0.001, 600))
def test_a_point_of_priority_is_worth_a_fixed_time(one: int, other: int, at_us: int, point_s: float) -> None:
    policy = Priority(point_s)
    apart = policy.key(Facts(other, at_us)) - policy.key(Facts(one, at_us))
    assert apart == (one - other) * int(point_s * 1_000_000)


@given(st.integers(), TIMES)
def test_a_priority_outside_the_range_counts_as_its_end(priority: int, at_us: int) -> None:
    for policy in (Priority(), Multifactor(), Deadline()):
        least, most = policy.key(Facts(PRIORITY_MIN, at_us)), policy.key(Facts(PRIORITY_MAX, at_us))
        assert most <= policy.key(Facts(priority, at_us)) <= least


@given(FACTS, FACTS)
def test_first_come_is_first_served_whatever_else_is_known(one: Facts, other: Facts) -> None:
    assert (Fcfs().key(one) < Fcfs().key(other)) == (one.enqueued_us < other.enqueued_us)


@pytest.mark.parametrize("profile, score", [("balanced", 0.68), ("response", 0.68), ("resource", 0.68)])
def test_the_profiles_weigh_urgency_resources_and_depth(profile: str, score: float) -> None:
    # Urgency 7.5 of 10, a quarter of the resources used, 4 steps deep of at most 10: by hand,
    # (w_u + w_r) x 0.75 + w_d x 0.4 with w_d = 0.2 in all of them.
    policy = PROFILES[profile]
    assert isinstance(policy, Multifactor)
    assert round(policy.score(Facts(50, 0, cost=0.25, depth=4)), 3) == score


@pytest.mark.parametrize("profile, score", [("balanced", 0.5), ("response", 0.6), ("resource", 0.3)])
def test_a_profile_is_told_from_another_by_what_urgency_alone_is_worth(profile: str, score: float) -> None:
    policy = PROFILES[profile]
    assert isinstance(policy, Multifactor)
    assert round(policy.score(Facts(PRIORITY_MAX, 0, cost=1.0)), 3) == score
    assert round(policy.score(Facts(PRIORITY_MIN, 0, cost=0.0)), 3) == policy.resource


@given(FACTS)
def test_an_hour_of_age_is_worth_the_whole_weight_of_age(facts: Facts) -> None:
    policy = Multifactor(age=2.0, age_s=3600)
    hour = facts._replace(enqueued_us=facts.enqueued_us + 3_600_000_000)
    gained = policy.score(facts) - policy.score(hour)
    assume(facts.deadline_us is None)
    assert policy.key(hour) - policy.key(facts) == pytest.approx(3_600_000_000 * (1 + gained / 2.0), abs=2)


@given(TIMES, st.integers(0, 3_600_000_000), st.integers(0, 3_600_000_000), PRIORITIES, PRIORITIES)
def test_less_slack_goes_first_and_then_the_larger_priority(
    at_us: int, one_us: int, other_us: int, one: int, other: int
) -> None:
    policy = Deadline()
    first, second = Facts(one, at_us, at_us + one_us), Facts(other, at_us, at_us + other_us)
    slack_ms = (at_us + one_us) // 1000, (at_us + other_us) // 1000
    goes_first = slack_ms[0] < slack_ms[1] or (slack_ms[0] == slack_ms[1] and one > other)
    assert (policy.key(first) < policy.key(second)) == goes_first


@given(TIMES, st.integers(1_000, 1_000_000))
def test_what_takes_longer_must_start_earlier(at_us: int, run_us: int) -> None:
    due_us = at_us + 60_000_000
    assert Deadline().key(Facts(0, at_us, due_us, run_us=run_us)) < Deadline().key(Facts(0, at_us, due_us))


@given(st.integers(0, 1 << 30), st.integers(0, 999_999), st.integers(0, 999_999), st.integers(0, 2), st.integers(0, 2))
def test_within_a_period_the_level_decides_and_the_next_period_begins_anew(
    period: int, one_us: int, other_us: int, one: int, other: int
) -> None:
    policy, start_us = Mlfq(boost_s=1.0), period * 1_000_000
    first, second = Facts(0, start_us + one_us, level=one), Facts(0, start_us + other_us, level=other)
    assert (policy.key(first) < policy.key(second)) == ((one, one_us) < (other, other_us))
    boosted = Facts(0, start_us + 1_000_000, level=0)
    assert policy.key(first) < policy.key(boosted)


@given(st.integers(0, 2**50), st.integers(0, 10_000_000), st.integers(0, 5_000_000))
def test_who_comes_again_sinks_by_the_time_that_he_used(at_us: int, used_us: int, later_us: int) -> None:
    policy, levels = Mlfq(), (4_000, 12_000, 28_000)
    key, now_us = policy.key(Facts(0, at_us)), at_us + later_us
    again = policy.again(key, used_us, now_us)
    sunk = sum(used_us >= each for each in levels)
    assert again == (policy.key(Facts(0, now_us, level=sunk)) if sunk else key)
    assert again >= key
    if now_us // 1_000_000 == at_us // 1_000_000 and sunk == 1:
        assert policy.again(again, 8_000, now_us) == policy.key(Facts(0, now_us, level=2))
