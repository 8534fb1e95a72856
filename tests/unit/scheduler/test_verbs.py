"""What people say to work that is there."""

from tests.unit.scheduler.rig import SPECS, Rig
from wsaios.kernel.engine import Ended, Verdict
from wsaios.kernel.events import Act, OpenBatch, Reported, Scope, SealBatch, StageRows
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, LaneSpec, NewTask


def test_a_batch_that_ended_while_it_was_paused_starts_again_when_it_is_replayed() -> None:
    rig = Rig((*SPECS, LaneSpec("default", 2)))
    number = rig.ask(lambda token: OpenBatch(token, Batch(0, 0, "echo", "default", 0)))
    rig.step(StageRows(None, number, NewTask("echo", b""), [b"{}"] * 3), SealBatch(None, number))
    failed, done, waiting = sorted(rig.ledger.tables.live)
    assert [work.attempts[0].task for work in rig.works] == [failed, done]

    ended = rig.works.pop().attempts[0]
    rig.step(
        Act(None, "pause", Scope("batch", number)),
        Reported(None, [Ended(ended.task, ended.fence, Verdict.SUCCEEDED, result=b"1")]),
    )
    rig.step(Act(None, "cancel", Scope("task", waiting)))
    assert [batch.id for batch in rig.end(Verdict.GIVEN_UP).batches] == [number]

    assert rig.ask(lambda token: Act(token, "replay", Scope("task", failed))) == State.READY
    assert [each.attempts[0].task for each in rig.works] == [failed]
