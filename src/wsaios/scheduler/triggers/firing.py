"""One firing after the other of each trigger, as its overlap policy says, and the end of what they started."""

from functools import partial
from typing import Final

from wsaios.kernel.errors import NotPossible
from wsaios.kernel.events import Act, Scope
from wsaios.kernel.ids import decode, encode
from wsaios.kernel.ledger import Answer, ById
from wsaios.kernel.trigger import Moment, Waiting
from wsaios.scheduler.book import Book
from wsaios.scheduler.draft import finished
from wsaios.scheduler.triggers.roster import Known, Roster
from wsaios.scheduler.triggers.starting import Starting
from wsaios.scheduler.verbs import Verbs

MOST_WAITING: Final = 1000
_BATCH: Final = "batch"
_RUN: Final = "run"


class Firing:
    """Fires triggers. What was started last is live until its end is part of the commit that is being made."""

    def __init__(self, book: Book, roster: Roster, starting: Starting, verbs: Verbs) -> None:
        self._book = book
        self._roster = roster
        self._starting = starting
        self._verbs = verbs
        self._tasks: dict[int, str] = {}
        self._batches: dict[int, str] = {}
        self._runs: dict[int, str] = {}
        self._effects: object = None
        self._heard = self._runs_heard = 0
        self._places = 0

    def recover(self) -> None:
        """Wait again for the end of what was started, and end again what was told to end."""
        for known in self._roster:
            standing, name = known.standing, known.spec.name
            if known.waiting:
                self._places = max(self._places, known.waiting[-1].place)
            if standing.live and standing.last.startswith(_RUN):
                standing.live = self._starting.runs.lives(decode(standing.last, _RUN))
                self._roster.touch(known)
            if standing.live:
                self._await(known)
            for number in standing.leaving:
                self._tasks[number] = name
                self._verbs.act(Act(None, "cancel", Scope("task", number), _replaced(name)))
            # Where nothing fires the end of what runs may be heard, but nothing can follow it.
            self.next(known)
        doubtful = tuple(sorted(self._tasks.keys() - self._book.tasks.keys()))
        if doubtful:
            # Whoever ended one has said so here as well; but a trigger that waits for nothing would wait for ever.
            self._book.ask(ById(doubtful), partial(self._check, doubtful))

    def watch(self) -> None:
        """Only hear of ends: nothing fires here."""
        for known in self._roster:
            if known.standing.live:
                self._await(known)
            self._tasks.update(dict.fromkeys(known.standing.leaving, known.spec.name))

    def fire(self, known: Known, moment: Moment) -> None:
        """Start what the trigger starts, or do with this firing what its overlap policy says."""
        standing, overlap = known.standing, known.spec.overlap
        self._roster.touch(known)
        held_back = overlap == "skip" and (standing.live or known.waiting)
        if held_back or standing.paused or known.armed is None:
            standing.skipped += 1
        elif known.waiting or (overlap == "queue" and standing.live) or not self._starting.ready(known.armed.ready):
            self._wait(known, moment)
        else:
            self._start(known, moment)

    def check_room(self, known: Known) -> None:
        """Refuse an event that would have to wait where too many do.

        Raises:
            NotPossible: names the trigger.
        """
        if len(known.waiting) >= MOST_WAITING and not known.standing.paused:
            hint = f"{MOST_WAITING} firings of it wait already; emit again later, or pause or remove it"
            raise NotPossible("hand the event to", f"trigger {known.spec.name!r}", "full", hint)

    def forget(self, known: Known) -> None:
        """The trigger is removed; what it started goes on by itself."""
        name = known.spec.name
        for told in (self._tasks, self._batches, self._runs):
            for number in [number for number, whose in told.items() if whose == name]:
                del told[number]

    def hear(self) -> bool:
        """Take up what ended since the last time; whether something that waited started."""
        effects, started = self._book.effects, False
        if effects is not self._effects:
            self._effects, self._heard, self._runs_heard = effects, 0, 0
        closed, self._heard = effects.closed[self._heard :] if self._tasks else (), len(effects.closed)
        for each in closed:
            name = self._tasks.pop(each.outcome.id, None)
            if name is not None:
                started = self._over(name, each.outcome.id, encode(each.outcome.id)) or started
        for number, name in list(self._batches.items()) if self._batches else ():
            batch = self._book.batches.get(number)
            if batch is None or finished(batch):
                del self._batches[number]
                started = self._over(name, number, encode(number, _BATCH)) or started
        ended, self._runs_heard = effects.runs[self._runs_heard :] if self._runs else (), len(effects.runs)
        for run in ended:
            name = self._runs.pop(run.id, None)
            if name is not None:
                started = self._over(name, run.id, encode(run.id, _RUN)) or started
        return started

    def next(self, known: Known) -> bool:
        """Start what waited longest, and what waits behind it, as far as nothing keeps it back; whether it did."""
        before = len(known.waiting)
        while known.waiting and self._free(known):
            self._start(known, self._roster.pop(known).moment)
        return len(known.waiting) < before

    def _free(self, known: Known) -> bool:
        """Whether what waits may start."""
        if known.standing.paused or known.armed is None or not self._starting.ready(known.armed.ready):
            return False
        return not known.standing.live or known.spec.overlap in {"allow", "cancel_running"}

    def _over(self, name: str, number: int, told: str) -> bool:
        known = self._roster.named(name)
        standing = known.standing
        self._roster.touch(known)
        if number in standing.leaving:
            standing.leaving.remove(number)
        if standing.last == told:
            standing.live = False
        return self.next(known)

    def _wait(self, known: Known, moment: Moment) -> None:
        if len(known.waiting) >= MOST_WAITING:
            known.standing.skipped += 1
            return
        self._places += 1
        self._roster.push(known, Waiting(known.spec.name, self._places, moment))

    def _start(self, known: Known, moment: Moment) -> None:
        assert known.armed is not None
        standing = known.standing
        started, fault = self._starting.start(known.armed.ready, moment, known.spec.name)
        if not started:
            standing.skipped, standing.fault = standing.skipped + 1, fault
            self._roster.touch(known)
            self._book.warn("a trigger has nothing to start", trigger=known.spec.name, reason=fault)
            return
        if standing.live and known.spec.overlap == "cancel_running":
            self._replace(known)
        elif standing.live:
            self._leave(standing.last)
        standing.fired += 1
        standing.last, standing.last_us, standing.live, standing.fault = started, moment.at_us, True, fault
        self._roster.touch(known)
        self._await(known)
        if fault:
            self._book.warn("a trigger started what cannot run", trigger=known.spec.name, id=started, reason=fault)

    def _check(self, doubtful: tuple[int, ...], answer: Answer) -> None:
        there = {task.id for task in self._book.adopt(answer.tasks)}
        for number in doubtful:
            if number not in there and (name := self._tasks.pop(number, None)) is not None:
                self._over(name, number, encode(number))

    def _await(self, known: Known) -> None:
        """Look for the end of what was started last."""
        last, name = known.standing.last, known.spec.name
        told, number = self._place(last)
        told[number] = name

    def _leave(self, last: str) -> None:
        """Look no more for the end of what is no longer the last."""
        told, number = self._place(last)
        told.pop(number, None)

    def _place(self, last: str) -> tuple[dict[int, str], int]:
        """Where the end of what was started is looked for, and its number."""
        if last.startswith(_RUN):
            return self._runs, decode(last, _RUN)
        return (self._batches, decode(last, _BATCH)) if last.startswith(_BATCH) else (self._tasks, decode(last))

    def _replace(self, known: Known) -> None:
        """End what was started last."""
        standing, reason = known.standing, _replaced(known.spec.name)
        standing.live = False
        if standing.last.startswith(_RUN):
            # That it is to end is in its row with this commit.
            self._leave(standing.last)
            self._starting.runs.end(decode(standing.last, _RUN), reason)
            return
        if standing.last.startswith(_BATCH):
            # A sweep is a fact until it is done, so it need not be remembered here.
            self._leave(standing.last)
            self._verbs.act(Act(None, "cancel", Scope("batch", decode(standing.last, _BATCH)), reason))
            return
        number = decode(standing.last)
        self._verbs.act(Act(None, "cancel", Scope("task", number), reason))
        if number in self._book.ended_now:
            self._leave(standing.last)
        else:
            # It is not in memory, and its end comes with a later commit.
            standing.leaving.append(number)


def _replaced(name: str) -> str:
    return f"trigger {name} started another one in its place"
