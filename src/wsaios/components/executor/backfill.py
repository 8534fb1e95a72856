"""When a task that lacks some of a resource is expected to have it, and what others may take until then."""

from collections.abc import Callable
from typing import Final

from wsaios.components.executor.gate import Gate
from wsaios.components.executor.seat import Seat
from wsaios.kernel.task import Effective

_NEVER_US: Final = 1 << 62
RunUs = Callable[[str], int]
"""How long calls of a handler have taken lately; 0: nobody knows."""


def shadow(gate: Gate, theirs: Effective, run_us: RunUs) -> tuple[int | None, dict[str, int]]:
    """When enough of what runs will have ended for such a task, and what is left beside it then, by unit.

    By how long the handlers of what runs have taken lately; None: of some nobody knows.
    """
    ends = sorted((_ends_us(seat, run_us), number, seat) for number, seat in enumerate(gate.seats))
    free = {unit: most - gate.used.get(unit, 0) for unit, most in gate.capacities.items()}
    needs = {unit: amount for unit, amount in theirs.resources if unit in free}
    at_us = 0
    for end_us, _, seat in ends:
        if all(free[unit] >= amount for unit, amount in needs.items()):
            break
        at_us = end_us
        for unit, amount in seat.options.resources:
            if unit in free:
                free[unit] += amount
    left = {unit: amount - needs.get(unit, 0) for unit, amount in free.items()}
    return (None if at_us >= _NEVER_US else at_us), left


def _ends_us(seat: Seat, run_us: RunUs) -> int:
    took_us = run_us(seat.shard.handler)
    return seat.since_us + took_us if took_us else _NEVER_US
