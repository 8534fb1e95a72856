"""How many calls may wait, from how long they take."""

from wsaios.engines.local.pace import AHEAD_US, Pace
from wsaios.kernel.engine import AtHand
from wsaios.kernel.task import LaneSpec

LANE = LaneSpec("pool", 2, "process")


def test_the_shorter_the_calls_the_more_wait() -> None:
    assert Pace(LANE, 2).took("a", 1.0) == AtHand("pool", "a", 512)
    assert Pace(LANE, 2).took("a", 1_000.0) == AtHand("pool", "a", 20)
    assert Pace(LANE, 2).took("a", 9_000.0) == AtHand("pool", "a", 2)
    assert Pace(LANE, 2).took("a", 11_000.0) is None


def test_only_a_great_change_is_reported() -> None:
    pace = Pace(LANE, 2)
    pace.took("a", 1_000.0)
    assert [pace.took("a", 1_400.0) for _ in range(50)] == [None] * 50
    assert pace.took("a", 1e6) == AtHand("pool", "a", 0)
    reports = [report for _ in range(100) if (report := pace.took("a", 1_000.0)) is not None]
    assert [report.rows for report in reports] == sorted(report.rows for report in reports)
    assert reports[-1].rows >= 10


def test_slots_beyond_the_workers_count_as_at_hand() -> None:
    assert Pace(LaneSpec("pool", 12, "process"), 2).took("a", 1_000.0) == AtHand("pool", "a", 10)
    assert Pace(LaneSpec("pool", 2_000, "process"), 2).took("a", 1.0) is None


def test_where_nothing_moves_all_is_taken_back_until_a_call_ends() -> None:
    pace = Pace(LANE, 2)
    pace.took("a", 1_000.0)
    pace.took("b", 1e6)
    assert pace.stands() == [AtHand("pool", "a", 0)]
    assert pace.stands() == []
    assert pace.took("a", 1_000.0) == AtHand("pool", "a", 20)


def test_what_is_not_known_or_takes_long_leaves_no_room_in_a_pipe() -> None:
    pace = Pace(LANE, 2)
    assert pace.usual_us("a") == AHEAD_US
    pace.took("a", 5.0)
    assert pace.usual_us("a") == 5.0
    pace.takes_long("a")
    assert pace.usual_us("a") == AHEAD_US
