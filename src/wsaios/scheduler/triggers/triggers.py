"""Triggers in the core: what is due by the clock, what was emitted, what changed.

Each firing is in one commit with what it starts.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Final

from wsaios.kernel.errors import NotPossible, UnknownTrigger
from wsaios.kernel.events import ActOnTrigger, AskTriggers, PutTrigger
from wsaios.kernel.faculties import Hub
from wsaios.kernel.trigger import Moment, OnCron, OnTime, StartWorkflow
from wsaios.planning.due import due
from wsaios.planning.state_changes import Tree, changed, placed, tree_of
from wsaios.planning.triggers import first_through_us
from wsaios.scheduler.book import Book
from wsaios.scheduler.triggers.events import Events
from wsaios.scheduler.triggers.firing import Firing
from wsaios.scheduler.triggers.roster import Known, Roster, view
from wsaios.scheduler.triggers.starting import Starting
from wsaios.scheduler.verbs import Verbs

_STATE: Final = "state"
Facts = Sequence[tuple[str, str, Any]]


class Triggers:
    """All triggers of a ledger. Where nothing fires they can be declared and removed, and ends are heard."""

    def __init__(self, book: Book, starting: Starting, verbs: Verbs, hub: Hub | None) -> None:
        """`hub` None, or without languages: nothing fires here."""
        languages = hub.languages if hub is not None else None
        self._book = book
        self._snapshot: Callable[[], Tree] = hub.faculties.state.snapshot if hub is not None else dict
        self._fires = languages is not None
        self._roster = Roster(book, languages)
        self._firing = Firing(book, self._roster, starting, verbs)
        self._plans = starting.plans
        self._plans.changed = self._workflows
        self.events = Events(book, self._roster, self._firing, fires=self._fires)
        self._times: list[tuple[int, str]] = []
        self._state: Tree | None = None
        self._stirred = False

    def recover(self, facts: Facts) -> None:
        """Go on from what the ledger says; where nothing fires, `load` it only."""
        self.load(facts)
        self.events.recover(facts)
        if not self._fires:
            return
        if self._roster.changing():
            self._state = tree_of((key, value["value"]) for component, key, value in facts if component == _STATE)
        self._want()
        self._firing.recover()
        for known in self._roster:
            self._schedule(known)

    def load(self, facts: Facts) -> None:
        """Know what is stored."""
        self._roster.load(facts)
        self._firing.watch()

    def put(self, event: PutTrigger) -> None:
        """Declare a trigger. What was due by its times of before is decided first."""
        self._due()
        known = self._roster.put(event.spec)
        if self._state is None and self._roster.changing():
            # Whatever was said before now is no change that it could have seen.
            self._state = self._snapshot()
        self._want()
        self._schedule(known)
        self._stirred = self._firing.next(known) or self._stirred
        self._book.reply(event.token, view(known))

    def act(self, event: ActOnTrigger) -> None:
        """Pause, resume, remove or fire a trigger."""
        try:
            known = self._roster.named(event.name)
        except UnknownTrigger as error:
            self._book.reply(event.token, error=error)
            return
        if event.verb == "fire":
            self._fire_now(event, known)
            return
        self._due()
        if event.verb == "remove":
            self._firing.forget(known)
            self._roster.remove(event.name)
            self._want()
        else:
            self._switch(known, paused=event.verb == "pause")
        self._book.reply(event.token, view(known))

    def ask(self, event: AskTriggers) -> None:
        """Tell what there is."""
        try:
            found = [self._roster.named(event.name)] if event.name else list(self._roster)
        except UnknownTrigger as error:
            self._book.reply(event.token, error=error)
            return
        self._book.reply(event.token, [view(known) for known in found])

    def run(self, facts: Facts) -> None:
        """Fire what is due and what `facts` changed, and go on where something ended."""
        self._stirred = False
        if not len(self._roster):
            self._state = None
            return
        self._hear()
        if self._fires:
            self._changes(facts)
            self._due()

    def settle(self) -> None:
        """The commit is about to be closed: what ended since is part of it, and how every trigger stands."""
        if len(self._roster):
            self._hear()
        self._roster.write()
        self.events.settle()

    def next_us(self) -> int | None:
        """When to step for the next firing."""
        if self._stirred:
            return self._book.now_us
        times = self._times
        while times and not self._stands(*times[0]):
            heappop(times)
        return times[0][0] if times else None

    def _want(self) -> None:
        """Have the workflows of all triggers at hand."""
        starts = [known.spec.start for known in self._roster if self._fires]
        self._plans.want(start.workflow for start in starts if isinstance(start, StartWorkflow))
        self._look()

    def _look(self) -> None:
        """Which triggers have no workflow that they could start."""
        for known in self._roster:
            if isinstance(known.spec.start, StartWorkflow) and known.armed is not None:
                known.fault = self._plans.flaw(known.spec.start.workflow)

    def _workflows(self) -> None:
        """A workflow is at hand, or is another one: what waits for it starts."""
        self._look()
        for known in self._roster:
            self._stirred = self._firing.next(known) or self._stirred

    def _hear(self) -> None:
        while self._firing.hear():
            self._stirred = True

    def _stands(self, at_us: int, name: str) -> bool:
        known = self._roster.get(name)
        return known is not None and known.due_us == at_us

    def _schedule(self, known: Known) -> None:
        """Find out when a trigger fires next by the clock."""
        when, standing, at_us = known.spec.when, known.standing, None
        if known.armed is not None and not standing.paused:
            if known.armed.cron is not None:
                at_us = known.armed.cron.after(standing.through_us)
            elif isinstance(when, OnTime) and when.at_us > standing.through_us:
                at_us = when.at_us
        known.due_us = at_us
        if at_us is not None:
            heappush(self._times, (at_us, known.spec.name))

    def _due(self) -> None:
        now_us, times = self._book.now_us, self._times
        while times and times[0][0] <= now_us:
            at_us, name = heappop(times)
            known = self._roster.get(name)
            if known is not None and known.due_us == at_us:
                self._decide(known)
                self._schedule(known)

    def _decide(self, known: Known) -> None:
        now_us, when, standing = self._book.now_us, known.spec.when, known.standing
        assert known.armed is not None
        times = [known.due_us] if known.due_us is not None else []
        if known.armed.cron is not None:
            assert isinstance(when, OnCron)
            times, missed = due(known.armed.cron, standing.through_us, now_us, when.catch_up, when.catch_up_limit)
            standing.missed += missed
        standing.through_us = now_us
        self._roster.touch(known)
        for at_us in times:
            self._firing.fire(known, Moment(at_us, f"{known.spec.name}@{at_us}"))

    def _switch(self, known: Known, *, paused: bool) -> None:
        """What is paused fires not; times that passed meanwhile are over, but a single time is not."""
        standing, when = known.standing, known.spec.when
        if standing.paused and not paused and not isinstance(when, OnTime):
            standing.through_us = first_through_us(when, self._book.now_us)
        standing.paused = paused
        self._roster.touch(known)
        self._schedule(known)
        self._stirred = self._firing.next(known) or self._stirred

    def _fire_now(self, event: ActOnTrigger, known: Known) -> None:
        if known.armed is None or known.standing.paused:
            state = "paused" if known.standing.paused else "here where nothing fires"
            hint = "resume it first" if known.standing.paused else "start a scheduler"
            self._book.reply(event.token, error=NotPossible("fire", f"trigger {event.name!r}", state, hint))
            return
        book = self._book
        number = book.ids.one(book.now_us)
        book.id_high = max(book.id_high, number)
        self._firing.fire(known, Moment(book.now_us, f"{event.name}!{number}"))
        book.reply(event.token, view(known))

    def _changes(self, facts: Facts) -> None:
        if self._state is None:
            return
        old = new = self._state
        for component, key, value in facts:
            if component == _STATE:
                new = placed(new, key, None if value is None else value["value"], gone=value is None)
        self._state = new
        if old is new:
            return
        for known, pattern in self._roster.changing():
            for change in changed(old, new, pattern):
                told = {"key": change.key, "old": change.old, "new": change.new}
                if self._roster.passes(known, {"change": told}):
                    standing = known.standing
                    number = standing.fired + standing.skipped + len(known.waiting)
                    key = f"{known.spec.name}#{number}"
                    self._firing.fire(known, Moment(self._book.now_us, key, change=told))
