"""Tasks for tests of what holds them in order."""

from wsaios.kernel.states import State
from wsaios.kernel.task import Body, Options, Shard, Task

SHARD = Shard(1, "", "default", "echo", 0, "")


def ready(
    number: int, key: int, *, options: Options | None = None, cap: int = 0, expires_us: int | None = None
) -> Task:
    """A task that became ready at its own number as a time."""
    body = Body(0, options=options, cap=cap, history=[(State.READY, number, 1, None)])
    return Task(number, SHARD.id, State.READY, 1, key, None, expires_us, body)


def place(task: Task) -> tuple[int, int]:
    """Where it stands."""
    return task.key, task.id
