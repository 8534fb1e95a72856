"""What is copied from one ledger to another: tables in their order, rows in a form that both databases have, a mark."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from wsaios.kernel.errors import LedgerUnavailable

Row = tuple[Any, ...]
PAGE_ROWS: Final = 2000
PAGE_BYTES: Final = 4 << 20
_LOWEST: Final = {"integer": -(1 << 63), "name": b"", "text": ""}


class Table(NamedTuple):
    """A table; the first columns, as many as `key` has kinds, are its primary key, and `booleans` the places of others.

    In a row whole numbers are int, names that may hold any character bytes, JSON and other text str.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ("integer",)
    booleans: tuple[int, ...] = ()

    @property
    def start(self) -> Row:
        """A key that comes before every other one."""
        return tuple(_LOWEST[kind] for kind in self.key)

    def key_of(self, row: Row) -> Row:
        """The key of a row."""
        return row[: len(self.key)]


def _table(name: str, columns: str, key: str = "integer", booleans: tuple[int, ...] = ()) -> Table:
    return Table(name, tuple(columns.split()), tuple(key.split()), booleans)


TABLES: Final = (
    _table(
        "batch",
        "id state handler tenant created_us sealed_us rows keep key ranges ended meta unfinished",
        booleans=(7, 12),
    ),
    _table("shard", "id lane tenant handler batch concurrency_key grade tasks"),
    _table("live", "id shard state fence key due_us expires_us body"),
    _table("payload", "id codec data"),
    _table("checkpoint", "id codec data"),
    _table("outcome", "id fence state shard ended_us key expires_us codec failure body result"),
    _table("history_part", "task part entries", "integer integer"),
    _table("link", "parent child", "integer integer"),
    _table("release", "parent"),
    _table("idempotency", "tenant key task digest until_us", "name name"),
    _table("definition", "version name created_us content", "text"),
    _table(
        "run",
        "id state version name tenant priority created_us ended_us tries input output failure going",
        booleans=(12,),
    ),
    _table("step", "run number item task state at_us data failure", "integer integer integer"),
    _table("fact", "component key value version changed_us", "name name"),
    # After the facts: on SQLite a trigger of theirs writes here too.
    _table("fact_log", "component key version value at_us", "name name integer"),
)
"""All that a ledger has but its owner's row, in the order in which it is copied."""


class Mark(NamedTuple):
    """How far a copy has come, as it stands in the ledger that is written.

    `source` is what messages call the other one, `word` what the copying process called itself as its owner: who had it
    since changed that. `table` is the one that is written, `last` the highest key that is there, `rows` how many are of
    all tables.
    """

    source: str
    word: str
    table: str
    last: Row
    rows: int


class Heights(NamedTuple):
    """What an owner's row must not fall below, and whether the last scheduler stopped in peace.

    `waiting` counts what clients left that no scheduler has taken in yet: it stands in no table that is copied.
    """

    epoch: int
    id_high: int
    clock_us: int
    clean: bool
    waiting: int


LOWEST: Final = Heights(0, 0, 0, clean=True, waiting=0)


class Side(Protocol):
    """A ledger that is copied, or that a copy is written to."""

    name: str
    remedy: str

    def enter(self, *, make: bool) -> str:
        """Take the lock; returns what the last owner called itself. With `make`, a new ledger is made where none is.

        Raises:
            LedgerOwned: a scheduler lives; names it.
            LedgerBroken, LedgerTooNew, LedgerUnavailable: it is none, or cannot be used.
        """

    def own(self, word: str, heights: Heights = LOWEST) -> None:
        """Be the owner, by this word; its high-water marks of ids and time are raised to these."""

    def renew(self) -> None:
        """Make sure that this process still owns the ledger, and for a while more; from any thread.

        Raises:
            Fenced: it does not.
        """

    def heights(self) -> Heights:
        """What the owner's row says, and what waits beside."""

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""

    def page(self, table: Table, after: Row) -> list[Row]:
        """Rows with larger keys, by key, as many as fit into a page; none: there are no more."""

    def mark(self) -> Mark | None:
        """The mark of an unfinished copy."""

    def begin(self, mark: Mark) -> None:
        """Mark the ledger: from now on no scheduler starts on it."""

    def add(self, table: Table, rows: Sequence[Row], mark: Mark) -> None:
        """Write rows and the mark, durably or not at all."""

    def check(self) -> list[str]:
        """As the ledger's own `check`."""

    def finish(self, heights: Heights) -> None:
        """Remove the mark, and go on counting owners from there."""

    def close(self) -> None:
        """Leave the ledger; safe to call twice."""


def size_of(row: Row) -> int:
    """About how much memory a row needs besides its numbers."""
    return sum(len(value) for value in row if isinstance(value, str | bytes))


def unfinished(ledger: str, source: str) -> LedgerUnavailable:
    """Why no scheduler starts on half a copy."""
    return LedgerUnavailable(
        ledger, f"it is an unfinished copy of {source}; finish it first: wsaios ledger copy {source} {ledger}"
    )
