"""Who holds a ledger, seen from outside and without waiting for its lock."""

from contextlib import suppress
from pathlib import Path

import msgspec

from wsaios.bootstrap import ledger_url
from wsaios.kernel.errors import LedgerOwned
from wsaios.ledger.location import locate
from wsaios.ledger.ownership import Holder


def holder_of(lock: Path) -> Holder | None:
    """The process that holds a ledger by its lock file, or None when none lives."""
    with suppress(OSError, msgspec.DecodeError):
        holder = msgspec.json.decode(lock.read_bytes(), type=Holder)
        return None if holder.gone() else holder
    return None


def refuse_owned(ledger: str | None) -> None:
    """Say before any work is done what opening the ledger would say after it.

    Raises:
        LedgerOwned: a live scheduler has it.
    """
    place = locate(ledger_url(ledger))
    holder = None if place.path is None else holder_of(place.lock)
    if holder is not None and holder.kind == "owner":
        raise LedgerOwned(place.name, holder.described())
