"""The second way in: what people and gateways ask."""

import pytest

from tests.conformance.ledger.desk import Another, Desk, arguments, batch, kept, outcome, shard, stored, task
from wsaios.kernel.errors import LedgerUnavailable
from wsaios.kernel.ledger import Payload, TaskView
from wsaios.kernel.states import State

FIRST = (1 << 22) + 5


def _mixed(desk: Desk) -> None:
    """Tasks 1…5 in every live state, 6…10 ended in every way."""
    desk.add(*(task(number, number) for number in range(1, 6)))
    ended = desk.add(*(task(number) for number in range(6, 11)))
    desk.end(*(outcome(row, State(row.id)) for row in ended))


def test_a_view_of_a_live_task_has_everything(desk: Desk) -> None:
    (one,) = desk.add(task(7, State.RUNNING, fence=2), spilled=[(7, 0, "[[1,1,1,null]]")])
    view = desk.ledger.reads().task_view(7)
    assert view == TaskView(shard(1), live=stored(one), payload=arguments(7), spilled=["[[1,1,1,null]]"])


def test_a_view_of_an_ended_task_has_arguments_and_result(desk: Desk) -> None:
    (one,) = desk.add(task(7))
    gone = outcome(one, codec=1)
    desk.end(gone, results=[Payload(7, 1, b"\x00\xff")])
    view = desk.ledger.reads().task_view(7)
    assert view == TaskView(
        shard(1), outcome=kept(gone, size=2), payload=arguments(7), result=Payload(7, 1, b"\x00\xff")
    )


def test_a_view_of_an_unknown_task_is_none(desk: Desk) -> None:
    assert desk.ledger.reads().task_view(7) is None


def test_ends_are_those_of_the_tasks_that_ended_with_their_results_and_say_who_is_unknown(desk: Desk) -> None:
    rows = desk.add(*(task(number) for number in (7, 8, 9)))
    seven, nine = outcome(rows[0], codec=1), outcome(rows[2], State.FAILED)
    desk.end(nine, seven, results=[Payload(7, 1, b"\x00\xff")])
    told = desk.ledger.reads().ends([9, 3, 8, 7, 2])
    handler = shard(1).handler
    ended = sorted(told[0], key=lambda each: each[0].id)
    assert ended == [(kept(seven, size=2), b"\x00\xff", handler), (kept(nine), b"", handler)]
    assert told[1] == [3, 2]
    assert desk.ledger.reads().ends([8]) == ([], [])


def test_a_list_has_live_and_ended_tasks_by_id(desk: Desk) -> None:
    _mixed(desk)
    views = desk.ledger.reads().task_list([], 0, 100)
    states = [(view.live or view.outcome) for view in views]
    assert [(row.id, row.state) for row in states if row is not None] == [(number, number) for number in range(1, 11)]
    assert {view.shard for view in views} == {shard(1)}
    assert all(view.payload is None and view.result is None for view in views)


@pytest.mark.parametrize(
    "states, after, limit, expected",
    [
        ([2], 0, 9, [2]),
        ([3], 0, 9, [3]),
        ([1, 4, 9], 0, 9, [1, 4, 9]),
        ([7], 0, 9, [7]),
        ([6, 2, 3], 2, 9, [3, 6]),
        ([], 4, 3, [5, 6, 7]),
        ([5, 10], 0, 1, [5]),
        ([8], 8, 9, []),
    ],
)
def test_a_list_may_be_of_some_states_and_of_a_page(
    desk: Desk, states: list[int], after: int, limit: int, expected: list[int]
) -> None:
    _mixed(desk)
    views = desk.ledger.reads().task_list(states, after, limit)
    assert [row.id for row in (view.live or view.outcome for view in views) if row is not None] == expected


def test_ahead_counts_ready_tasks_that_come_first(desk: Desk) -> None:
    desk.write(shards=[shard(2), shard(3)])
    desk.add(*(task(number, key=number % 3, shard=1 + number % 2) for number in range(1, 13)))
    desk.add(task(20, State.PENDING, key=-1), task(21, key=-1, shard=3))
    reads = desk.ledger.reads()
    assert reads.ahead([1, 2], 1, 4, 100) == 5
    assert reads.ahead([1], 1, 4, 100) == 2
    assert reads.ahead([1, 2, 3], 9, 0, 100) == 13
    assert reads.ahead([1, 2], 9, 0, 7) == 7
    assert reads.ahead([], 9, 0, 7) == 0


def test_batches_are_found_by_id_and_by_key(desk: Desk) -> None:
    desk.write(
        batches=[batch(50, key="a"), batch(51, key="b"), batch(52, key="a"), batch(53, key="a", state=2), batch(54)]
    )
    reads = desk.ledger.reads()
    assert reads.batch(51) == batch(51, key="b")
    assert reads.batch(99) is None
    assert reads.batch_by_key("a") == batch(52, key="a")
    assert reads.batch_by_key("c") is None
    assert [row.id for row in reads.batch_list(3)] == [54, 53, 52]


def test_outcomes_come_with_their_results(desk: Desk) -> None:
    tasks = desk.add(*(task(number) for number in range(1, 6)))
    results = [Payload(1, 0, b'"\xc3\xa9"'), Payload(3, 2, b"\0\xff\0"), Payload(4, 2, b"")]
    desk.end(*(outcome(row, codec=2) for row in tasks[:4]), results=results)
    reads = desk.ledger.reads()
    assert [(row.id, row.size, data) for row, data in reads.outcomes(1, 5, 10)] == [
        (1, 4, b'"\xc3\xa9"'),
        (2, 0, b""),
        (3, 3, b"\0\xff\0"),
        (4, 0, b""),
    ]
    assert [row.id for row, _ in reads.outcomes(2, 3, 10)] == [2, 3]
    assert [row.id for row, _ in reads.outcomes(1, 5, 1)] == [1]
    assert reads.outcomes(5, 9, 10) == []


def test_ended_ids_tell_how_they_ended(desk: Desk) -> None:
    _mixed(desk)
    reads = desk.ledger.reads()
    assert reads.ended_ids(1, 9, 10) == [(6, 6), (7, 7), (8, 8), (9, 9)]
    assert reads.ended_ids(8, 99, 2) == [(8, 8), (9, 9)]


def test_totals_count_every_state(desk: Desk) -> None:
    assert (desk.ledger.reads().totals().live, desk.ledger.reads().totals().ended) == ({}, {})
    _mixed(desk)
    desk.add(task(20), task(21, State.RUNNING))
    totals = desk.ledger.reads().totals()
    assert totals.live == {1: 1, 2: 2, 3: 2, 4: 1, 5: 1}
    assert totals.ended == {6: 1, 7: 1, 8: 1, 9: 1, 10: 1}
    assert totals.size_bytes >= 0


def test_reads_see_every_commit(desk: Desk) -> None:
    reads = desk.ledger.reads()
    assert reads.totals().live == {}
    (one,) = desk.add(task(1))
    assert reads.totals().live == {2: 1}
    desk.end(outcome(one))
    assert reads.totals().live == {}
    desk.reopen()
    assert reads.ended_ids(1, 1, 1) == [(1, 6)]


def test_reads_end_with_their_ledger(another: Another) -> None:
    ledger = another()
    ledger.open(1, "first")
    reads = ledger.reads()
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        reads.task_view(1)
