"""The local door: a live scheduler's service on a Unix socket beside its ledger, and the way in for other processes."""
