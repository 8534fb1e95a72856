"""What goes after its retention time, in small steps, and what stays."""

import pytest

from tests.conformance.ledger.desk import NOW_US, Desk, batch, outcome, shard, task
from wsaios.kernel.errors import Fenced
from wsaios.kernel.ledger import ById, Commit, DependentsOf, IdempotencyOf, IdempotencyRow, Payload
from wsaios.kernel.states import State

LATER_US = NOW_US + 1_000_000


def _ended(desk: Desk, *numbers: int, at_us: int = NOW_US, of: int = 1) -> None:
    rows = desk.add(*(task(number, shard=of) for number in numbers))
    desk.end(*(outcome(row, ended_us=at_us) for row in rows), results=[Payload(row.id, 0, b"1") for row in rows])


def _left(desk: Desk) -> list[int]:
    return [number for number, _ in desk.ledger.reads().ended_ids(0, 1 << 62, 1000)]


def test_old_outcomes_go_with_all_that_hangs_on_them(desk: Desk) -> None:
    _ended(desk, 1, 2)
    _ended(desk, 3, at_us=LATER_US)
    desk.add(task(4, State.PENDING), links=[(1, 4), (3, 4)], spilled=[(1, 0, "[]"), (3, 0, "[]")])
    assert desk.ledger.prune(LATER_US, 100) == 2
    assert _left(desk) == [3]
    told = desk.ledger.commit(Commit(desk.epoch, NOW_US, fetch=[1, 2, 3, 4], questions=[DependentsOf(1, 9)]))
    assert sorted(told.payloads) == [3, 4]
    assert told.answers[0].links == []
    desk.write(spilled=[(1, 0, "[]")])
    assert desk.ledger.prune(LATER_US, 100) == 0


def test_pruning_goes_in_steps_oldest_first(desk: Desk) -> None:
    for number in range(1, 8):
        _ended(desk, number, at_us=NOW_US - number)
    assert desk.ledger.prune(LATER_US, 3) == 3
    assert _left(desk) == [1, 2, 3, 4]
    assert desk.ledger.prune(LATER_US, 3) == 3
    assert desk.ledger.prune(LATER_US, 3) == 1
    assert desk.ledger.prune(LATER_US, 3) == 0


def test_rows_of_a_kept_or_unfinished_batch_stay(desk: Desk) -> None:
    desk.write(shards=[shard(2, batch=50), shard(3, batch=51), shard(4, batch=52)])
    desk.write(
        batches=[
            batch(50, keep=True, rows=1, ended={6: 1}),
            batch(51, rows=2, ended={6: 1}),
            batch(52, rows=1, ended={6: 1}),
        ]
    )
    for number in (2, 3, 4):
        _ended(desk, number, of=number)
    _ended(desk, 9)
    assert desk.ledger.prune(LATER_US, 1) == 1
    assert desk.ledger.prune(LATER_US, 1) == 1
    assert desk.ledger.prune(LATER_US, 1) == 0
    assert _left(desk) == [2, 3]
    desk.write(batches=[batch(50, rows=1, ended={6: 1})])
    assert desk.ledger.prune(LATER_US, 1) == 1
    assert _left(desk) == [3]


def test_a_parent_stays_until_its_dependents_are_told(desk: Desk) -> None:
    _ended(desk, 1)
    desk.write(releases=[1])
    assert desk.ledger.prune(LATER_US, 10) == 0
    desk.write(releases_done=[1])
    assert desk.ledger.prune(LATER_US, 10) == 1


def test_live_tasks_are_never_pruned(desk: Desk) -> None:
    desk.add(task(1), task(2, State.RUNNING))
    assert desk.ledger.prune(1 << 62, 10) == 0
    assert [row.id for row in desk.ask(ById((1, 2))).tasks] == [1, 2]


def test_a_finished_batch_goes_with_its_last_row(desk: Desk) -> None:
    desk.write(shards=[shard(2, batch=50)], batches=[batch(50, rows=2, ended={6: 2}), batch(51, created_us=LATER_US)])
    _ended(desk, 1, 2, of=2)
    desk.ledger.prune(LATER_US, 1)
    assert desk.ledger.reads().batch(50) is not None
    desk.ledger.prune(LATER_US, 10)
    assert desk.ledger.reads().batch(50) is None
    assert desk.ledger.reads().batch(51) is not None
    assert desk.reopen().shards == []


def test_shards_that_a_core_may_still_use_stay_until_the_next_owner(desk: Desk) -> None:
    _ended(desk, 1)
    assert desk.ledger.prune(LATER_US, 10) == 1
    desk.add(task(2))
    assert desk.reopen().shards == [shard(1)]


def test_shards_that_no_core_holds_go_when_their_last_task_did(desk: Desk) -> None:
    desk.write(shards=[shard(number) for number in range(2, 7)] + [shard(7, batch=70)], batches=[batch(70, state=0)])
    _ended(desk, 1)
    _ended(desk, 2, of=2)
    desk.add(task(3, shard=3), task(4, State.PENDING, shard=4))
    assert desk.ledger.prune(NOW_US, 9, [2, 5]) == 1
    assert desk.ledger.prune(LATER_US, 9, [2, 5]) == 2 + 1
    assert desk.ledger.prune(LATER_US, 1, []) == 1
    assert desk.ledger.prune(LATER_US, 9, []) == 1
    desk.add(task(5, shard=7), task(6, shard=3))
    desk.write(shards=[shard(number) for number in (1, 2, 5, 6)])


def test_keys_that_are_over_go(desk: Desk) -> None:
    rows = [IdempotencyRow("t", key, 1, "d", NOW_US + place) for key, place in (("a", 10), ("b", 20), ("c", 90))]
    desk.write(keys=rows)
    desk.now_us = NOW_US + 50
    desk.write(releases=[1])
    assert desk.ledger.prune(NOW_US, 1) == 1
    assert desk.ledger.prune(NOW_US, 5) == 1
    assert desk.ledger.prune(NOW_US, 5) == 0
    asked = (("t", "a"), ("t", "b"), ("t", "c"))
    assert desk.ask(IdempotencyOf(asked, NOW_US)).keys == [rows[2]]


def test_a_key_outlives_the_task_it_stands_for(desk: Desk) -> None:
    row = IdempotencyRow("t", "a", 1, "d", LATER_US * 2)
    _ended(desk, 1)
    desk.write(keys=[row])
    assert desk.ledger.prune(LATER_US, 10) == 1
    assert desk.ask(IdempotencyOf((("t", "a"),), NOW_US)).keys == [row]


def test_old_values_of_facts_go(desk: Desk) -> None:
    for value in range(3):
        desk.write(facts=[("state", "a", value)])
    desk.now_us = LATER_US
    desk.write(facts=[("state", "a", 3)])
    assert desk.ledger.prune(LATER_US, 2) == 2
    assert desk.ledger.prune(LATER_US, 2) == 1
    assert desk.ledger.prune(LATER_US, 2) == 0
    assert desk.reopen().facts == [("state", "a", 3)]


def test_the_values_of_one_fact_that_are_kept_are_bounded(desk: Desk) -> None:
    desk.write(facts=[("state", "a", value) for value in range(100)])
    desk.write(facts=[("state", "a", None)])
    desk.write(facts=[("state", "a", value) for value in range(100)])
    assert desk.ledger.prune(LATER_US, 1000) == 64
    assert desk.reopen().facts == [("state", "a", 99)]


def test_pruning_under_an_epoch_that_is_over_is_refused(desk: Desk) -> None:
    _ended(desk, 1)
    desk.ledger.commit(Commit(desk.epoch, desk.now_us, releases=[5]))
    assert desk.ledger.prune(LATER_US, 1) == 1
    desk.reopen()
    assert desk.ledger.prune(LATER_US, 1) == 0
    with pytest.raises(Fenced):
        desk.ledger.commit(Commit(desk.epoch - 1, desk.now_us, releases=[6]))
