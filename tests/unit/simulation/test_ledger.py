"""The simulated ledger's own part: owners that die, and commits that fail when told to."""

import pytest

from tests.conformance.ledger.desk import NOW_US, Desk, shard, task
from wsaios.kernel.errors import Fenced, LedgerOwned, LedgerUnavailable
from wsaios.kernel.ledger import Commit, LiveAfter
from wsaios.simulation.ledger import CommitFault, SimLedger

ALL = LiveAfter(0, 99, 99)


@pytest.fixture
def desk() -> Desk:
    made = Desk(SimLedger())
    made.write(shards=[shard(1)])
    return made


def _sim(desk: Desk) -> SimLedger:
    assert isinstance(desk.ledger, SimLedger)
    return desk.ledger


@pytest.mark.parametrize("fault, written", [(CommitFault.LOST, []), (CommitFault.APPLIED, [1])])
def test_a_commit_fails_before_or_after_it_is_written(desk: Desk, fault: CommitFault, written: list[int]) -> None:
    _sim(desk).fail_next(fault)
    with pytest.raises(LedgerUnavailable, match="nobody knows"):
        desk.add(task(1))
    with pytest.raises(LedgerUnavailable, match="reopen"):
        desk.ask(ALL)
    desk.reopen()
    assert [row.id for row in desk.ask(ALL).tasks] == written


def test_faults_come_one_commit_each_and_spare_mere_questions(desk: Desk) -> None:
    desk.add(task(1))
    _sim(desk).fail_next(CommitFault.LOST, CommitFault.APPLIED)
    assert [row.id for row in desk.ask(ALL).tasks] == [1]
    for number in (2, 3):
        with pytest.raises(LedgerUnavailable):
            desk.add(task(number))
        desk.reopen()
    desk.add(task(4))
    assert [row.id for row in desk.ask(ALL).tasks] == [1, 3, 4]


def test_a_crashed_owner_leaves_its_work_to_the_next(desk: Desk) -> None:
    desk.add(task(1))
    next_one = SimLedger(_sim(desk).tables)
    with pytest.raises(LedgerOwned, match="the suite"):
        next_one.open(NOW_US, "next")
    _sim(desk).crash()
    assert next_one.open(NOW_US, "next").ready_shards == [1]


def test_an_owner_that_was_taken_for_dead_is_fenced(desk: Desk) -> None:
    _sim(desk).tables.owner = ""
    next_one = SimLedger(_sim(desk).tables)
    next_one.open(NOW_US, "next")
    with pytest.raises(Fenced):
        desk.add(task(1))
    with pytest.raises(Fenced):
        desk.ledger.prune(NOW_US, 1)
    assert next_one.commit(Commit(2, NOW_US, questions=[ALL])).answers[0].tasks == []
    desk.ledger.close()
    next_one.commit(Commit(2, NOW_US, releases=[1]))
