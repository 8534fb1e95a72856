"""Definitions of workflows: read, checked and ordered; nothing here reads a file or runs a step."""
