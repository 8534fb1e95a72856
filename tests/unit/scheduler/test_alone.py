"""A task that was in flight at several deaths of its owner runs with nothing beside it, in whatever core."""

from tests.unit.scheduler.rig import Rig
from wsaios.kernel.task import NewTask


def test_nothing_starts_beside_it_in_a_core_that_was_built_anew_either() -> None:
    rig = Rig()
    (suspect,) = rig.submit(NewTask("echo", b"{}"))
    for _ in range(3):
        rig.restart()
    assert [work.attempts[0].task for work in rig.works] == [suspect]
    rig.submit(NewTask("echo", b"{}"))
    assert len(rig.works) == 1
    rig.rebuild()
    rig.submit(NewTask("echo", b"{}"))
    assert len(rig.works) == 1
    rig.end()
    assert len(rig.works) == 2
