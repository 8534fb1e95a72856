"""What a commit writes, and what it refuses as a whole."""

import pytest

from tests.conformance.ledger.desk import Desk, arguments, batch, body, ids, kept, outcome, shard, stored, task
from wsaios.kernel.errors import Fenced, LedgerBroken
from wsaios.kernel.ledger import ById, Commit, DependentsOf, IdempotencyOf, IdempotencyRow, LiveAfter, Payload
from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Options

ALL = LiveAfter(0, (1 << 63) - 1, 1000)
STRANGE = '\0client \N{SNOWMAN} \U0001f600 "quote" back\\slash\n\x7f\u2028'


def test_an_accepted_task_is_told_as_it_was_given(desk: Desk) -> None:
    given = body(
        priority=-3,
        attempts=2,
        options=Options(max_attempts=5, backoff_initial_s=0.25, delivery="at_most_once"),
        traceparent="00-ab-cd-01",
        reason=STRANGE,
        spilled=1,
        history=[(1, 10, 0, None), (2, 11, 1, STRANGE)],
    )
    one = task(7, State.RETRYING, fence=4, key=-(1 << 62), due_us=123, expires_us=456, body=given)
    desk.add(one)
    assert desk.ask(ById((7,))).tasks == [stored(one)]
    assert isinstance(desk.ask(ById((7,))).tasks[0].body, Body)


def test_ids_of_63_bits_are_kept(desk: Desk) -> None:
    largest = (1 << 63) - 1
    desk.add(task(largest, key=largest))
    assert desk.ask(ById((largest,))).tasks[0].key == largest


def test_a_changed_task_replaces_its_row(desk: Desk) -> None:
    (one,) = desk.add(task(7))
    one.state, one.fence, one.key, one.due_us = State.RUNNING, 2, 9, 99
    one.body.attempts = 1
    desk.write(updated=[one])
    assert desk.ask(ById((7,))).tasks == [stored(one)]


@pytest.mark.parametrize("family", ["updated", "ended"])
def test_another_fence_than_the_stored_one_writes_nothing(desk: Desk, family: str) -> None:
    one, two = desk.add(task(7), task(8, fence=3))
    two.stored_fence = 2
    rows = [one, two] if family == "updated" else [outcome(one), outcome(two)]
    with pytest.raises(LedgerBroken, match="fence"):
        desk.write(**{family: rows}, facts=[("state", "a", 1)])
    assert desk.ask(ALL).tasks == [stored(task(7)), stored(task(8, fence=3))]
    assert desk.reopen().facts == []


@pytest.mark.parametrize("family", ["updated", "ended"])
def test_a_task_that_is_not_there_writes_nothing(desk: Desk, family: str) -> None:
    missing = task(9, stored_fence=1)
    with pytest.raises(LedgerBroken):
        desk.write(**{family: [missing if family == "updated" else outcome(missing)]})


@pytest.mark.parametrize("family", ["updated", "ended"])
def test_a_task_never_changes_its_shard(desk: Desk, family: str) -> None:
    desk.write(shards=[shard(2)])
    (one,) = desk.add(task(7))
    moved = task(7, shard=2, stored_fence=1)
    with pytest.raises(LedgerBroken):
        desk.write(**{family: [moved if family == "updated" else outcome(moved)]})
    assert desk.ask(ALL).tasks == [stored(one)]


def test_a_task_of_an_unknown_shard_is_refused(desk: Desk) -> None:
    with pytest.raises(LedgerBroken, match="shard"):
        desk.write(accepted=[task(7, shard=5)])
    assert desk.ask(ALL).tasks == []


def test_the_same_id_twice_is_refused(desk: Desk) -> None:
    desk.add(task(7))
    with pytest.raises(LedgerBroken):
        desk.write(accepted=[task(7)])
    with pytest.raises(LedgerBroken):
        desk.write(accepted=[task(8), task(8)])
    assert ids(desk.ask(ALL).tasks) == [7]


@pytest.mark.parametrize("state", [State.NEW, State.SUCCEEDED])
def test_a_live_row_in_a_state_of_no_live_task_is_refused(desk: Desk, state: State) -> None:
    with pytest.raises(LedgerBroken):
        desk.write(accepted=[task(7, state)])


def test_an_outcome_in_a_state_of_no_ended_task_is_refused(desk: Desk) -> None:
    (one,) = desk.add(task(7))
    with pytest.raises(LedgerBroken):
        desk.end(outcome(one, State.RUNNING))
    assert ids(desk.ask(ALL).tasks) == [7]


def test_an_ended_task_leaves_the_live_ones(desk: Desk) -> None:
    one, two = desk.add(task(7), task(8, State.RUNNING, fence=2))
    two.body.history.append((int(State.FAILED), 5, 2, STRANGE))
    gone = [outcome(one), outcome(two, State.FAILED, fence=3, key=-1, expires_us=77)]
    desk.end(*gone, results=[Payload(7, 0, b'"done"')])
    answer = desk.ask(ById((7, 8, 9)))
    assert answer.tasks == []
    assert answer.outcomes == [kept(gone[0], size=6), kept(gone[1])]


def test_a_task_may_end_in_the_commit_that_accepts_it(desk: Desk) -> None:
    born = task(7, fence=3)
    desk.write(accepted=[born], payloads=[arguments(7)], ended=[outcome(task(7, fence=3, stored_fence=3))])
    answer = desk.ask(ById((7,)))
    assert (answer.tasks, [row.id for row in answer.outcomes]) == ([], [7])


def test_no_task_ends_twice(desk: Desk) -> None:
    (one,) = desk.add(task(7))
    first = outcome(one)
    desk.end(first, results=[Payload(7, 0, b"1")])
    desk.write(accepted=[task(7)])
    with pytest.raises(LedgerBroken):
        desk.end(outcome(one, State.FAILED))
    view = desk.ledger.reads().task_view(7)
    assert view is not None
    assert view.outcome == kept(first, size=1)
    assert view.result == Payload(7, 0, b"1")


def test_one_task_cannot_end_twice_in_one_commit(desk: Desk) -> None:
    (one,) = desk.add(task(7))
    with pytest.raises(LedgerBroken):
        desk.end(outcome(one), outcome(one, State.FAILED))
    assert ids(desk.ask(ALL).tasks) == [7]


def test_results_of_tasks_that_did_not_end_are_refused(desk: Desk) -> None:
    one, _ = desk.add(task(7), task(8))
    with pytest.raises(LedgerBroken, match="results"):
        desk.end(outcome(one), results=[Payload(8, 0, b"1")])
    with pytest.raises(LedgerBroken, match="results"):
        desk.write(results=[Payload(8, 0, b"1")])


def test_results_find_their_tasks_in_any_order(desk: Desk) -> None:
    tasks = desk.add(*(task(number) for number in range(1, 6)))
    results = [Payload(number, 2, bytes([number, 0, 255]) * number) for number in (4, 1, 3)]
    desk.end(*(outcome(each, codec=2) for each in tasks), results=[*results, Payload(5, 2, b"")])
    reads = desk.ledger.reads()
    views = [reads.task_view(number) for number in range(1, 6)]
    assert [view and view.result for view in views] == [results[1], None, results[2], results[0], Payload(5, 2, b"")]


def test_a_replayed_task_lives_again_and_its_outcome_is_gone(desk: Desk) -> None:
    (one,) = desk.add(task(7, fence=2))
    desk.end(outcome(one, State.FAILED), results=[Payload(7, 0, b"null")])
    desk.write(replayed=[task(7, fence=3)])
    answer = desk.ask(ById((7,)))
    assert (answer.tasks, answer.outcomes) == ([stored(task(7, fence=3))], [])
    desk.end(outcome(task(7, fence=3, stored_fence=3)))
    assert [row.fence for row in desk.ask(ById((7,))).outcomes] == [3]


def test_a_task_may_be_replayed_and_end_in_one_commit(desk: Desk) -> None:
    (one,) = desk.add(task(7))
    desk.end(outcome(one, State.LOST))
    desk.write(replayed=[task(7, fence=2)], ended=[outcome(task(7, fence=2, stored_fence=2), State.CANCELLED)])
    assert [row.state for row in desk.ask(ById((7,))).outcomes] == [State.CANCELLED]


@pytest.mark.parametrize("fence", [1, 2])
def test_a_replay_that_raises_no_fence_is_refused(desk: Desk, fence: int) -> None:
    (one,) = desk.add(task(7, fence=2))
    desk.end(outcome(one, State.FAILED))
    with pytest.raises(LedgerBroken, match="replayed"):
        desk.write(replayed=[task(7, fence=fence)])
    assert len(desk.ask(ById((7,))).outcomes) == 1


def test_a_replay_of_what_did_not_end_is_refused(desk: Desk) -> None:
    with pytest.raises(LedgerBroken):
        desk.write(replayed=[task(7, fence=2)])


def test_arguments_and_checkpoints_come_with_the_commit_that_asks(desk: Desk) -> None:
    given = [arguments(1), arguments(2, bytes(range(256)), 2), arguments(3, b"", 1), arguments(4, b"\xff\0\xfe", 2)]
    desk.write(accepted=[task(number) for number in range(1, 6)], payloads=given)
    desk.write(saved=[Payload(2, 1, b"half"), Payload(4, 2, bytes(1000))])
    desk.write(saved=[Payload(2, 0, b"more")])
    told = desk.ledger.commit(Commit(desk.epoch, desk.now_us, fetch=[4, 2, 5, 1, 3, 99]))
    assert told.payloads == {row.id: row for row in given}
    assert told.saved == {2: Payload(2, 0, b"more"), 4: Payload(4, 2, bytes(1000))}


def test_a_checkpoint_goes_when_its_task_ends(desk: Desk) -> None:
    one, two = desk.add(task(1), task(2))
    desk.write(saved=[Payload(1, 0, b"1"), Payload(2, 0, b"2")])
    desk.end(outcome(one))
    assert desk.ledger.commit(Commit(desk.epoch, desk.now_us, fetch=[1, 2])).saved == {2: Payload(2, 0, b"2")}
    desk.reopen()
    desk.end(outcome(two))
    assert desk.ledger.commit(Commit(desk.epoch, desk.now_us, fetch=[1, 2])).saved == {}


def test_the_same_arguments_twice_are_refused(desk: Desk) -> None:
    desk.add(task(1))
    with pytest.raises(LedgerBroken):
        desk.write(payloads=[arguments(1)])


def test_older_history_is_kept_in_its_order(desk: Desk) -> None:
    desk.add(task(1))
    desk.write(spilled=[(1, 1, "[[2,2,2,null]]"), (1, 0, "[[1,1,1,null]]")])
    view = desk.ledger.reads().task_view(1)
    assert view is not None
    assert view.spilled == ["[[1,1,1,null]]", "[[2,2,2,null]]"]
    with pytest.raises(LedgerBroken):
        desk.write(spilled=[(1, 1, "[]")])


def test_links_are_a_set(desk: Desk) -> None:
    desk.add(*(task(number, State.PENDING) for number in range(1, 5)))
    desk.write(links=[(1, 4), (1, 2), (2, 3)])
    desk.write(links=[(1, 2)])
    assert desk.ask(DependentsOf(1, 10)).links == [(1, 2), (1, 4)]
    desk.write(links_done=[(1, 2), (1, 3)])
    assert desk.ask(DependentsOf(1, 10)).links == [(1, 4)]


def test_releases_are_told_to_the_next_owner_until_they_are_done(desk: Desk) -> None:
    desk.write(releases=[5, 3])
    desk.write(releases=[4, 3])
    desk.write(releases_done=[5, 9])
    assert desk.reopen().releases == [3, 4]


def test_facts_are_replaced_and_removed_in_the_order_of_the_commit(desk: Desk) -> None:
    desk.write(facts=[("state", "a", 1), ("state", "b", [1, {"x": None}]), ("goals", "a", STRANGE)])
    desk.write(facts=[("state", "a", 2), ("state", "b", None), ("state", "a", None), ("state", "a", {"deep": [1.5]})])
    desk.write(facts=[("state", STRANGE, True), ("state", "gone", None)])
    assert desk.reopen().facts == [
        ("goals", "a", STRANGE),
        ("state", STRANGE, True),
        ("state", "a", {"deep": [1.5]}),
    ]


def test_a_fact_may_be_deep(desk: Desk) -> None:
    deep: object = "bottom"
    for _ in range(800):
        deep = [deep]
    desk.write(facts=[("state", "deep", deep)])
    assert desk.reopen().facts == [("state", "deep", deep)]


def test_a_batch_is_replaced_as_a_whole(desk: Desk) -> None:
    first = batch(50, state=0, sealed_us=0, key=STRANGE, meta={"file": STRANGE, "n": 1.5, "deep": {"a": [None]}})
    desk.write(batches=[first])
    assert desk.reopen().batches == [first]
    sealed = batch(50, rows=3, keep=True, ranges=[(51, 2), (99, 1)], ended={6: 1, 7: 1}, meta={"file": "x"})
    desk.write(batches=[sealed])
    assert desk.reopen().batches == [sealed]


def test_a_key_stands_for_its_task_until_it_is_over(desk: Desk) -> None:
    row = IdempotencyRow("t", STRANGE, 7, "digest", desk.now_us + 100)
    desk.write(keys=[row])
    asked = (("t", STRANGE), ("t", "other"), ("other", STRANGE))
    assert desk.ask(IdempotencyOf(asked, desk.now_us)).keys == [row]
    assert desk.ask(IdempotencyOf(asked, row.until_us)).keys == []
    again = IdempotencyRow("t", STRANGE, 8, "other", desk.now_us + 500)
    with pytest.raises(LedgerBroken, match="key"):
        desk.write(keys=[again])
    desk.now_us += 100
    desk.write(keys=[again])
    assert desk.ask(IdempotencyOf(asked, desk.now_us)).keys == [again]


def test_what_has_no_digest_gives_way_to_the_latest_word(desk: Desk) -> None:
    sent = [IdempotencyRow("t", STRANGE, task, "", desk.now_us + 100) for task in (7, 8, 9)]
    desk.write(keys=sent[:1])
    desk.write(keys=sent[1:])
    assert desk.ask(IdempotencyOf((("t", STRANGE),), desk.now_us)).keys == sent[2:]


def test_shards_are_added_once(desk: Desk) -> None:
    desk.add(task(1))
    with pytest.raises(LedgerBroken):
        desk.write(shards=[shard(1, handler="other")])
    assert desk.reopen().shards == [shard(1)]


def test_a_shard_that_was_forgotten_may_be_made_anew(desk: Desk) -> None:
    desk.write(shards=[shard(2, handler="h1")])
    desk.add(task(1), task(2, shard=2))
    assert desk.reopen().shards == [shard(1), shard(2, handler="h1")]


def test_purging_takes_at_most_so_many_rows_of_the_ranges(desk: Desk) -> None:
    desk.write(shards=[shard(2, batch=90)], batches=[batch(90, state=2, rows=6)])
    desk.add(*(task(number, shard=2) for number in range(10, 16)), task(20), saved=[Payload(10, 0, b"x")])
    desk.write(links=[(20, 11), (20, 15)])
    told = desk.write(purged=[(10, 13), (15, 15)], purge_rows=3)
    assert told.purged_rows == 3
    assert desk.write(purged=[(10, 13), (15, 15)], purge_rows=3).purged_rows == 2
    assert desk.write(purged=[(10, 13), (15, 15)]).purged_rows == 0
    assert ids(desk.ask(ALL).tasks) == [14, 20]
    assert desk.ask(DependentsOf(20, 9)).links == []
    told = desk.ledger.commit(Commit(desk.epoch, desk.now_us, fetch=list(range(10, 21))))
    assert sorted(told.payloads) == [14, 20]
    assert told.saved == {}


def test_purging_spares_ids_of_other_slots_inside_the_range(desk: Desk) -> None:
    first, other, last = 1 << 22, (1 << 22) | (5 << 12), (2 << 22) | 3
    desk.add(task(first), task(other), task(last))
    assert desk.write(purged=[(first, last)]).purged_rows == 2
    assert ids(desk.ask(ALL).tasks) == [other]


def test_an_epoch_that_is_over_writes_nothing(desk: Desk) -> None:
    old = desk.epoch
    desk.reopen()
    with pytest.raises(Fenced, match=f"epoch {old} "):
        desk.ledger.commit(Commit(old, desk.now_us, accepted=[task(7)]))
    assert desk.ask(ALL).tasks == []


def test_answers_see_what_the_same_commit_wrote(desk: Desk) -> None:
    told = desk.write(accepted=[task(7)], payloads=[arguments(7)], questions=[ALL, ById((7,))], fetch=[7])
    assert [ids(answer.tasks) for answer in told.answers] == [[7], [7]]
    assert told.payloads == {7: arguments(7)}


def test_what_was_given_may_change_afterwards(desk: Desk) -> None:
    one = task(7)
    desk.write(accepted=[one], payloads=[arguments(7)])
    one.body.history.append((5, 5, 5, "later"))
    one.state = State.PAUSED
    told = desk.ask(ById((7,))).tasks[0]
    assert told == stored(task(7))
    told.body.history.clear()
    assert desk.ask(ById((7,))).tasks[0] == stored(task(7))


def test_a_commit_of_many_rows_is_one(desk: Desk) -> None:
    tasks = desk.add(*(task(number, State.RUNNING, body=body(reason="r" * (number % 50))) for number in range(1, 3001)))
    desk.end(*(outcome(each) for each in tasks), results=[Payload(row.id, 0, b"%d" % row.id) for row in tasks])
    reads = desk.ledger.reads()
    assert [(row.id, data) for row, data in reads.outcomes(1, 3000, 5000)] == [(n, b"%d" % n) for n in range(1, 3001)]
