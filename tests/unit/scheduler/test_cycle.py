"""When the core wants to be woken."""

from tests.unit.scheduler.rig import Rig
from wsaios.kernel.events import Hold
from wsaios.kernel.task import NewTask


def test_what_is_held_does_not_ask_to_be_woken_for_a_micro_batch() -> None:
    rig = Rig()
    rig.submit(NewTask("vector", b"{}"))
    assert rig.step().wake_us == rig.now_us + 10_000

    assert rig.step(Hold(held=True)).wake_us is None
    rig.now_us += 20_000
    assert rig.step().wake_us is None

    rig.step(Hold(held=False))
    assert [work.handler for work in rig.works] == ["vector"]
