"""The test kit: a clock, a ledger and an engine that live in memory and obey a seed."""
