"""Models that run where the scheduler runs, each behind a batched handler."""
