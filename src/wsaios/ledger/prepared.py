"""A commit in the words of a database, and the names of statements that every database here has."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from wsaios.kernel.errors import LedgerBroken
from wsaios.kernel.failpoints import FAMILIES
from wsaios.kernel.ledger import Commit, Question

CHECKPOINTS_REMOVE: Final = "checkpoints_remove"
OF_LIVE_TASKS: Final = (
    "tasks_remove",
    "payloads_remove",
    CHECKPOINTS_REMOVE,
    "history_remove",
    "links_remove_child",
    "links_remove_parent",
)
"""Everything that a live task has: what an aborted batch is removed with."""
OF_ENDED_TASKS: Final = (
    "outcomes_remove",
    "payloads_remove",
    "history_remove",
    "links_remove_parent",
    "links_remove_child",
)
"""Everything that a task which ended has: what pruning removes."""
CHECKS: Final = {
    "check_both": "tasks are live and ended at once",
    "check_shards": "tasks belong to a shard that does not exist",
    "check_counts": "shards count their tasks wrongly",
    "check_arguments": "live tasks have no arguments",
    "check_orphans": "arguments, checkpoints or histories belong to no task",
    "check_releases": "parents are to be released but did not end",
    "check_links": "dependencies point to tasks that do not exist",
    "check_steps": "steps belong to a run or a task that does not exist",
    "check_runs": "runs have no definition, or ended while tasks of them live",
    "check_ids": "tables hold an id above the highest one recorded",
    "check_batches": "batches count their ended rows wrongly",
}
"""Statements that count contradictions, and what each of them found."""


class Write(NamedTuple):
    """One statement by name; with `matched` it must change `rows` rows, and `matched` is what an error calls them."""

    name: str
    parameters: Mapping[str, Any]
    rows: int = 0
    matched: str = ""


Makers = Mapping[str, Callable[[Commit], list[Write]]]
"""What each family of a commit writes; purging chooses its rows first and is not among it."""


class Prepared(NamedTuple):
    """What a commit writes and asks; nothing in it can change any more."""

    owner: dict[str, int]
    families: list[tuple[str, list[Write]]]
    purged: list[tuple[int, int]]
    purge_rows: int
    questions: list[Question]
    fetch: list[int]


def prepare(ledger: str, batch: Commit, makers: Makers) -> Prepared:
    """Take out of a commit what is written, family by family in their order.

    Raises:
        LedgerBroken: a result belongs to no task that ended.
    """
    strays = {item.id for item in batch.results}.difference([outcome.id for outcome in batch.ended])
    if strays:
        raise LedgerBroken(ledger, f"{len(strays)} results belong to no task that ended; nothing was written")
    owner = {"epoch": batch.epoch, "id_high": batch.id_high, "now_us": batch.now_us}
    families = [(family, makers[family](batch)) for family in FAMILIES if getattr(batch, family)]
    return Prepared(owner, families, list(batch.purged), batch.purge_rows, list(batch.questions), list(batch.fetch))


def matched(ledger: str, write: Write, changed: int) -> None:
    """Make sure that a statement changed the rows that it was to change.

    Raises:
        LedgerBroken: it did not.
    """
    if write.matched and changed != write.rows:
        what = f"{write.matched} did not match: {changed} of {write.rows} rows; nothing was written"
        raise LedgerBroken(ledger, what)


def as_json(value: object) -> str:
    """JSON text of anything that msgspec can write."""
    return msgspec.json.encode(value).decode()
