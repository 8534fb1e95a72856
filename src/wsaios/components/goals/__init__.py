"""What to pursue first."""

from wsaios.components.goals.queue import Goal, GoalQueue, NextGoal

__all__ = ["Goal", "GoalQueue", "NextGoal"]
