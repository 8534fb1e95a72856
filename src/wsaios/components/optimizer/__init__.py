"""Strategies, chosen by what they achieved."""

from wsaios.components.optimizer.strategies import ParamOptimizer, Strategy, Template

__all__ = ["ParamOptimizer", "Strategy", "Template"]
