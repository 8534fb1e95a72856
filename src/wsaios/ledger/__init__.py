"""The Ledger port on SQLite."""
