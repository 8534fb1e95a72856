"""One connection to PostgreSQL, spoken to in named statements."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import asyncpg

from wsaios.kernel.errors import LedgerUnavailable
from wsaios.ledger.postgres.address import Address
from wsaios.ledger.postgres.attention import Attention
from wsaios.ledger.postgres.errors import DRIVER_ERRORS
from wsaios.ledger.statements import statements

Purpose = Literal["owner", "reader", "upkeep", "intake"]
_ANSWER_S: Final = 60.0
_PREFETCH: Final = 64
_ENCODING: Final = "UTF8"
_REMEDY: Final = "make one with: createdb --encoding=UTF8 --locale=C --template=template0 NAME"
_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")
# Statements are planned once and stay as they are: always by index, whatever the statistics say of a table that was
# empty a moment ago.
_BY_INDEX: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_SETTINGS: Final[Mapping[Purpose, Mapping[str, str]]] = {
    "owner": {**_BY_INDEX, "synchronous_commit": "on", "default_transaction_isolation": "read committed"},
    "reader": {**_BY_INDEX, "default_transaction_read_only": "on"},
    "upkeep": {},
    "intake": {**_BY_INDEX, "synchronous_commit": "on", "default_transaction_isolation": "read committed"},
}


class Statement(NamedTuple):
    """A statement in the form of the driver; `parameters` are the names of $1, $2, …."""

    text: str
    parameters: tuple[str, ...]


def named(*families: str) -> Mapping[str, Statement]:
    """The statements of these files by name."""
    return {name: _numbered(text) for name, text in statements("postgres", *families).items()}


def _numbered(text: str) -> Statement:
    parameters: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${parameters.setdefault(found[1], len(parameters) + 1)}"

    return Statement(_PARAMETER.sub(number, text), tuple(parameters))


@cache
def _forgotten() -> str:
    return named("attention")["forgotten"].text


class Session:
    """A connection; the caller takes care of errors."""

    def __init__(self, connection: Any, address: Address, sql: Mapping[str, Statement]) -> None:
        self._connection = connection
        self._sql = sql
        self.attention = Attention(connection, address.dsn, _forgotten())
        self._answered = self.attention.answered
        self.pid: int = connection.get_server_pid()

    @classmethod
    async def open(cls, address: Address, sql: Mapping[str, Statement], purpose: Purpose) -> "Session":
        """Connect; unqualified names stand for tables of the ledger's schema.

        Raises:
            LedgerUnavailable: the database cannot keep every text, or, as SQL_ASCII, does not know what it keeps.
        """
        settings = {
            "search_path": f'"{address.schema}"',
            "application_name": f"wsaios {purpose}",
            "jit": "off",
            **_SETTINGS[purpose],
        }
        connection = await asyncpg.connect(
            address.dsn,
            timeout=address.connect_s,
            command_timeout=None if purpose == "upkeep" else _ANSWER_S,
            server_settings=settings,
            statement_cache_size=200,
        )
        session = cls(connection, address, sql)
        # The server says it as it greets; what stands in front of it may not.
        encoding = getattr(connection.get_settings(), "server_encoding", _ENCODING)
        if encoding != _ENCODING:
            await session.close()
            reason = f"the database is encoded in {encoding}, and a ledger needs {_ENCODING}; {_REMEDY}"
            raise LedgerUnavailable(address.name, reason)
        return session

    async def rows(self, name: str, **given: Any) -> list[Any]:
        """The rows of a statement."""
        text, parameters = self._sql[name]
        found: list[Any] = await self._answered(self._connection.fetch(text, *[given[each] for each in parameters]))
        return found

    async def page(self, name: str, enough: Callable[[Any], bool], **given: Any) -> list[Any]:
        """The rows of a statement up to the first that is enough; what comes after them stays on the server."""
        return await self._answered(self._page(name, enough, given))

    async def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write rows into a table as fast as the server takes them."""
        await self._answered(self._connection.copy_records_to_table(table, records=rows, columns=columns))

    async def value(self, name: str, **given: Any) -> Any:
        """The first value of the first row; None without a row."""
        rows = await self.rows(name, **given)
        return rows[0][0] if rows else None

    async def change(self, name: str, given: Mapping[str, Any]) -> int:
        """Run a statement that writes; how many rows it touched."""
        text, parameters = self._sql[name]
        tag: str = await self._answered(self._connection.execute(text, *[given[each] for each in parameters]))
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def script(self, text: str) -> None:
        """Run several statements."""
        await self._answered(self._connection.execute(text))

    async def listen(self, channel: str, heard: Callable[[], None]) -> None:
        """Have `heard` called on the loop whenever something is told on the channel, and when the connection ends."""
        await self._answered(self._connection.add_listener(channel, lambda *_: heard()))
        self._connection.add_termination_listener(lambda _: heard())

    def in_transaction(self) -> bool:
        """Whether one is open on a connection that lives."""
        return not self._connection.is_closed() and bool(self._connection.is_in_transaction())

    def closed(self) -> bool:
        """Whether the connection is known to be gone."""
        return bool(self._connection.is_closed())

    def abandon(self) -> None:
        """Drop the connection without a word."""
        self._connection.terminate()

    async def close(self) -> None:
        """Say good-bye, or go without when nobody listens."""
        try:
            await self._connection.close(timeout=2.0)
        except DRIVER_ERRORS:
            self._connection.terminate()

    async def _page(self, name: str, enough: Callable[[Any], bool], given: Mapping[str, Any]) -> list[Any]:
        text, parameters = self._sql[name]
        found: list[Any] = []
        async with self._connection.transaction(readonly=True):
            async for row in self._connection.cursor(text, *[given[each] for each in parameters], prefetch=_PREFETCH):
                found.append(row)
                if enough(row):
                    break
        return found
