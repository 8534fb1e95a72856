"""What is over leaves memory: a process that runs for months holds what lives now, not what it ever met."""

from copy import copy

import pytest

from tests.unit.scheduler.rig import NOW_US, Rig
from wsaios.components.executor import shelf
from wsaios.kernel.engine import Ended, Noted, Verdict
from wsaios.kernel.events import AbortBatch, Act, OpenBatch, Reported, Scope, SealBatch, StageRows, Verb
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, HandlerSpec, LaneSpec, NewTask, Options
from wsaios.scheduler import leftovers


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at what is over after 64 shards, so that thousands show what millions do."""
    monkeypatch.setattr(leftovers, "_SHARDS", 64)
    monkeypatch.setattr(leftovers, "_WINDOWS", 64)


def _keyed(number: int) -> NewTask:
    return NewTask("echo", b"{}", concurrency_key=f"customer {number}")


def _act(rig: Rig, verb: Verb, kind: str, number: int) -> object:
    scope = Scope("task", number) if kind == "task" else Scope("batch", number)
    return rig.ask(lambda token: Act(token, verb, scope))


def _open(rig: Rig) -> int:
    number = rig.ask(lambda token: OpenBatch(token, Batch(0, 0, "echo", "default", 0)))
    assert isinstance(number, int)
    return number


def _sealed(rig: Rig, rows: int = 1, handler: str = "echo") -> int:
    number = _open(rig)
    rig.step(StageRows(None, number, NewTask(handler, b""), [b"{}"] * rows), SealBatch(None, number))
    return number


def _held(rig: Rig) -> int:
    """How many entries the core has of shards and batches."""
    book, executor = rig.core.book, rig.core.executor
    return max(len(book.shards), len(executor.windows), len(book.batches), len(book.tasks), len(book.notes))


def _many_other_keys(rig: Rig) -> None:
    for first in range(0, 500, 100):
        rig.submit(*(_keyed(number) for number in range(first, first + 100)))
        rig.end()


def test_concurrency_keys_that_are_met_once_do_not_stay() -> None:
    rig = Rig()
    for first in range(0, 5000, 100):
        rig.submit(*(_keyed(number) for number in range(first, first + 100)))
        rig.end()

        assert _held(rig) <= 64 + 200


def test_keys_whose_tasks_are_cancelled_while_they_wait_do_not_stay() -> None:
    rig = Rig()
    for first in range(0, 1000, 50):
        waiting = [NewTask("unknown", b"{}", concurrency_key=f"{number}") for number in range(first, first + 50)]
        for number in rig.submit(*waiting):
            _act(rig, "cancel", "task", number)

        assert _held(rig) <= 64 + 100


def test_finished_batches_do_not_stay() -> None:
    rig = Rig()
    for _ in range(300):
        _sealed(rig)
        rig.end()

        assert _held(rig) <= 64 + 2


def test_batches_that_are_cancelled_while_they_are_paused_do_not_stay() -> None:
    rig = Rig()
    for _ in range(300):
        number = _open(rig)
        rig.step(StageRows(None, number, NewTask("unknown", b""), [b"{}"]), SealBatch(None, number))
        _act(rig, "pause", "batch", number)
        _act(rig, "cancel", "batch", number)

        assert _held(rig) <= 64 + 2
        assert not rig.core.book.paused


def test_a_batch_that_is_taken_back_empty_does_not_stay() -> None:
    rig = Rig()
    number = _open(rig)
    rig.step(AbortBatch(None, number))

    assert not rig.core.book.batches


def test_a_finished_batch_that_is_replayed_in_vain_does_not_stay() -> None:
    rig = Rig()
    number = _sealed(rig)
    rig.end()

    assert _act(rig, "replay", "batch", number) == 0
    assert not rig.core.book.batches


def test_a_finished_batch_whose_rows_are_replayed_is_there_until_they_end() -> None:
    rig = Rig()
    number = _sealed(rig, rows=3)
    rig.end(Verdict.GIVEN_UP)
    _many_other_keys(rig)

    assert _act(rig, "replay", "batch", number) == 3
    assert list(rig.core.book.batches) == [number]
    assert [batch.ended[State.SUCCEEDED] for batch in rig.end().batches] == [3]
    assert not rig.core.book.batches


def test_a_task_finds_its_shard_again_after_it_was_forgotten() -> None:
    rig = Rig()
    (paused,) = rig.submit(NewTask("unknown", b"{}", concurrency_key="seldom"))
    (late,) = rig.submit(NewTask("echo", b"{}", concurrency_key="seldom", due_us=NOW_US + 50))
    _act(rig, "pause", "task", paused)
    shards = {rig.ledger.tables.live[number].shard for number in (paused, late)}
    _many_other_keys(rig)

    assert not shards <= rig.core.book.shards.keys()
    assert _act(rig, "resume", "task", paused) == State.READY
    rig.now_us += 100
    rig.step()
    assert [work.attempts[0].task for work in rig.works] == [late]


def test_a_failed_task_is_replayed_after_its_shard_was_forgotten() -> None:
    rig = Rig()
    (failed,) = rig.submit(NewTask("echo", b"{}", concurrency_key="seldom", options=Options(max_attempts=1)))
    rig.end(Verdict.FAILED)
    _many_other_keys(rig)

    assert _act(rig, "replay", "task", failed) == State.READY
    assert [work.attempts[0].task for work in rig.works] == [failed]
    rig.submit(NewTask("echo", b"{}", concurrency_key="seldom"))
    assert len(rig.works) == 1


def test_a_note_goes_with_its_task() -> None:
    rig = Rig()
    (number,) = rig.submit(NewTask("echo", b"{}"))
    (work,) = rig.works
    rig.step(Reported(None, [Noted(number, work.attempts[0].fence, 0.5, "half")]))
    assert rig.core.book.notes == {number: (0.5, "half")}

    _act(rig, "pause", "task", number)

    assert not rig.core.book.tasks
    assert not rig.core.book.notes


def test_what_left_memory_is_forgotten_although_something_is_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "ROWS_IN_MEMORY", 64)
    shards = 64
    rig = Rig((LaneSpec("default", 2 * shards), HandlerSpec("echo", "default")))
    tenants = [NewTask("echo", b"{}", tenant=f"{number}") for number in range(shards)]
    for depth in range(200):
        # Of some there are more, so that their windows do not all run low at once.
        rig.submit(*[copy(each) for place, each in enumerate(tenants) for _ in range(1 + (place > depth))])
    left, open_questions = rig.core.book.left, []
    ahead = rig.launch(_ends(rig, shards))
    for _ in range(150):
        # Another commit is decided and sent behind the one on its way.
        behind = rig.launch(_ends(rig, shards))
        rig.land(ahead)
        ahead = behind
        open_questions.append(len(left))
        assert sum(len(each) for each in left) <= 6 * shards
    assert sum(each > 0 for each in open_questions) > 100


def _ends(rig: Rig, most: int) -> Reported:
    works, rig.works = rig.works[:most], rig.works[most:]
    return Reported(None, [Ended(a.task, a.fence, Verdict.SUCCEEDED, result=b"1") for w in works for a in w.attempts])
