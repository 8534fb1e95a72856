"""The workflows that triggers start, in memory, so that a firing and the run that it begins are one commit."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from wsaios.kernel.errors import UnknownWorkflow
from wsaios.kernel.ledger import Answer, DefinitionOf
from wsaios.kernel.ports import Rng
from wsaios.planning.workflow.plan import plan_of
from wsaios.scheduler.book import Book
from wsaios.scheduler.catalog import Catalog
from wsaios.scheduler.course import Sheet

_GONE: Final = "its definition is not in this ledger; publish it again"


class Plans:
    """Every version of them that new runs get. What is not here yet is asked from the ledger, once.

    `changed` is called when one of them has come, or what a name stands for is another one. Why there is none stands
    in its place, until something is published under that name.
    """

    def __init__(self, book: Book, catalog: Catalog, rng: Rng) -> None:
        self._book = book
        self._catalog = catalog
        self._rng = rng
        self._names: frozenset[str] = frozenset()
        self._sheets: dict[str, Sheet | str] = {}
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
        """Why no run of it could begin now; else nothing. Where versions share new runs, one of them is enough."""
        shares = self._catalog.shares(name)
        found = [self._sheets.get(version) for version in shares]
        if not shares:
            return str(UnknownWorkflow(name))
        flaws = [each for each in found if isinstance(each, str)]
        return str(UnknownWorkflow(name, flaws[0])) if len(flaws) == len(found) else ""

    def choose(self, name: str) -> Sheet:
        """What a new run of it gets, by its route.

        Raises:
            UnknownWorkflow: nothing was published under this name, or the ledger has it no more, or not readable.
        """
        shares = self._catalog.shares(name)
        sheet: Sheet | str | None = None
        if not shares:
            raise UnknownWorkflow(name)
        left = self._rng.random() * sum(shares.values())
        for version, share in shares.items():
            left -= share
            if left < 0:
                sheet = self._sheets.get(version)
                break
        if not isinstance(sheet, Sheet):
            raise UnknownWorkflow(name, sheet or _GONE)
        return sheet

    def _published(self, name: str) -> None:
        if name in self._names:
            for version in self._catalog.shares(name):
                if isinstance(self._sheets.get(version), str):
                    del self._sheets[version]
            self.want(self._names)
            self.changed()

    def _found(self, version: str, answer: Answer) -> None:
        self._asked.discard(version)
        if any(version in self._catalog.shares(name) for name in self._names):
            found = answer.definitions
            self._sheets[version] = self._read(version, found[0].content) if found else _GONE
            self.changed()

    def _read(self, version: str, content: bytes) -> Sheet | str:
        try:
            return Sheet(plan_of(content))
        except Exception as error:  # noqa: BLE001  # one that cannot be read must not end the scheduler
            why = f"{type(error).__name__}: {error}"
            self._book.warn(
                "the definition of a workflow that a trigger starts cannot be read", version=version, reason=why
            )
            return f"its definition cannot be read ({why}); publish another version of it"
