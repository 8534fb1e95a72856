"""The product broken on purpose, one promise at a time, for as long as a block lasts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest.mock import patch

import msgspec

from tests.simulation.driver import Flight
from tests.simulation.fate import Fate
from tests.simulation.mishaps import Mishap
from tests.simulation.red import Check
from wsaios.components.executor.executor import TaskExecutor
from wsaios.components.executor.gate import Gate
from wsaios.components.executor.lent import Lent
from wsaios.components.executor.line import Line
from wsaios.components.executor.queues import Queues
from wsaios.components.executor.sliding import Sliding
from wsaios.components.executor.slots import Slots
from wsaios.components.executor.timers import TimerWindow
from wsaios.components.executor.usage import Usage
from wsaios.components.executor.window import ShardWindow
from wsaios.kernel import policy
from wsaios.kernel.engine import Work
from wsaios.kernel.events import Reply
from wsaios.kernel.executor import Span
from wsaios.kernel.ledger import Commit, Committed
from wsaios.kernel.policy import Plain, Priority
from wsaios.kernel.states import State
from wsaios.kernel.task import Flag, Outcome, Task, clamp_priority
from wsaios.planning.due import Due, due
from wsaios.scheduler import intake, reports, runs
from wsaios.scheduler.book import Book
from wsaios.scheduler.core import Core
from wsaios.scheduler.cycle import Cycle
from wsaios.scheduler.hearing import Hearing
from wsaios.scheduler.heritage import Heritage
from wsaios.scheduler.leftovers import Leftovers
from wsaios.scheduler.links import Links
from wsaios.scheduler.pursuit import Pursuit
from wsaios.scheduler.reports import Reports
from wsaios.scheduler.runs import Runs
from wsaios.scheduler.triggers import triggers
from wsaios.scheduler.triggers.firing import Firing
from wsaios.scheduler.verbs import Verbs
from wsaios.simulation.ledger import SimLedger

Broken = Callable[[], AbstractContextManager[object]]
_RISE: Final = Gate.rise
_ROOM: Final = Sliding.room


class UnfencedLedger(SimLedger):
    """A ledger that looks at no fence: neither at the epoch of a commit nor at what it believes to be stored."""

    def commit(self, batch: Commit) -> Committed:
        batch.epoch = self.tables.epoch
        rows: list[Task | Outcome] = [*batch.updated, *batch.ended]
        for row in rows:
            live = self.tables.live.get(row.id)
            row.stored_fence = live.fence if live is not None else row.stored_fence
        return super().commit(batch)


class ForgetfulLedger(SimLedger):
    """A ledger in which every tenth task that is accepted is gone after the next commit."""

    def commit(self, batch: Commit) -> Committed:
        told = super().commit(batch)
        for row in batch.accepted:
            if row.id % 10 == 0:
                self.tables.live.pop(row.id, None)
        return told


class ChangingLedger(SimLedger):
    """A ledger that writes over the end of a task that had ended before."""

    def commit(self, batch: Commit) -> Committed:
        outcomes = self.tables.outcomes
        for number in list(outcomes)[:1]:
            outcomes[number] = msgspec.structs.replace(outcomes[number], ended_us=batch.now_us)
        return super().commit(batch)


class TwiceFate(Fate):
    """A driver that gives what it dispatches to the engine twice."""

    def _dispatch(self, works: list[Work], told: Committed | None, death: Mishap | None) -> None:
        super()._dispatch(works, told, death)
        super()._dispatch(works, told, None)


class HastyFate(Fate):
    """A driver that lets go before its commit."""

    def _launch(self) -> Flight:
        flight = super()._launch()
        self._let_go(flight.effects, None, None)
        return flight


def _patched(owner: object, name: str, instead: object) -> Broken:
    return lambda: patch.object(owner, name, instead)


def _no_fence(self: Any, ref: tuple[int, int]) -> Task | None:
    task = self._book.tasks.get(ref[0])
    return task if task is not None and task.state == State.RUNNING else None


def _smaller_priority_first(self: Any) -> Plain:
    point_us = int(self.point_s * 1e6)
    return lambda priority, enqueued_us: enqueued_us + clamp_priority(priority) * point_us


def _leave_twice(self: Any, ref: tuple[int, int], _: int | None) -> Any:
    seat = self._seats.get(ref)
    if seat is not None:
        seat.left -= 1
        self._taken[seat.lane] -= seat.left <= 0
    return seat


def _once_forgotten(self: Any, task: Task, reason: str) -> None:
    task.body.attempts -= 1
    task.body.flags |= Flag.STARTED
    self.book.move(task, State.READY, reason, fence=True)
    self.executor.offer(task, self.book.shards[task.shard])


def _forget_who_asked(self: Any, token: Any, value: object = None, error: Exception | None = None) -> None:
    self.unanswered.discard(token)
    self.effects.replies.append(Reply(token, value, error))


@contextmanager
def _late_timers() -> Iterator[None]:
    next_us = TimerWindow.next_us
    with patch.object(TimerWindow, "next_us", lambda self: at + 50_000 if (at := next_us(self)) is not None else None):
        yield


@contextmanager
def _whole_after_a_trim() -> Iterator[None]:
    trim = ShardWindow.trim

    def trimmed(self: ShardWindow, room: int) -> list[Task]:
        gone = trim(self, room)
        self.complete = True
        return gone

    with patch.object(ShardWindow, "trim", trimmed):
        yield


def _wakes_though_held(self: Any) -> int | None:
    return min(self._fills.values(), default=None)


@contextmanager
def _suspects_beside_others() -> Iterator[None]:
    taken = Slots.taken
    with patch.object(Cycle, "_alone", _start_suspects), patch.object(Slots, "taken", taken):
        yield


@contextmanager
def _nothing_missed() -> Iterator[None]:
    extend = ShardWindow.extend

    def extended(self: ShardWindow, tasks: Any, bound: tuple[int, int] | None) -> None:
        self.missed = None
        extend(self, tasks, bound)

    with patch.object(ShardWindow, "extend", extended):
        yield


@contextmanager
def _any_priority() -> Iterator[None]:
    # Ten times what was asked for: histories are shorter than the span that a little more than the range takes.
    with patch.object(policy, "clamp_priority", int), patch.object(intake, "clamp_priority", (10).__mul__):
        yield


@contextmanager
def _pruned_too_early() -> Iterator[None]:
    prune = SimLedger.prune

    def pruned(self: SimLedger, before_us: int, rows: int, held: Any = None) -> int:
        return prune(self, before_us + 3_600_000_000, rows, held)

    with patch.object(SimLedger, "prune", pruned):
        yield


def _taken_down_later(self: Any, batch: Commit) -> Callable[[], Committed]:
    return lambda: self.commit(batch)


def _start_suspects(self: Any) -> bool:
    for task in list(self._executor.suspects.values()):
        lane = self._suspect_lane(task)
        if lane is not None and self._executor.slots.free(lane):
            self._run_alone(task, lane)
    return False


def _rise_in_part(self: Any, seat: Any) -> None:
    """The last attempt of a call leaves what it held taken."""
    if seat.left:
        _RISE(self, seat)


def _loads_nothing(*_: object) -> None:
    return None


def _room_too_early(self: Any, now_us: int) -> int:
    return _ROOM(self, now_us + self.per_us // 4)


@contextmanager
def _any_run() -> Iterator[None]:
    real = ShardWindow.run

    def run(self: ShardWindow, most: int, until: tuple[int, int] | None, now_us: int, **_: bool) -> list[Task]:
        return real(self, most, until, now_us)

    with patch.object(ShardWindow, "run", run):
        yield


def _told_too_early(self: Any, event: Any) -> bool:
    self._takers, _ = self._waits.takers(event, None)
    return True


def _one_of_many(*asked: Any) -> Due:
    found = due(*asked)
    return Due(found.times[:1], found.missed)


SABOTAGE: Final[dict[str, tuple[set[Check], str, Broken]]] = {
    "reports are taken under any fence": ({Check.RESULT}, "lossy", _patched(Reports, "_holder", _no_fence)),
    "smaller priorities go first": ({Check.ORDER}, "calm", _patched(Priority, "plain", _smaller_priority_first)),
    "one shard goes on past the head of another": (
        {Check.ORDER},
        "crowded",
        _patched(Line, "span", lambda *_: Span(None, None)),
    ),
    "a trimmed window believes to be whole": ({Check.ORDER, Check.IDLE}, "crowded", _whole_after_a_trim),
    "priorities have no end": ({Check.BOUND}, "batches", _any_priority),
    "one attempt more than allowed": (
        {Check.OUTCOME, Check.ONCE},
        "wild",
        _patched(reports, "exhausted", lambda options, attempts: attempts > options.max_attempts),
    ),
    "what is sent again is taken again": ({Check.IDEMPOTENCY}, "lossy", _patched(intake, "_sent_as", lambda _: [])),
    "what has just ended is pruned": ({Check.PLACE}, "wild", _pruned_too_early),
    "a slot is freed twice": ({Check.SLOTS}, "lossy", _patched(Slots, "leave", _leave_twice)),
    "what may run once waits beyond the slots": ({Check.SLOTS}, "calm", _any_run),
    "more waits beyond the slots than may": ({Check.SLOTS}, "calm", _patched(Lent, "rows", lambda *_: 9)),
    "a rebuilt core believes every slot free": (
        {Check.SLOTS},
        "lossy",
        _patched(Core, "inherit", lambda *_, **__: None),
    ),
    "what was never sent runs on through a rebuild": (
        {Check.DRAIN},
        "lossy",
        _patched(Heritage, "runs_on", lambda self, task: (task.id, task.fence) in self.alive | self.never),
    ),
    "a key counts one too few": (
        {Check.KEYS},
        "calm",
        _patched(Slots, "key_taken", lambda self, key: self._keys.get(key, 0) - 1),
    ),
    "a freed key wakes nobody": ({Check.IDLE}, "calm", _patched(Cycle, "wake_key", lambda *_: None)),
    "timers are late": ({Check.TIMERS}, "calm", _late_timers),
    "a paused batch starts": ({Check.PAUSES}, "batches", _patched(Cycle, "_blocked", lambda *_: False)),
    "at most once is forgotten at a death": ({Check.ONCE}, "deadly", _patched(Core, "_again", _once_forgotten)),
    "suspects run beside others": ({Check.ALONE}, "deadly", _suspects_beside_others),
    "rows exist before their seal": ({Check.MEMORY}, "batches", _patched(Book, "_staged", lambda *_: False)),
    "a batch counts nothing": ({Check.BATCHES}, "batches", _patched(Book, "_count", lambda *_: None)),
    "releases of a dead owner are forgotten": (
        {Check.DEPENDENCIES, Check.DRAIN},
        "families",
        _patched(Links, "recover", lambda *_: None),
    ),
    "sweeps of a dead owner are forgotten": ({Check.DRAIN}, "verbs", _patched(Verbs, "recover", lambda *_: None)),
    "attempts of a dead owner are forgotten": ({Check.DRAIN}, "deadly", _patched(Core, "_revive", lambda *_: None)),
    "a cancelled attempt keeps its fence": (
        {Check.HISTORY},
        "verbs",
        _patched(Verbs, "cancel", lambda self, task, reason: self._book.close(task, State.CANCELLED, reason)),
    ),
    "who asked is forgotten before the commit": ({Check.ANSWERED}, "lossy", _patched(Book, "reply", _forget_who_asked)),
    "checkpoints are thrown away": ({Check.EFFECTS}, "calm", _patched(Reports, "_noted", lambda *_: None)),
    "plans of a dead owner are forgotten": ({Check.GOALS}, "deadly", _patched(Pursuit, "recover", lambda *_: None)),
    "what is over stays in memory": ({Check.MEMORY}, "batches", _patched(Leftovers, "sweep", lambda *_: None)),
    "a verb on many tasks meets none": ({Check.EFFECTS}, "verbs", _patched(Verbs, "_meets", lambda *_: False)),
    "a core that is held wakes all the time": (
        {Check.TIMERS},
        "deadly",
        _patched(Cycle, "next_us", _wakes_though_held),
    ),
    "a commit is taken down when it is written": (
        {Check.MEMORY, Check.STEP, Check.HISTORY},
        "wild",
        _patched(SimLedger, "prepare", _taken_down_later),
    ),
    "what came in while the ledger was asked is forgotten": (
        {Check.ORDER, Check.IDLE},
        "meanwhile",
        _nothing_missed,
    ),
    "an attempt that was cancelled before it left leaves": (
        {Check.EFFECTS},
        "meanwhile",
        _patched(Book, "_take_back", lambda *_: False),
    ),
    "firings of a trigger overlap": ({Check.TRIGGERS}, "alarms", _patched(Firing, "_await", lambda *_: None)),
    "a run that a trigger began is believed to be over at a death": (
        {Check.TRIGGERS},
        "alarms",
        _patched(Runs, "lives", lambda *_: False),
    ),
    "of several times that are due one fires": ({Check.TRIGGERS}, "alarms", _patched(triggers, "due", _one_of_many)),
    "steps begin before what they depend on": (
        {Check.STEPS},
        "flows",
        _patched(runs, "ready_again", lambda course: list(range(len(course.states)))),
    ),
    "runs of a dead owner are forgotten": ({Check.DRAIN}, "flows", _patched(Runs, "recover", lambda *_: None)),
    "events are told before every run is loaded": (
        {Check.STEPS},
        "flows",
        _patched(Hearing, "ready", _told_too_early),
    ),
    "a limit leaks a task": ({Check.LIMITS}, "limits", _patched(Gate, "rise", _rise_in_part)),
    "a limit counts nothing": ({Check.LIMITS}, "limits", _patched(Gate, "sit", lambda *_: None)),
    "what was taken of rates is forgotten at a death": (
        {Check.LIMITS},
        "limits",
        _patched(Usage, "load", _loads_nothing),
    ),
    "a cell leaves a rate too early": ({Check.LIMITS}, "limits", _patched(Sliding, "room", _room_too_early)),
    "what is free of a limit wakes nobody": ({Check.IDLE}, "limits", _patched(Queues, "wake", lambda *_: [])),
    "time frees nothing of a limit": ({Check.TIMERS}, "limits", _patched(Queues, "next_us", lambda *_: None)),
    "windows wake nobody": ({Check.IDLE}, "calm", _patched(TaskExecutor, "awake", lambda *_: None)),
}
"""What is broken: the check that must turn red (or two that both see it), the scenario in which it shows, the break."""
