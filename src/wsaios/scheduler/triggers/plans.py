"""The workflows that triggers start, in memory, so that a firing and the run that it begins are one commit."""

from collections.abc import Callable, Iterable
from functools import partial

from wsaios.kernel.errors import UnknownWorkflow
from wsaios.kernel.ledger import Answer, DefinitionOf
from wsaios.kernel.ports import Rng
from wsaios.planning.workflow.plan import plan_of
from wsaios.scheduler.book import Book
from wsaios.scheduler.catalog import Catalog
from wsaios.scheduler.course import Sheet


class Plans:
    """Every version of them that new runs get. What is not here yet is asked from the ledger, once.

    `changed` is called when one of them has come, or what a name stands for is another one.
    """

    def __init__(self, book: Book, catalog: Catalog, rng: Rng) -> None:
        self._book = book
        self._catalog = catalog
        self._rng = rng
        self._names: frozenset[str] = frozenset()
        self._sheets: dict[str, Sheet | None] = {}
        self._asked: set[str] = set()
        self.changed: Callable[[], None] = lambda: None
        catalog.changed = self._published

    def want(self, names: Iterable[str]) -> None:
        """Have these at hand, and no others."""
        self._names = frozenset(names)
        wanted = {version for name in self._names for version in self._catalog.shares(name)}
        self._sheets = {version: sheet for version, sheet in self._sheets.items() if version in wanted}
        for version in sorted(wanted - self._sheets.keys() - self._asked):
            self._asked.add(version)
            self._book.ask(DefinitionOf(version), partial(self._found, version))

    def ready(self, name: str) -> bool:
        """Whether it is known what a run of it would be; also where there can be none."""
        return self._catalog.shares(name).keys() <= self._sheets.keys()

    def flaw(self, name: str) -> str:
        """Why no run of it could begin now; else nothing."""
        return "" if self._catalog.shares(name) else str(UnknownWorkflow(name))

    def choose(self, name: str) -> Sheet:
        """What a new run of it gets, by its route.

        Raises:
            UnknownWorkflow: nothing was published under this name, or the ledger has it no more.
        """
        shares, sheet = self._catalog.shares(name), None
        if not shares:
            raise UnknownWorkflow(name)
        left = self._rng.random() * sum(shares.values())
        for version, share in shares.items():
            left -= share
            if left < 0:
                sheet = self._sheets.get(version)
                break
        if sheet is None:
            raise UnknownWorkflow(name, "its definition is not in this ledger; publish it again")
        return sheet

    def _published(self, name: str) -> None:
        if name in self._names:
            self.want(self._names)
            self.changed()

    def _found(self, version: str, answer: Answer) -> None:
        self._asked.discard(version)
        if any(version in self._catalog.shares(name) for name in self._names):
            found = answer.definitions
            self._sheets[version] = Sheet(plan_of(found[0].content)) if found else None
            self.changed()
