"""Events: each is told once to every trigger that is there when it is emitted, and to whoever listens in the core."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from wsaios.kernel.errors import NotPossible
from wsaios.kernel.events import Emit, Token
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


class Listener(Protocol):
    """Who hears events beside the triggers."""

    def ready(self, event: Emitted) -> bool:
        """Whether it can hear it in this step; otherwise it is asked again with the next one."""

    def hear(self, event: Emitted) -> None:
        """It is told; what it does is part of the commit."""


class Held:
    """An event that is still to be told, and those who asked for it; `left`: it is a fact already."""

    __slots__ = ("client_token", "event", "left", "over", "tokens")

    def __init__(self, event: Emitted, asked: Emit | None) -> None:
        self.event = event
        self.client_token = asked.client_token if asked is not None else ""
        self.tokens: list[Token] = [asked.token] if asked is not None else []
        self.left = asked is None
        self.over = False


class Events:
    """An event is no row of its own: what it leads to is in the commit that acknowledges it.

    Events are told in the order in which they came. `listeners` hear each in the step in which it is told; while one of
    them is not ready, events wait, and nobody is told that they are durable.
    """

    def __init__(self, book: Book, roster: Roster, firing: Firing, *, fires: bool) -> None:
        self._book = book
        self._roster = roster
        self._firing = firing
        self._fires = fires
        self.listeners: list[Listener] = []
        self._queue: deque[Held] = deque()
        self._named: dict[str, Held] = {}
        self._told: list[str] = []

    def recover(self, facts: Sequence[tuple[str, str, Any]]) -> None:
        """Tell what was emitted while nobody could be told."""
        left = [msgspec.convert(value, Emitted) for component, _, value in facts if component == _LEFT]
        for event in sorted(left, key=lambda each: each.id):
            if self._fires or not event.heard:
                self._queue.append(Held(event, None))

    def emit(self, asked: Emit) -> None:
        """Take an event in; once, where it carries a token that came before."""
        if asked.again and asked.client_token:
            question = IdempotencyOf(((EMITTED, asked.client_token),), self._book.now_us)
            self._book.ask(question, partial(self._told_before, asked))
        else:
            self._take(asked)

    def tell(self) -> None:
        """Tell what waits, as far as everybody is ready to hear it."""
        while self._queue:
            event = self._queue[0].event
            if not event.heard and not all(listener.ready(event) for listener in self.listeners):
                return
            held = self._queue.popleft()
            held.over = True
            self._tell(held)

    def settle(self) -> None:
        """What was told is found by the rows of their tokens from this commit on."""
        for token in self._told:
            self._named.pop(token, None)
        self._told.clear()

    def _told_before(self, asked: Emit, answer: Answer) -> None:
        if answer.keys:
            self._book.reply(asked.token, answer.keys[0].task)
        else:
            self._take(asked)

    def _take(self, asked: Emit) -> None:
        held = self._named.get(asked.client_token)
        if held is not None and held.over:
            self._book.reply(asked.token, held.event.id)
        elif held is not None:
            held.tokens.append(asked.token)
        else:
            book = self._book
            event = Emitted(book.ids.one(book.now_us), asked.name, asked.data, book.now_us)
            held = Held(event, asked)
            self._queue.append(held)
            if asked.client_token:
                # Sent again, it may have been looked up before its row was there.
                self._named[asked.client_token] = held
            self.tell()

    def _tell(self, held: Held) -> None:
        book, event = self._book, held.event
        concerned = self._concerned(event) if self._fires else []
        if not held.left:
            try:
                for known in concerned:
                    self._firing.check_room(known)
            except NotPossible as error:
                self._named.pop(held.client_token, None)
                self._reply(held, error)
                return
        if not event.heard:
            for listener in self.listeners:
                listener.hear(event)
        book.id_high = max(book.id_high, event.id)
        if held.client_token:
            until_us = book.now_us + CLIENT_WINDOW_US
            book.commit.keys.append(IdempotencyRow(EMITTED, held.client_token, event.id, "", until_us))
            self._told.append(held.client_token)
        if self._fires:
            self._fire(event, concerned)
        self._keep(held)
        self._reply(held)

    def _keep(self, held: Held) -> None:
        """What triggers have not heard of stays a fact until they have."""
        event, facts = held.event, self._book.commit.facts
        if not self._fires:
            left = msgspec.structs.replace(event, heard=event.heard or bool(self.listeners))
            facts.append((_LEFT, str(event.id), msgspec.to_builtins(left)))
        elif held.left:
            facts.append((_LEFT, str(event.id), None))

    def _reply(self, held: Held, error: Exception | None = None) -> None:
        for token in held.tokens:
            self._book.reply(token, None if error is not None else held.event.id, error)

    def _fire(self, event: Emitted, concerned: list[Known]) -> None:
        for known in concerned:
            told = {"name": event.name, "id": encode(event.id, "event"), "data": event.data}
            self._firing.fire(known, Moment(event.at_us, f"{known.spec.name}!{event.id}", event=told))

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
