"""The driver of a replay: the core itself, in virtual time, over a recorded trace."""

from array import array
from collections.abc import Iterator
from itertools import groupby
from random import Random
from typing import Final

import msgspec

from wsaios.kernel.events import Effects, Event, Reported, Submit
from wsaios.kernel.policy import Ordering
from wsaios.kernel.task import HandlerSpec, LaneSpec, NewTask
from wsaios.scheduler.assemble import assemble
from wsaios.simulation.lean import LeanEngine, LeanLedger
from wsaios.simulation.trace import Job, Progress, Trace

LANE: Final = "slots"
_TOLD: Final = 4096


class Setting(msgspec.Struct, frozen=True):
    """What a trace is replayed on. `preempt`: calls give their slots to work of a higher class that waits."""

    slots: int
    seed: int = 0
    preempt: bool = False


class Run(msgspec.Struct):
    """What came of it: when each job began and ended (µs UTC, by its place in the trace), and the order of dispatch.

    `turns` are the beginnings and ends of all turns on a slot; `yields` counts the turns that were not the last one.
    """

    start_us: "array[int]"
    end_us: "array[int]"
    order: "array[int]"
    turns: "array[int]"
    yields: int


class Replay:
    """One run of a trace under one ordering; a clock that jumps to what happens next, and commits that never fail."""

    def __init__(self, trace: Trace, ordering: Ordering, setting: Setting) -> None:
        self._jobs = trace.jobs
        self._ledger = LeanLedger(linked=trace.linked)
        self._engine = LeanEngine()
        handlers = sorted({job.handler for job in trace.jobs})
        specs = [HandlerSpec(name, LANE, preemptible=setting.preempt) for name in handlers]
        self._core = assemble(
            self._ledger.open(trace.jobs[0].arrival_us),
            ordering,
            Random(f"replay {setting.seed}"),
            specs=[LaneSpec(LANE, setting.slots), *specs],
        )
        self._groups = _groups(trace)
        self._ids: list[int] = [0] * len(trace.jobs)
        self._places: dict[int, int] = {}
        count = bytes(8 * len(trace.jobs))
        self._run = Run(array("q", count), array("q", count), array("q"), self._engine.turns, 0)
        self._ended = 0

    def run(self, progress: Progress = lambda _: None) -> Run:
        """Replay all of it; `progress` is told now and then how many jobs have ended."""
        core, ledger, told = self._core, self._ledger, _TOLD
        group, answer, now_us = next(self._groups, None), None, 0
        effects: Effects | None = None
        while True:
            events: list[Event] = []
            if effects is None or not effects.again:
                came_us = self._jobs[group[0]].arrival_us if group is not None else None
                due_us = effects.wake_us if effects is not None else None
                times = [at_us for at_us in (came_us, self._engine.next_us(), due_us) if at_us is not None]
                if not times:
                    break
                now_us, answer = max(now_us, min(times)), None
                if group is not None and came_us == now_us:
                    events.append(Submit(group, [self._task(self._jobs[place]) for place in group]))
                    group = next(self._groups, None)
                reports = self._engine.reports(now_us)
                if reports:
                    events.append(Reported(None, reports))
            effects = core.step(events, now_us, answer)
            core.handed(effects)
            answer = ledger.commit(effects.commit)
            core.committed(effects)
            self._let_go(effects, now_us)
            if self._ended >= told:
                progress(self._ended)
                told = self._ended + _TOLD
        progress(self._ended)
        self._run.yields = self._engine.yields
        return self._run

    def _task(self, job: Job) -> NewTask:
        return NewTask(
            job.handler,
            b"",
            tenant=job.tenant,
            priority=job.priority,
            deadline_us=job.deadline_us,
            depends_on=tuple(self._ids[parent] for parent in job.parents),
        )

    def _let_go(self, effects: Effects, now_us: int) -> None:
        engine, run, places, jobs = self._engine, self._run, self._places, self._jobs
        for reply in effects.replies:
            if reply.error is not None:
                raise reply.error
            for place, number in zip(reply.token, reply.value, strict=True):
                self._ids[place] = number
                places[number] = place
        for work in effects.works:
            place = places[work.attempts[0].task]
            run.start_us[place] = now_us
            run.order.append(place)
            engine.take(work, jobs[place].service_us, now_us)
        if effects.preempts:
            engine.preempt(effects.preempts, now_us)
        if effects.resumes:
            engine.resume(effects.resumes, now_us)
        for closed in effects.closed:
            run.end_us[places.pop(closed.outcome.id)] = now_us
        self._ended += len(effects.closed)


def _groups(trace: Trace) -> Iterator[tuple[int, ...]]:
    """Places that are submitted together: those of one instant; where jobs wait for others, those of one depth too."""
    depths = [0] * len(trace.jobs)
    for place, job in enumerate(trace.jobs):
        depths[place] = 1 + max((depths[parent] for parent in job.parents), default=-1)
    for _, same in groupby(range(len(trace.jobs)), key=lambda place: (trace.jobs[place].arrival_us, depths[place])):
        yield tuple(same)
