"""Limits that people set while work runs: facts of the ledger, for whoever owns it next."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from wsaios.kernel.events import SetLimits
from wsaios.kernel.limit import Limit
from wsaios.scheduler.book import Book

LIMITS: Final = "limit"


def unlike(wanted: Iterable[Limit], facts: Iterable[tuple[str, str, Any]]) -> list[Limit]:
    """Those of the limits that the ledger has otherwise, or not at all."""
    known = {key: msgspec.convert(value, Limit) for part, key, value in facts if part == LIMITS}
    return [limit for limit in wanted if limit != known.get(limit.on, Limit(limit.on))]


class Bounds:
    """Sets limits and keeps them; those of lanes and handlers in code come with their specs."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def change(self, event: SetLimits) -> None:
        """Have these limits from now on; the reply, once that is durable, are all that hold, with what is taken."""
        book = self._book
        self.set(event.limits)
        book.reply(event.token, book.executor.slots.gates.views(book.now_us))

    def set(self, limits: Iterable[Limit]) -> None:
        """As `change`, without anyone who waits for it."""
        book, limits = self._book, list(limits)
        if not limits:
            return
        book.executor.limit(limits)
        for limit in limits:
            value = msgspec.to_builtins(limit) if limit.bounds else None
            book.commit.facts.append((LIMITS, limit.on, value))

    def recover(self, facts: list[tuple[str, str, Any]]) -> None:
        """Know what an owner before has set, and how much of the rates it has taken."""
        self._book.executor.limit([msgspec.convert(value, Limit) for part, _, value in facts if part == LIMITS])
        self._book.executor.slots.gates.usage.load(facts)
