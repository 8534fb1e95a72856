"""When a task that waits will start, as far as the core can guess."""

import pytest

from tests.unit.scheduler.rig import Rig
from wsaios.kernel.engine import AtHand, Ended, Verdict, Yielded
from wsaios.kernel.events import Reported
from wsaios.kernel.task import GRADES, HandlerSpec, LaneSpec, NewTask
from wsaios.scheduler.outlook import starts_in_s

BULK, DEFAULT, INTERACTIVE = range(len(GRADES))
SECOND_US = 1_000_000


def hall(slots: int, reserved: dict[str, int] | None = None) -> Rig:
    """Calls of its lane have taken a second."""
    rig = Rig([LaneSpec("default", slots, reserved=reserved or {}), HandlerSpec("echo", "default")])
    rig.submit(NewTask("echo", b"{}"))
    rig.now_us += SECOND_US
    rig.end()
    return rig


def guess(rig: Rig, ahead: int, grade: int = DEFAULT) -> float | None:
    return starts_in_s(rig.core, "default", grade, ahead, rig.now_us)


def test_nobody_knows_before_a_call_has_ended() -> None:
    rig = Rig()
    rig.submit(NewTask("echo", b"{}"))
    assert guess(rig, 0) is None


def test_as_many_as_stand_before_it_take_their_time_on_all_slots() -> None:
    rig = hall(2)
    assert guess(rig, 0) == pytest.approx(0.5)
    rig.submit(*[NewTask("echo", b"{}")] * 9)
    assert guess(rig, 0) == pytest.approx(0.5)
    assert guess(rig, 7) == pytest.approx(4.0)


def test_calls_that_run_for_longer_than_others_did_are_believed_to_go_on_like_that() -> None:
    rig = hall(2)
    rig.submit(*[NewTask("echo", b"{}")] * 9)
    rig.now_us += SECOND_US // 2
    assert guess(rig, 0) == pytest.approx(0.5)
    rig.now_us += 4 * SECOND_US
    assert guess(rig, 0) == pytest.approx(4.5 / 2)
    assert guess(rig, 7) == pytest.approx(8 * 4.5 / 2)


def test_one_that_hangs_does_not_speak_for_the_others() -> None:
    rig = hall(4)
    rig.submit(NewTask("echo", b"{}"))
    rig.now_us += 1000 * SECOND_US
    rig.submit(*[NewTask("echo", b"{}")] * 9)
    assert guess(rig, 2) == pytest.approx(1.0, rel=0.01)


def test_who_has_given_its_slot_away_is_not_counted() -> None:
    rig = hall(1)
    rig.submit(NewTask("echo", b"{}"))
    rig.submit(*[NewTask("echo", b"{}", priority=9)] * 2)
    (attempt,) = rig.works[0].attempts
    rig.step(Reported(None, [Yielded(attempt.task, attempt.fence)]))
    rig.now_us += 7 * SECOND_US
    (better,) = rig.works[1].attempts
    rig.step(Reported(None, [Ended(better.task, better.fence, Verdict.SUCCEEDED, b"1")]))
    # One that runs since now, in a lane whose calls took a second and seven; another one rests for seven.
    assert len(rig.works) == 3
    assert guess(rig, 0) == pytest.approx(4.0)


def test_slots_that_are_kept_for_higher_classes_are_not_counted() -> None:
    rig = hall(4, {"interactive": 2, "default": 1})
    assert guess(rig, 0, INTERACTIVE) == pytest.approx(0.25)
    assert guess(rig, 0, DEFAULT) == pytest.approx(0.5)
    assert guess(rig, 0, BULK) == pytest.approx(1.0)


def test_calls_at_hand_beyond_the_slots_do_not_make_those_behind_them_late() -> None:
    rig = hall(1)
    rig.step(Reported(None, [AtHand("default", "echo", 9)]))
    rig.submit(*[NewTask("echo", b"{}")] * 20)
    assert rig.core.executor.slots.taken() == 10
    rig.now_us += 5 * SECOND_US
    # The one at work has been there for five times as long as others; nine are at hand, and nine stand before it.
    assert guess(rig, 9) == pytest.approx(19 / ((1 / 5 + 9) / 10))
