"""Who holds a ledger, seen from outside and without waiting for its lock."""

from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec

from wsaios.bootstrap import Settings, ledger_of, ledger_url
from wsaios.kernel.errors import LedgerOwned
from wsaios.ledger.location import locate
from wsaios.ledger.ownership import Holder


def holder_of(lock: Path) -> Holder | None:
    """The process that holds a ledger by its lock file, or None when none lives."""
    with suppress(OSError, msgspec.DecodeError):
        holder = msgspec.json.decode(lock.read_bytes(), type=Holder)
        return None if holder.gone() else holder
    return None


def remote_holder(url: str) -> Holder | None:
    """The process that holds a ledger on a server, or None when none lives.

    Raises:
        LedgerUnavailable: the server cannot be asked.
    """
    holder: Holder | None = cast("Any", ledger_of(url, Settings())).holder()
    return holder


def live_owner(ledger: str | None) -> Holder | None:
    """The scheduler that lives on a ledger, whether it serves clients or not; None when there is none."""
    url = ledger_url(ledger)
    place = locate(url)
    holder = remote_holder(url) if place.remote else holder_of(place.lock) if place.path is not None else None
    return holder if holder is not None and holder.kind == "owner" else None


def refuse_owned(ledger: str | None) -> None:
    """Say before any work is done what opening the ledger would say after it.

    Raises:
        LedgerOwned: a live scheduler has it.
    """
    holder = live_owner(ledger)
    if holder is not None:
        raise LedgerOwned(locate(ledger_url(ledger)).name, holder.described())
