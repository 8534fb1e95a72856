"""What the core may ask: which rows, in which order, and how many."""

import pytest

from tests.conformance.ledger.desk import Desk, batch, ids, outcome, shard, stored, task
from wsaios.kernel.ledger import (
    BatchById,
    ById,
    Commit,
    DependentsOf,
    DependentsOfMany,
    DueAfter,
    EndedAfter,
    ExpiringAfter,
    IdempotencyOf,
    IdempotencyRow,
    LiveAfter,
    Question,
    ReadyAfter,
)
from wsaios.kernel.states import State

EVERY_STATE = [State.PENDING, State.READY, State.RUNNING, State.RETRYING, State.PAUSED]
LOWEST = -(1 << 63)


def test_ready_tasks_come_in_the_order_of_their_shard(desk: Desk) -> None:
    desk.write(shards=[shard(2)])
    desk.add(task(1, key=5), task(2, key=-5), task(3, key=5), task(4, key=0, shard=2), task(5, key=-(1 << 60)))
    desk.add(*(task(10 + place, state, key=-9) for place, state in enumerate(EVERY_STATE)))
    assert ids(desk.ask(ReadyAfter(1, LOWEST, 0, 10)).tasks) == [5, 11, 2, 1, 3]
    assert ids(desk.ask(ReadyAfter(1, LOWEST, 0, 2)).tasks) == [5, 11]
    assert ids(desk.ask(ReadyAfter(1, -5, 2, 10)).tasks) == [1, 3]
    assert ids(desk.ask(ReadyAfter(1, 5, 1, 10)).tasks) == [3]
    assert ids(desk.ask(ReadyAfter(2, LOWEST, 0, 10)).tasks) == [4]
    assert desk.ask(ReadyAfter(3, LOWEST, 0, 10)).tasks == []


def test_what_is_told_brings_its_shards(desk: Desk) -> None:
    desk.write(shards=[shard(2, concurrency_key="k"), shard(3), shard(4)])
    lost = task(2, State.RUNNING, shard=3)
    desk.add(task(1, State.PENDING, shard=2, due_us=5), lost, task(3, shard=4))
    desk.end(outcome(lost, State.LOST))
    named: Question = ReadyAfter(4, LOWEST, 0, 9)
    others: list[Question] = [DueAfter(LOWEST, 0, 9), EndedAfter(0, 9, (State.LOST,), 9), ById((1,))]

    told = desk.ledger.commit(Commit(desk.epoch, desk.now_us, questions=[named, *others]))

    assert told.shards == [shard(2, concurrency_key="k"), shard(3)]
    assert desk.ledger.commit(Commit(desk.epoch, desk.now_us, questions=[named])).shards == []


def test_tasks_that_wait_for_a_time_come_in_its_order(desk: Desk) -> None:
    desk.add(*(task(place, state, due_us=100 - place) for place, state in enumerate(EVERY_STATE, 1)))
    desk.add(task(7, State.PENDING), task(8, State.PENDING, due_us=96), task(9, State.RETRYING, due_us=-4))
    assert ids(desk.ask(DueAfter(LOWEST, 0, 10)).tasks) == [9, 4, 8, 1]
    assert ids(desk.ask(DueAfter(96, 4, 1)).tasks) == [8]
    assert ids(desk.ask(DueAfter(96, 8, 10)).tasks) == [1]


def test_tasks_that_will_expire_come_in_the_order_of_that_unless_they_run(desk: Desk) -> None:
    desk.add(*(task(place, state, expires_us=100 - place) for place, state in enumerate(EVERY_STATE, 1)))
    desk.add(task(7), task(8, expires_us=96))
    assert ids(desk.ask(ExpiringAfter(LOWEST, 0, 10)).tasks) == [5, 4, 8, 2, 1]
    assert ids(desk.ask(ExpiringAfter(96, 4, 2)).tasks) == [8, 2]


def test_a_change_moves_a_task_in_every_order(desk: Desk) -> None:
    one, _ = desk.add(task(1, State.RETRYING, due_us=5, expires_us=9), task(2, State.RETRYING, due_us=6, expires_us=8))
    one.state, one.due_us, one.expires_us, one.key = State.READY, None, 7, 3
    desk.write(updated=[one])
    assert ids(desk.ask(DueAfter(0, 0, 10)).tasks) == [2]
    assert ids(desk.ask(ExpiringAfter(0, 0, 10)).tasks) == [1, 2]
    assert ids(desk.ask(ReadyAfter(1, 2, 99, 10)).tasks) == [1]


def test_by_id_tells_live_and_ended_ones_by_id(desk: Desk) -> None:
    tasks = desk.add(*(task(number) for number in (5, 1, 3, 2)))
    desk.end(outcome(tasks[0]), outcome(tasks[3]))
    answer = desk.ask(ById((3, 5, 99, 2, 1, 3)))
    assert (ids(answer.tasks), [row.id for row in answer.outcomes]) == ([1, 3], [2, 5])
    assert desk.ask(ById(())).tasks == []


def test_live_tasks_come_by_id_within_their_bounds(desk: Desk) -> None:
    desk.add(*(task(number, state) for number, state in enumerate(EVERY_STATE, 1)))
    assert ids(desk.ask(LiveAfter(1, 4, 10)).tasks) == [2, 3, 4]
    assert ids(desk.ask(LiveAfter(0, 99, 2)).tasks) == [1, 2]
    assert desk.ask(LiveAfter(5, 99, 2)).tasks == []


def test_outcomes_come_by_id_within_their_bounds_and_states(desk: Desk) -> None:
    states = [State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.LOST, State.FAILED]
    tasks = desk.add(*(task(number) for number in range(1, 7)))
    desk.end(*(outcome(row, state) for row, state in zip(tasks, states, strict=True)))

    def told(after: int, upto: int, wanted: tuple[int, ...], limit: int = 10) -> list[int]:
        return [row.id for row in desk.ask(EndedAfter(after, upto, wanted, limit)).outcomes]

    assert told(0, 99, (7, 10)) == [2, 5, 6]
    assert told(0, 99, (6, 7)) == [1, 2, 6]
    assert told(2, 5, (6, 7, 8, 9, 10)) == [3, 4, 5]
    assert told(0, 99, (7,), limit=1) == [2]
    assert told(0, 99, (6, 8), limit=1) == [1]
    assert told(0, 99, ()) == []


def test_dependents_come_by_child_with_those_that_live(desk: Desk) -> None:
    tasks = desk.add(*(task(number, State.PENDING) for number in range(1, 6)))
    desk.write(links=[(1, 5), (1, 3), (1, 2), (2, 4)])
    desk.end(outcome(tasks[2], State.CANCELLED))
    answer = desk.ask(DependentsOf(1, 10))
    assert (answer.links, ids(answer.tasks)) == ([(1, 2), (1, 3), (1, 5)], [2, 5])
    answer = desk.ask(DependentsOf(1, 2))
    assert (answer.links, ids(answer.tasks)) == ([(1, 2), (1, 3)], [2])
    assert desk.ask(DependentsOf(5, 10)).links == []


def test_dependents_of_many_come_by_parent_and_child_with_each_child_once(desk: Desk) -> None:
    desk.add(*(task(number, State.PENDING) for number in range(1, 6)))
    desk.write(links=[(2, 5), (1, 5), (1, 4), (3, 4)])
    answer = desk.ask(DependentsOfMany((2, 1, 9), 10))
    assert (answer.links, ids(answer.tasks)) == ([(1, 4), (1, 5), (2, 5)], [4, 5])
    answer = desk.ask(DependentsOfMany((1, 2), 2))
    assert (answer.links, ids(answer.tasks)) == ([(1, 4), (1, 5)], [4, 5])
    assert desk.ask(DependentsOfMany((), 10)).links == []


def test_keys_come_in_the_order_asked_for(desk: Desk) -> None:
    rows = [IdempotencyRow("t", key, place, "d", desk.now_us + 1000) for place, key in enumerate("cab")]
    desk.write(keys=rows)
    asked = (("t", "b"), ("t", "x"), ("t", "c"), ("t", "a"))
    assert desk.ask(IdempotencyOf(asked, desk.now_us)).keys == [rows[2], rows[0], rows[1]]
    assert desk.ask(IdempotencyOf((), desk.now_us)).keys == []


@pytest.mark.parametrize("state", [0, 1, 2])
def test_one_batch_is_told_whatever_its_state(desk: Desk, state: int) -> None:
    given = batch(50, state=state, rows=1, ended={6: 1})
    desk.write(batches=[given, batch(51)])
    assert desk.ask(BatchById(50)).batches == [given]
    assert desk.ask(BatchById(49)).batches == []


def test_answers_fill_only_what_belongs_to_the_question(desk: Desk) -> None:
    (one,) = desk.add(task(1))
    answer = desk.ask(LiveAfter(0, 9, 9))
    assert answer.tasks == [stored(one)]
    assert (answer.outcomes, answer.links, answer.keys, answer.batches) == ([], [], [], [])
