"""The Ledger port, on SQLite and on PostgreSQL."""
