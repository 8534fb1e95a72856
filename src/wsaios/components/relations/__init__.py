"""Entities and the links between them."""

from wsaios.components.relations.store import EntityView, LinkView, Query, RelationStore

__all__ = ["EntityView", "LinkView", "Query", "RelationStore"]
