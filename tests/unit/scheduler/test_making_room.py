"""Calls that stop at a checkpoint or make room, as the core that is driven by hand sees them."""

import pytest

from tests.unit.scheduler.rig import Rig
from wsaios.kernel.engine import Aside, AttemptRef, Ended, Resumed, Verdict, Yielded
from wsaios.kernel.events import Act, Reorder, Reported, Scope
from wsaios.kernel.policy import Mlfq, Ordering
from wsaios.kernel.task import HandlerSpec, LaneSpec, NewTask


def hall(slots: int) -> Rig:
    return Rig(
        [LaneSpec("default", slots), HandlerSpec("long", "default", preemptible=True), HandlerSpec("echo", "default")]
    )


def running(rig: Rig) -> list[AttemptRef]:
    return [AttemptRef(attempt.task, attempt.fence) for work in rig.works for attempt in work.attempts]


def ended(ref: AttemptRef) -> Reported:
    return Reported(None, [Ended(ref.task, ref.fence, Verdict.SUCCEEDED, b"1")])


@pytest.mark.parametrize("awaits", [False, True])
def test_a_call_that_stopped_goes_on_when_its_turn_comes_in_a_core_that_is_built_anew(awaits: bool) -> None:
    rig = hall(1)
    rig.submit(NewTask("long", b"{}"))
    rig.submit(NewTask("echo", b"{}", priority=9))
    (long,) = running(rig)
    rig.step(Reported(None, [Yielded(*long), *([Aside(*long)] if awaits else [])]))
    assert len(rig.works) == 2
    echo = running(rig)[1]

    # What the last step said has reached the engine.
    rig.step()
    rig.rebuild()
    rig.submit(NewTask("echo", b"{}", priority=-9))
    assert (len(rig.works), rig.cancels, rig.resumes) == (2, [], [])
    rig.step(ended(echo))
    assert rig.resumes == [Resumed(long, None)]
    # One that still awaits other tasks needs no slot until it comes back.
    assert len(rig.works) == (3 if awaits else 2)
    if awaits:
        rig.step(ended(running(rig)[2]), Reported(None, [Aside(*long, back=True)]))
    rig.submit(NewTask("echo", b"{}", priority=9))
    assert len(rig.works) == (3 if awaits else 2)
    rig.step(ended(long))
    assert [work.handler for work in rig.works[2:]] == ["echo"] * (2 if awaits else 1)


def test_the_next_one_is_asked_when_the_first_did_not_react() -> None:
    rig = hall(2)
    rig.submit(NewTask("long", b"{}", priority=-60))
    rig.now_us += 1
    rig.submit(NewTask("long", b"{}", priority=-60))
    first, second = running(rig)
    rig.now_us += 1
    asked_us = rig.now_us
    rig.submit(NewTask("echo", b"{}", priority=60))
    assert rig.step().wake_us == asked_us + 100_000

    rig.now_us += 100_000
    rig.preempts.clear()
    rig.step()
    assert rig.preempts == [first]
    assert rig.step().wake_us is None
    rig.step(Reported(None, [Yielded(*second)]))
    assert [work.handler for work in rig.works] == ["long", "long", "echo"]


def test_a_call_that_stopped_goes_on_in_a_lane_that_is_paused_and_nothing_else() -> None:
    rig = hall(1)
    rig.submit(NewTask("long", b"{}"))
    (long,) = running(rig)
    rig.step(Act(None, "pause", Scope("lane", name="default")))
    rig.submit(NewTask("echo", b"{}", priority=9))
    rig.step(Reported(None, [Yielded(*long)]))
    assert rig.resumes == [Resumed(long, None)]
    assert len(rig.works) == 1


def test_calls_that_run_learn_of_a_policy_that_limits_their_time() -> None:
    rig = hall(2)
    rig.submit(NewTask("echo", b"{}"))
    (echo,) = running(rig)
    limited = Ordering(Mlfq(quanta_ms=(4.0, 8.0)))
    rig.step(Reorder(None, limited))
    assert rig.preempts == [echo]
    rig.step(Reported(None, [Yielded(*echo)]))
    assert rig.resumes == [Resumed(echo, 4000)]
