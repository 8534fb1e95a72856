"""All facts, once."""

from wsaios.components.state.store import StateStore, WatchFailure

__all__ = ["StateStore", "WatchFailure"]
