"""Turns what comes in into tasks: rows of a batch, read and checked before anything runs."""
