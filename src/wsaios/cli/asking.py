"""A client for one command, and its errors told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsaios.cli.errors import told

if TYPE_CHECKING:
    from wsaios.sdk.client import Client


@contextmanager
def asking(ledger: str | None, *, as_json: bool) -> "Iterator[Client]":
    """The ledger's live scheduler, or the ledger itself while there is none."""
    with told(as_json=as_json):
        from wsaios.sdk.client import Client

        with Client(ledger) as client:
            yield client
