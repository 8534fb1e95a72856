"""A trace from a ledger: what ended in it, when it had come, and how long it ran."""

from collections.abc import Iterator
from typing import Final

from wsaios.kernel.ledger import Reads, TaskView
from wsaios.kernel.states import State
from wsaios.kernel.task import GRADES
from wsaios.simulation.trace import Job, Trace

_PAGE: Final = 1000
_STATES: Final = (State.SUCCEEDED, State.FAILED)


def ledger_trace(reads: Reads, name: str) -> Trace:
    """What has ended: the last attempt of each task, without what it waited for its time or for other tasks."""
    jobs = [job for view in _views(reads) if (job := _job(view)) is not None]
    return Trace(name, "ledger", jobs)


def _views(reads: Reads) -> Iterator[TaskView]:
    after = 0
    while views := reads.task_list(_STATES, after, _PAGE):
        yield from views
        after = views[-1].row.id


def _job(view: TaskView) -> Job | None:
    outcome, shard = view.outcome, view.shard
    if outcome is None:
        return None
    body = outcome.body
    history = [(state, at_us) for state, at_us, _, _ in body.history]
    began = max((at_us for state, at_us in history if state == State.RUNNING), default=None)
    if began is None:
        return None
    ready = [at_us for state, at_us in history if state == State.READY and at_us <= began]
    came_us = body.accepted_us if len(ready) != 1 else max(body.accepted_us, ready[0])
    took_us = outcome.ended_us - began
    return Job(came_us, took_us, GRADES[shard.grade], body.priority, shard.tenant, body.deadline_us, shard.handler)
