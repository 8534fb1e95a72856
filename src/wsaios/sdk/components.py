"""The components that programs may use alone."""

from wsaios.components.goals import GoalQueue
from wsaios.components.optimizer import ParamOptimizer
from wsaios.components.relations import RelationStore
from wsaios.components.rules import RuleEngine
from wsaios.components.state import StateStore

__all__ = ["GoalQueue", "ParamOptimizer", "RelationStore", "RuleEngine", "StateStore"]
