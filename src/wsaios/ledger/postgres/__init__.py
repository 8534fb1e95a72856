"""The Ledger port on PostgreSQL."""

from wsaios.ledger.postgres.ledger import PostgresLedger

__all__ = ["PostgresLedger"]
