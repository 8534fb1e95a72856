"""Puts the core together from its parts; nothing else here."""

from collections.abc import Iterable

from wsaios.components.executor.executor import TaskExecutor
from wsaios.kernel.faculties import Hub
from wsaios.kernel.ledger import Opening
from wsaios.kernel.policy import Ordering
from wsaios.kernel.ports import Rng
from wsaios.kernel.task import HandlerSpec, LaneSpec
from wsaios.scheduler.core import Core


def assemble(
    opening: Opening,
    ordering: Ordering,
    rng: Rng,
    *,
    specs: Iterable[LaneSpec | HandlerSpec] = (),
    hub: Hub | None = None,
    died: bool = True,
    recover: bool = True,
) -> Core:
    """A core over what the ledger says; `died` and `recover` as in `Core`."""
    executor = TaskExecutor(ordering)
    for spec in specs:
        if isinstance(spec, LaneSpec):
            executor.lane(spec)
        else:
            executor.handler(spec)
    return Core(executor, opening, rng, hub=hub, died=died, recover=recover)
