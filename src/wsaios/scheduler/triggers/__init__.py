"""Triggers: what starts work by itself."""
