"""Expressions in CEL, the Common Expression Language, at a bounded cost."""

from wsaios.expressions.cel import Cel

__all__ = ["Cel"]
