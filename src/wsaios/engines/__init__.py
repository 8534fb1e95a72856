"""Engines run attempts; each is an adapter of the Engine port."""
