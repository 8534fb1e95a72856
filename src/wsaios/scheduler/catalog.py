"""Workflows that were published by name: their versions, and which of them a new run gets."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InvalidInput, UnknownWorkflow
from wsaios.kernel.events import Publish, Route
from wsaios.kernel.run import Published, PublishedVersion
from wsaios.scheduler.book import Book

WORKFLOW: Final = "workflow"
"""The component whose facts these are: by name, a `Published`. The ledger keeps the definitions of such names."""
ALL: Final = 100


class Catalog:
    """Facts alone: whoever owns the ledger, or visits it, may change them. `changed` is told of each name that did."""

    def __init__(self, book: Book, facts: Sequence[tuple[str, str, Any]]) -> None:
        self._book = book
        self._names = {
            key: msgspec.convert(value, Published, strict=False)
            for component, key, value in facts
            if component == WORKFLOW
        }
        self.changed: Callable[[str], None] = lambda _: None

    def shares(self, name: str) -> dict[str, int]:
        """How many of a hundred new runs get which version; none: nothing was published under this name."""
        known = self._names.get(name)
        if known is None:
            return {}
        found = {known.numbered(number): share for number, share in known.route.items()}
        return {each.version: share for each, share in found.items() if each is not None}

    def publish(self, event: Publish) -> None:
        """A definition gets the next number of its name, or keeps the one that it has, and all new runs."""
        book, stored = self._book, event.definition
        stored.created_us = book.now_us
        known = self._names.setdefault(stored.name, Published(stored.name))
        found = next((each for each in known.versions if each.version == stored.version), None)
        number = found.number if found is not None else len(known.versions) + 1
        if found is None:
            made = PublishedVersion(number, stored.version, event.note, event.who, book.now_us)
            known.versions = [*known.versions, made]
        known.route = {number: ALL}
        book.commit.definitions.append(stored)
        self._keep(known)
        book.reply(event.token, number)

    def route(self, event: Route) -> None:
        """Share new runs between versions."""
        known = self._names.get(event.name)
        if known is None:
            self._book.reply(event.token, error=UnknownWorkflow(event.name))
            return
        missing = [number for number in event.shares if known.numbered(number) is None]
        if missing:
            there = ", ".join(f"v{each.number}" for each in known.versions)
            reason = f"it has no version {missing[0]}; there are {there}"
            self._book.reply(event.token, error=UnknownWorkflow(event.name, reason))
        elif sum(event.shares.values()) != ALL or min(event.shares.values()) < 0:
            reason = f"must be shares of a hundred that add up to it, not {sum(event.shares.values())}"
            self._book.reply(event.token, error=InvalidInput("route", reason))
        else:
            known.route = {number: share for number, share in event.shares.items() if share}
            self._keep(known)
            self._book.reply(event.token, msgspec.structs.replace(known))

    def _keep(self, known: Published) -> None:
        self._book.commit.facts.append((WORKFLOW, known.name, msgspec.to_builtins(known, str_keys=True)))
        self.changed(known.name)
