"""Everything that is known about a round, as the checks want it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.acceptance.crash.ledger_rows import Ended, Rows, read_rows
from tests.acceptance.crash.postgres_rows import read_postgres
from tests.acceptance.crash.record import Record, read_record
from wsaios.kernel.ids import encode


@dataclass
class Case:
    """Rows of the ledger and what the processes wrote down."""

    rows: Rows
    record: Record
    contradictions: list[str]

    @cached_property
    def by_call(self) -> dict[str, list[Ended]]:
        """The tasks of every submission, by id."""
        found: defaultdict[str, list[Ended]] = defaultdict(list)
        for ended in self.rows.ended:
            found[ended.call].append(ended)
        return dict(found)

    @cached_property
    def by_id(self) -> dict[str, Ended]:
        """Every task by its id."""
        return {ended.id: ended for ended in self.rows.ended}

    def noted(self, word: str, ended: Ended) -> bool:
        """Whether that was written down for a task or for the batch that it is a row of."""
        ids = self.record.done[word]
        return ended.id in ids or (ended.batch != 0 and encode(ended.batch, "batch") in ids)


Check = Callable[[Case], Iterator[str]]


def address(folder: Path) -> str:
    """Where the ledger of a round is: as its folder says, or in a file in it."""
    said = folder / "ledger"
    return said.read_text("utf-8") if said.exists() else f"sqlite:///{folder}/work.db"


def read_case(folder: Path, contradictions: list[str]) -> Case:
    """Read a folder that no process works in."""
    url = address(folder)
    rows = read_rows(folder / "work.db") if url.startswith("sqlite") else read_postgres(url)
    return Case(rows, read_record(folder), contradictions)
