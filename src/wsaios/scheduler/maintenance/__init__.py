"""Housekeepers, one a file."""
