"""Rates and times left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.cli.pace import Pace, span, speed


def test_nobody_knows_before_two_looks() -> None:
    pace = Pace(10)
    assert (pace.rate, pace.left_s) == (0.0, None)
    pace.look(5, 1.0)
    assert (pace.rate, pace.left_s) == (0.0, None)


def test_what_was_done_before_the_first_look_does_not_count() -> None:
    pace = Pace(1000)
    pace.look(900, 10.0)
    pace.look(950, 15.0)
    assert (pace.rate, pace.left_s) == (10.0, 5.0)


def test_only_the_last_half_minute_counts() -> None:
    pace = Pace(10_000)
    pace.look(0, 0.0)
    for second in range(1, 101):
        pace.look(min(second, 50) * 100, float(second))
    assert pace.rate == 0.0
    assert pace.left_s is None


@given(st.lists(st.tuples(st.floats(0.01, 20), st.integers(0, 1000)), min_size=1, max_size=60))
def test_a_rate_is_never_negative_nor_above_the_fastest_step(steps: list[tuple[float, int]]) -> None:
    pace, now_s, done = Pace(10**9), 0.0, 0
    pace.look(done, now_s)
    for step_s, more in steps:
        now_s, done = now_s + step_s, done + more
        pace.look(done, now_s)
    assert 0 <= pace.rate <= max(more / step_s for step_s, more in steps) * 1.001


@pytest.mark.parametrize(
    "seconds, text", [(None, "?"), (0.2, "0 s"), (59.4, "59 s"), (61, "1:01"), (3599, "59:59"), (3725, "1:02:05")]
)
def test_spans_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("rate, text", [(0.04, "0.0"), (12.34, "12.3"), (99.9, "99.9"), (1234.5, "1,234")])
def test_rates_have_the_digits_they_deserve(rate: float, text: str) -> None:
    assert speed(rate) == text
