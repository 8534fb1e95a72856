"""One owner at a time, and what the next one finds."""

import pytest

from tests.conformance.ledger.desk import NOW_US, Another, Desk, arguments, batch, outcome, shard, stored, task
from wsaios.kernel.errors import LedgerOwned, LedgerUnavailable
from wsaios.kernel.ids import SLOTS
from wsaios.kernel.ledger import Commit
from wsaios.kernel.states import State


def test_a_new_ledger_has_nothing(another: Another) -> None:
    opening = another().open(NOW_US, "first")
    assert (opening.epoch, opening.slot, opening.id_high, opening.clock_us) == (1, 2, 0, NOW_US)
    assert not opening.shards
    assert not opening.ready_shards
    assert not opening.batches
    assert not opening.running
    assert not opening.releases
    assert not opening.facts


def test_a_second_owner_is_told_who_the_first_is(lasting: Another) -> None:
    lasting().open(NOW_US, "the first of all")
    with pytest.raises(LedgerOwned, match="the first of all"):
        lasting().open(NOW_US, "second")


def test_an_open_ledger_is_not_opened_again(another: Another) -> None:
    ledger = another()
    ledger.open(NOW_US, "first")
    with pytest.raises(LedgerOwned):
        ledger.open(NOW_US, "first")


def test_a_closed_ledger_has_room_for_the_next_owner(lasting: Another) -> None:
    first = lasting()
    epoch = first.open(NOW_US, "first").epoch
    first.close()
    first.close()
    second = lasting().open(NOW_US, "second")
    assert second.epoch == epoch + 1
    assert second.slot != 1 + epoch % 1022


@pytest.mark.parametrize("opens", [1, 3])
def test_every_reopening_has_an_epoch_and_a_slot_of_its_own(another: Another, opens: int) -> None:
    ledger = another()
    openings = [ledger.open(NOW_US, "first"), *(ledger.reopen(NOW_US) for _ in range(opens))]
    assert [opening.epoch for opening in openings] == list(range(1, opens + 2))
    assert len({opening.slot for opening in openings}) == opens + 1
    assert all(1 <= opening.slot < SLOTS for opening in openings)


def test_a_client_makes_its_ids_in_slot_0(lasting: Another) -> None:
    client = lasting()
    desk = Desk(client, client.open_as_client(NOW_US, "a client"))
    assert desk.opening.slot == 0
    desk.add(task(5), shards=[shard(1)])
    assert desk.reopen().slot == 0
    client.close()
    opening = lasting().open(NOW_US, "owner")
    assert (opening.ready_shards, opening.id_high, opening.epoch) == ([1], 5, 3)


def test_a_ledger_that_is_not_open_does_nothing(another: Another) -> None:
    ledger = another()
    for call in (
        lambda: ledger.commit(Commit(1, NOW_US)),
        lambda: ledger.reopen(NOW_US),
        lambda: ledger.prune(NOW_US, 1),
    ):
        with pytest.raises(LedgerUnavailable, match="not open"):
            call()
    ledger.close()


def test_the_next_owner_finds_what_it_must_hold(lasting: Another) -> None:
    desk = Desk(lasting())
    shards = [shard(1), shard(2, lane="gpu", batch=50), shard(3, concurrency_key="k"), shard(4, batch=60), shard(5)]
    desk.write(shards=shards)
    running = task(30, State.RUNNING, fence=4)
    desk.add(task(10), task(11, State.PENDING, shard=3), task(12, shard=2), task(13, shard=2), running)
    batches = [
        batch(50, state=0, rows=2),
        batch(51, rows=2, ended={6: 1, 7: 1}),
        batch(52, rows=3, ended={6: 2}),
        batch(53, state=2, rows=4),
        batch(54, state=2),
        batch(60, state=0),
    ]
    desk.write(batches=batches, releases=[77], facts=[("state", "a.b", {"x": [1]})])
    desk.ledger.close()
    opening = lasting().open(NOW_US - 5, "next")
    assert opening.shards == [shards[0], shards[1], shards[3]]
    assert opening.shard_high == 4
    assert opening.ready_shards == [1, 2]
    assert [row.id for row in opening.batches] == [50, 52, 53, 60]
    assert opening.running == [stored(running)]
    assert opening.releases == [77]
    assert opening.facts == [("state", "a.b", {"x": [1]})]
    assert opening.id_high == 60
    assert opening.clock_us == desk.now_us


def test_high_water_marks_never_fall(desk: Desk) -> None:
    desk.ledger.commit(Commit(desk.epoch, NOW_US + 900, id_high=500, releases=[1]))
    desk.ledger.commit(Commit(desk.epoch, NOW_US + 100, id_high=400, releases=[2]))
    opening = desk.reopen()
    assert (opening.id_high, opening.clock_us) == (500, NOW_US + 900)


def test_everything_is_there_for_the_next_owner(lasting: Another) -> None:
    desk = Desk(lasting())
    desk.write(shards=[shard(1)])
    one, two = desk.add(task(1), task(2))
    desk.end(outcome(one))
    desk.ledger.close()
    ledger = lasting()
    ledger.open(NOW_US, "next")
    view = ledger.reads().task_view(2)
    assert view is not None
    assert (view.live, view.payload) == (stored(two), arguments(2))
    assert ledger.reads().ended_ids(0, 9, 9) == [(1, 6)]
