"""Events: each is told once to every trigger that is there when it is emitted, and to whoever listens in the core."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import NotPossible
from wsaios.kernel.events import Emit
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, IdempotencyOf, IdempotencyRow
from wsaios.kernel.trigger import Emitted, Moment
from wsaios.scheduler.book import Book
from wsaios.scheduler.intake import CLIENT_WINDOW_US
from wsaios.scheduler.triggers.firing import Firing
from wsaios.scheduler.triggers.roster import Known, Roster

EMITTED: Final = "\0event"
"""The tenant of the keys of emitted events: each stands for the number of an event, where others have a task."""
_LEFT: Final = "event"
"""Facts: events that were emitted where nothing fires; the next owner that fires tells them."""


class Events:
    """An event is no row of its own: what it starts is in the commit that acknowledges it.

    `listeners` hear each event that is told, in that same step; what they do is part of its commit. (A step of a
    workflow that waits for an event is to be one.)
    """

    def __init__(self, book: Book, roster: Roster, firing: Firing, *, fires: bool) -> None:
        self._book = book
        self._roster = roster
        self._firing = firing
        self._fires = fires
        self.listeners: list[Callable[[Emitted], None]] = []

    def recover(self, facts: Sequence[tuple[str, str, Any]]) -> None:
        """Tell what was emitted while nobody could fire."""
        left = [msgspec.convert(value, Emitted) for component, _, value in facts if component == _LEFT]
        for event in sorted(left, key=lambda each: each.id):
            self._tell(event, self._concerned(event))
            self._book.commit.facts.append((_LEFT, str(event.id), None))

    def emit(self, asked: Emit) -> None:
        """Take an event in; once, where it carries a token that came before."""
        if asked.again and asked.client_token:
            question = IdempotencyOf(((EMITTED, asked.client_token),), self._book.now_us)
            self._book.ask(question, partial(self._told_before, asked))
        else:
            self._take(asked)

    def _told_before(self, asked: Emit, answer: Answer) -> None:
        if answer.keys:
            self._book.reply(asked.token, answer.keys[0].task)
        else:
            self._take(asked)

    def _take(self, asked: Emit) -> None:
        book = self._book
        event = Emitted(book.ids.one(book.now_us), asked.name, asked.data, book.now_us)
        concerned = self._concerned(event) if self._fires else []
        try:
            for known in concerned:
                self._firing.check_room(known)
        except NotPossible as error:
            book.reply(asked.token, error=error)
            return
        book.id_high = max(book.id_high, event.id)
        if asked.client_token:
            until_us = book.now_us + CLIENT_WINDOW_US
            book.commit.keys.append(IdempotencyRow(EMITTED, asked.client_token, event.id, "", until_us))
        if self._fires:
            self._tell(event, concerned)
        else:
            book.commit.facts.append((_LEFT, str(event.id), msgspec.to_builtins(event)))
        book.reply(asked.token, event.id)

    def _tell(self, event: Emitted, concerned: list[Known]) -> None:
        for known in concerned:
            told = {"name": event.name, "id": encode(event.id, "event"), "data": event.data}
            self._firing.fire(known, Moment(event.at_us, f"{known.spec.name}!{event.id}", event=told))
        for listener in self.listeners:
            listener(event)

    def _concerned(self, event: Emitted) -> list[Known]:
        found = []
        for known in self._roster.hearing(event.name):
            if known.standing.since_us > event.at_us:
                continue
            if self._roster.passes(
                known, {"event": {"name": event.name, "id": encode(event.id, "event"), "data": event.data}}
            ):
                found.append(known)
        return found
