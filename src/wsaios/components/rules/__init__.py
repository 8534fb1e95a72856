"""Conditions that propose or forbid actions."""

from wsaios.components.rules.engine import ActionProposal, Match, RuleEngine, RulesResult

__all__ = ["ActionProposal", "Match", "RuleEngine", "RulesResult"]
