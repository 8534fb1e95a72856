"""The Ledger port on SQLite."""

from wsaios.ledger.sqlite.ledger import SqliteLedger

__all__ = ["SqliteLedger"]
