"""Puts the core together from its parts; nothing else here."""

from collections.abc import Iterable

from wsaios.components.executor.executor import TaskExecutor
from wsaios.components.executor.policy import Policy
from wsaios.kernel.faculties import Changes, Faculties
from wsaios.kernel.ledger import Opening
from wsaios.kernel.ports import Rng
from wsaios.kernel.task import HandlerSpec, LaneSpec
from wsaios.scheduler.core import Core


def assemble(
    opening: Opening,
    policy: Policy,
    rng: Rng,
    *,
    lanes: Iterable[LaneSpec] = (),
    handlers: Iterable[HandlerSpec] = (),
    faculties: Faculties | None = None,
    changes: Changes | None = None,
    died: bool = True,
    recover: bool = True,
) -> Core:
    """A core over what the ledger says; `died` and `recover` as in `Core`."""
    executor = TaskExecutor(policy)
    for lane in lanes:
        executor.lane(lane)
    for handler in handlers:
        executor.handler(handler)
    return Core(executor, opening, rng, faculties=faculties, changes=changes, died=died, recover=recover)
