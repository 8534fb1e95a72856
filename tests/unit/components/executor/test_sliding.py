"""A rate against a plain list of what was taken when: never more than the limit in any window."""

from hypothesis import given
from hypothesis import strategies as st

from wsaios.components.executor.sliding import CELLS, Sliding

STEPS = st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 60)), max_size=80)


@given(STEPS, st.integers(1, 100), st.integers(1, 3_000_000))
def test_in_no_window_more_is_taken_than_may_be(steps: list[tuple[int, int]], limit: int, per_us: int) -> None:
    rate, now, taken = Sliding(limit, per_us), 1_700_000_000_000_000, []
    for wait_us, amount in steps:
        now += wait_us
        if rate.room(now) >= amount:
            rate.take(amount, now)
            taken.append((now, amount))
    for at_us, _ in taken:
        inside = sum(amount for then_us, amount in taken if at_us - per_us < then_us <= at_us)
        assert inside <= limit


@given(STEPS, st.integers(1, 100), st.integers(1, 3_000_000))
def test_what_may_be_taken_at_a_time_may_be_taken_then_and_not_before(
    steps: list[tuple[int, int]], limit: int, per_us: int
) -> None:
    rate, now = Sliding(limit, per_us), 1_700_000_000_000_000
    for wait_us, amount in steps:
        now += wait_us
        when = rate.when_us(amount, now)
        if amount > limit:
            assert when is None
            continue
        assert when is not None
        if when > now:
            assert rate.room(when - 1) < amount
        now = when
        assert rate.room(now) >= amount
        rate.take(amount, now)


@given(STEPS, st.integers(1, 100), st.integers(CELLS, 3_000_000), st.data())
def test_a_restart_in_between_lets_no_more_through(
    steps: list[tuple[int, int]], limit: int, per_us: int, data: st.DataObject
) -> None:
    rate, now, taken = Sliding(limit, per_us), 1_700_000_000_000_000, []
    for wait_us, amount in steps:
        now += wait_us
        if data.draw(st.booleans()):
            rate = Sliding(limit, per_us, rate.used())
        if rate.room(now) >= amount:
            rate.take(amount, now)
            taken.append((now, amount))
    for at_us, _ in taken:
        assert sum(amount for then_us, amount in taken if at_us - per_us < then_us <= at_us) <= limit


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 10), st.integers(0, 12)), max_size=60))
def test_what_is_given_back_is_there_again_and_never_more(steps: list[tuple[int, int, int]]) -> None:
    rate, now, total = Sliding(1000, 10_000_000), 1_700_000_000_000_000, 0
    for wait_us, amount, back in steps:
        now += wait_us
        cell = rate.take(amount, now)
        assert rate.give_back(back, cell)
        total += amount - min(back, amount + sum(there for end, there in rate.used() if end == cell))
    assert rate.room(now) <= 1000
    assert rate.total == sum(amount for _, amount in rate.used())


def test_a_steady_stream_gets_all_but_a_33rd() -> None:
    rate, now, started = Sliding(320, 1_000_000), 1_700_000_000_000_000, 0
    for _ in range(33 * 100):
        now += 10_000
        while rate.room(now) >= 1:
            rate.take(1, now)
            started += 1
    assert started >= 320 * 33 * 32 / 33 * 0.99
    assert started <= 320 * 34


def test_more_than_was_asked_for_is_owed_until_it_has_left() -> None:
    rate = Sliding(100, 1_000_000)
    rate.take(100, 0)
    rate.take(50, 0)
    assert rate.room(0) == -50
    assert rate.room(1_000_000 + 1_000_000 // CELLS) == 100
