"""Values and rules that every other room shares: no I/O, no clock, no globals."""
