"""The executor on its own: a scheduler in memory, without a file."""

from wsaios.planning.calls import whole
from wsaios.sdk.actions import Actions
from wsaios.sdk.scheduler import Scheduler

IN_MEMORY = "sqlite:///:memory:"


class TaskExecutor(Actions):
    """Runs actions in this process and keeps nothing afterwards; `workers` threads for plain functions."""

    def __init__(self, workers: int = 3) -> None:
        """Raises InvalidInput when `workers` is not a number from 1."""
        super().__init__(Scheduler(IN_MEMORY, lanes={"thread": whole("workers", workers, 1, 1000)}))
