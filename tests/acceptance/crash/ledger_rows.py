"""What a closed ledger holds, read with plain SQL and past all code of the product that reads or writes it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from wsaios.kernel.ids import encode
from wsaios.kernel.states import State
from wsaios.kernel.task import Body

Entry = tuple[State, int, int, str | None]
"""A line of a history: state, time in µs, fence, reason."""

_OUTCOMES: Final = """
    SELECT outcome.id, outcome.fence, outcome.state, shard.handler, shard.batch, shard.concurrency_key,
           CAST(payload.data AS TEXT), CAST(outcome.result AS TEXT), outcome.failure, json(outcome.body),
           outcome.ended_us
    FROM outcome LEFT JOIN shard ON shard.id = outcome.shard LEFT JOIN payload ON payload.id = outcome.id
    ORDER BY outcome.id
"""
_BATCHES: Final = "SELECT id, state, rows, ranges, ended FROM batch ORDER BY id"
LEFT: Final = ("live", "link", '"release"', "checkpoint")
REFUSED: Final = {
    "a changed outcome": "UPDATE outcome SET result = x'00' WHERE id = (SELECT max(id) FROM outcome)",
    "a second outcome": "INSERT INTO outcome SELECT * FROM outcome WHERE id = (SELECT max(id) FROM outcome)",
}


@dataclass(frozen=True)
class Ended:
    """One row of the outcome table with its arguments; `call` names the submission, `row` the place in a batch."""

    id: str
    fence: int
    state: State
    handler: str
    batch: int
    key: str
    call: str
    row: int | None
    arguments: dict[str, Any]
    ended_us: int
    result: Any
    failure: list[str] | None
    attempts: int
    history: tuple[Entry, ...]


@dataclass(frozen=True)
class Sealed:
    """One row of the batch table; `state` is 1 for a batch that exists, 2 for one that was taken back."""

    id: str
    state: int
    rows: int


@dataclass(frozen=True)
class Rows:
    """The whole ledger; `left` counts rows of tables that are empty once everything has ended."""

    ended: tuple[Ended, ...]
    batches: tuple[Sealed, ...]
    keys: dict[str, str]
    left: dict[str, int]
    damage: tuple[str, ...]


def read_rows(path: Path) -> Rows:
    """Read a ledger that no process has open."""
    connection = apsw.Connection(str(path))
    try:
        parts: dict[int, list[Any]] = {}
        for task, entries in connection.execute("SELECT task, entries FROM history_part ORDER BY task, part"):
            parts.setdefault(task, []).extend(json.loads(entries))
        ended = tuple(ended_of(row, parts.get(row[0], [])) for row in connection.execute(_OUTCOMES))
        batches = tuple(Sealed(encode(row[0], "batch"), row[1], row[2]) for row in connection.execute(_BATCHES))
        keys = {str(key): encode(task) for key, task in connection.execute("SELECT key, task FROM idempotency")}
        left = {table: int(connection.execute(f"SELECT count(*) FROM {table}").get) for table in LEFT}
        return Rows(ended, batches, keys, left, tuple(_damage(connection)))
    finally:
        connection.close()


def ended_of(row: tuple[Any, ...], older: list[Any]) -> Ended:
    """An outcome from the columns of either ledger."""
    number, fence, state, handler, batch, key, arguments, result, failure, body, ended_us = row
    given = json.loads(arguments or "{}")
    fields = dict(zip(Body.__struct_fields__, json.loads(body), strict=False))
    history = tuple((State(entry[0]), entry[1], entry[2], entry[3]) for entry in (*older, *fields["history"]))
    return Ended(
        id=encode(number),
        fence=fence,
        state=State(state),
        handler=handler,
        batch=batch,
        key=key,
        call=given.get("call", ""),
        row=given.get("row"),
        arguments=given,
        ended_us=ended_us,
        result=json.loads(result) if result else None,
        failure=json.loads(failure) if failure else None,
        attempts=fields["attempts"],
        history=history,
    )


def _damage(connection: apsw.Connection) -> list[str]:
    lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
    found = [] if lines == ["ok"] else lines
    for what, statement in REFUSED.items():
        connection.execute("BEGIN")
        try:
            connection.execute(statement)
        except apsw.ConstraintError:
            continue
        else:
            found.append(f"the schema lets {what} through")
        finally:
            connection.execute("ROLLBACK")
    return found
