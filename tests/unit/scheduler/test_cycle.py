"""What starts when, and when the core wants to be woken."""

import pytest

from tests.unit.scheduler.rig import Rig
from wsaios.kernel.engine import AtHand, AttemptRef, Ended, Unbegun, Verdict, WorkerLost
from wsaios.kernel.events import Act, Hold, Reported, Scope
from wsaios.kernel.states import State
from wsaios.kernel.task import HandlerSpec, LaneSpec, NewTask, Options

SHORT = AtHand("process", "short", 8)


def narrow() -> Rig:
    """Two slots, a handler whose calls are short, one whose calls are not, and one that must not be repeated."""
    once = HandlerSpec("once", "process", options=Options(delivery="at_most_once"))
    rows = HandlerSpec("rows", "process", 4, 0)
    return Rig([LaneSpec("process", 2), HandlerSpec("short", "process"), HandlerSpec("long", "process"), once, rows])


def started(rig: Rig) -> list[str]:
    return [work.handler for work in rig.works]


def test_what_is_held_does_not_ask_to_be_woken_for_a_micro_batch() -> None:
    rig = Rig()
    rig.submit(NewTask("vector", b"{}"))
    assert rig.step().wake_us == rig.now_us + 10_000

    assert rig.step(Hold(held=True)).wake_us is None
    rig.now_us += 20_000
    assert rig.step().wake_us is None

    rig.step(Hold(held=False))
    assert [work.handler for work in rig.works] == ["vector"]


def test_calls_known_as_short_wait_beyond_the_slots_and_others_do_not() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    rig.submit(*[NewTask("long", b"{}")] * 5)
    assert started(rig) == ["long"] * 2

    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    rig.submit(*[NewTask("short", b"{}")] * 20)
    assert started(rig) == ["short"] * 10


def test_nothing_passes_a_better_one_that_has_no_room() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    rig.submit(*[NewTask("long", b"{}", priority=9)] * 3, *[NewTask("short", b"{}")] * 5)
    assert started(rig) == ["long"] * 2

    attempt = rig.works.pop().attempts[0]
    rig.step(Reported(None, [Ended(attempt.task, attempt.fence, Verdict.SUCCEEDED, b"1")]))
    assert started(rig) == ["long", "long", *["short"] * 5]


def test_what_may_not_be_repeated_keeps_to_the_slots() -> None:
    rig = narrow()
    rig.step(Reported(None, [AtHand("process", "once", 8)]))
    rig.submit(*[NewTask("once", b"{}")] * 5)
    assert started(rig) == ["once"] * 2


@pytest.mark.parametrize("first", [1, 4])
def test_what_may_not_be_repeated_keeps_to_the_slots_behind_others_and_is_not_lost_with_them(first: int) -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    once = Options(delivery="at_most_once")
    ids = rig.submit(*[NewTask("short", b"{}")] * first, *[NewTask("short", b"{}", options=once)] * 5)
    assert [work.at_most_once for work in rig.works] == ([False, True] if first == 1 else [False] * 4)
    begun = {attempt.task for work in rig.works[:2] for attempt in work.attempts}

    rig.restart()
    lost = [task for task in ids if task not in rig.core.book.tasks]
    assert lost == [task for task in ids[first:] if task in begun]
    for _ in ids:
        rig.end()
    assert {rig.ledger.tables.outcomes[task].state for task in ids if task not in lost} == {State.SUCCEEDED}


def test_what_may_expire_keeps_to_the_slots_so_that_it_can_while_it_waits() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT, AtHand("process", "rows", 8)]))
    soon = rig.now_us + 1_000
    ids = rig.submit(*[NewTask("short", b"{}")] * 3, *[NewTask("short", b"{}", expires_us=soon)] * 2)
    assert len(rig.works) == 3
    rig.now_us = soon
    rig.step()
    assert {rig.ledger.tables.outcomes[task].state for task in ids[3:]} == {State.EXPIRED}

    rig = narrow()
    rig.step(Reported(None, [AtHand("process", "rows", 8)]))
    rig.submit(*[NewTask("rows", b"{}")] * 10, *[NewTask("rows", b"{}", expires_us=soon)] * 2)
    assert [len(work.attempts) for work in rig.works] == [4, 4, 2]


def test_rows_beyond_the_slots_count_one_by_one() -> None:
    rig = narrow()
    rig.step(Reported(None, [AtHand("process", "rows", 8)]))
    rig.submit(*[NewTask("rows", b"{}")] * 100)
    assert [len(work.attempts) for work in rig.works] == [4] * 4


def test_what_waits_beyond_the_slots_can_be_cancelled_and_paused_like_what_runs() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    ids = rig.submit(*[NewTask("short", b"{}")] * 10)
    held = {work.attempts[0].task: work.attempts[0] for work in rig.works}
    assert list(held) == ids
    gone = []
    for act in (Act("1", "cancel", Scope("task", ids[8])), Act("2", "pause", Scope("task", ids[9]))):
        gone += rig.step(act).cancels
    assert gone == [AttemptRef(each, held[each].fence) for each in ids[8:]]

    rig.step(Act("pause", "pause", Scope("lane", name="process")))
    rig.step(Reported(None, [Ended(*ref, Verdict.CANCELLED) for ref in gone]))
    (later,) = rig.submit(NewTask("short", b"{}"))
    assert len(rig.works) == 10
    rig.step(Act("resume", "resume", Scope("lane", name="process")), Act("resume", "resume", Scope("task", ids[9])))
    assert {work.attempts[0].task for work in rig.works[10:]} == {ids[9], later}

    rig.end()
    assert not rig.core.book.tasks
    assert {rig.ledger.tables.outcomes[task].state for task in (*ids[:8], ids[9], later)} == {State.SUCCEEDED}


def test_a_loss_beyond_the_slots_counts_as_any_other() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT, AtHand("process", "rows", 8)]))
    rows = rig.submit(*[NewTask("rows", b"{}")] * 12)
    assert [len(work.attempts) for work in rig.works] == [4] * 3
    lost = rig.works.pop()
    rig.step(Reported(None, [WorkerLost([AttemptRef(each.task, each.fence) for each in lost.attempts])]))
    assert [len(work.attempts) for work in rig.works] == [4, 4, 2, 2]
    rig.end()

    single = rig.submit(*[NewTask("short", b"{}")] * 5)[-1]
    for _ in range(3):
        (attempt,) = next(work.attempts for work in rig.works if work.attempts[0].task == single)
        rig.step(Reported(None, [WorkerLost([AttemptRef(single, attempt.fence)])]))
        rig.works = [work for work in rig.works if work.attempts[0] is not attempt]
    poison = rig.ledger.tables.outcomes[single]
    assert (poison.state, poison.failure and poison.failure.kind) == (State.FAILED, "Poison")
    rig.end()
    assert {rig.ledger.tables.outcomes[task].state for task in rows} == {State.SUCCEEDED}
    assert not rig.core.book.tasks


def test_a_core_that_is_built_anew_knows_what_may_wait() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    rig.submit(*[NewTask("short", b"{}")] * 3)
    rig.step()
    rig.rebuild()
    rig.works.clear()
    rig.submit(*[NewTask("short", b"{}")] * 20)
    # Three of ten are at the engine for the core before.
    assert len(rig.works) == 7


def test_what_is_given_back_unbegun_is_ready_again_and_no_attempt_is_used_up() -> None:
    rig = narrow()
    rig.step(Reported(None, [SHORT]))
    ids = rig.submit(*[NewTask("short", b"{}", options=Options(max_attempts=1))] * 4)
    assert len(rig.works) == 4
    behind = [work.attempts[0] for work in rig.works[2:]]
    del rig.works[2:]
    none = AtHand("process", "short", 0)
    rig.step(Reported(None, [none, *[Unbegun(each.task, each.fence) for each in behind]]))
    assert len(rig.works) == 2
    assert [rig.core.book.tasks[task].state for task in ids] == [State.RUNNING] * 2 + [State.READY] * 2

    rig.end()
    assert [work.attempts[0].number for work in rig.works] == [1, 1]
    assert [work.attempts[0].fence > each.fence for work, each in zip(rig.works, behind, strict=True)] == [True, True]
    rig.end()
    assert not rig.core.book.tasks
