"""The Ledger port on PostgreSQL; its driver comes with an extra, so only the modules that need it import it."""
