"""The clock that is moved by hand."""

from __future__ import annotations

import pytest

from wsaios.kernel.ports import Clock
from wsaios.simulation.clock import START_US, SimClock


def test_it_stands_still_until_it_is_moved() -> None:
    clock: Clock = SimClock()
    assert clock.now_us() == clock.now_us() == START_US


def test_it_moves_by_a_span_or_to_a_time() -> None:
    clock = SimClock(100)
    assert clock.advance(50) == 150
    assert clock.advance(0) == 150
    assert clock.reach(200) == 200
    assert clock.now_us() == 200


def test_it_never_steps_back() -> None:
    clock = SimClock(100)
    assert clock.reach(40) == 100
    with pytest.raises(ValueError, match="-1 µs"):
        clock.advance(-1)
    assert clock.now_us() == 100
