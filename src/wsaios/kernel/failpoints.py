"""The places between two writes where a crash must do no harm: each has a name, and a test that dies there."""

from collections.abc import Callable
from typing import Final

Failpoint = Callable[[str], None]
"""Called with the name of the place that was just reached; it may end the process or raise."""

FAMILIES: Final = (
    "shards",
    "batches",
    "replayed",
    "accepted",
    "payloads",
    "updated",
    "spilled",
    "saved",
    "ended",
    "results",
    "links",
    "links_done",
    "releases",
    "releases_done",
    "keys",
    "facts",
    "definitions",
    "runs",
    "steps_gone",
    "steps",
    "taken",
    "purged",
)
"""What a commit writes, in its order; the names are fields of `Commit`."""

OPENING: Final = ("open.locked", "open.migrating", "open.migrated", "open.taking", "open.taken")
"""Lock, schema (``migrating`` only where one is missing), and the owner's row, before and after its commit."""

PRUNING: Final = (
    "prune.begin",
    "prune.runs",
    "prune.outcomes",
    "prune.keys",
    "prune.facts",
    "prune.batches",
    "prune.before_commit",
    "prune.after_commit",
)
"""One step of pruning."""

CLOSING: Final = ("close.begin", "close.left", "close.emptied", "close.closed")
"""The owner's row, the log moved into the file, the connection; then the lock goes."""

FAILPOINTS: Final = (
    *OPENING,
    "ledger.begin",
    "ledger.owner",
    *(f"ledger.{family}" for family in FAMILIES),
    "ledger.before_commit",
    "ledger.after_commit",
    *PRUNING,
    *CLOSING,
    "driver.after_commit",
    "driver.after_acknowledge",
    "driver.before_dispatch",
    "driver.after_dispatch",
    "driver.on_report",
    "batch.before_rename",
    "batch.after_rename",
)
"""Every name there is; ``ledger.<family>`` is reached when the family had something to write."""


def nothing(name: str) -> None:
    """Go on: the failpoint of every run that is no test."""
