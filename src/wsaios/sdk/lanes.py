"""Lanes as a program names them."""

from collections.abc import Mapping
from typing import Any

from wsaios.bootstrap import MAX_SLOTS
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import LaneSpec
from wsaios.planning.calls import name as text
from wsaios.planning.calls import whole


def lanes_of(given: Mapping[str, int | LaneSpec]) -> tuple[LaneSpec, ...]:
    """Their specifications.

    Raises:
        InvalidInput: names the lane and what is wrong with it.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput("lanes", f"must be a mapping of names to slots, not {given!r:.80}")
    found = []
    for name, lane in given.items():
        if isinstance(lane, LaneSpec):
            if lane.name != name:
                raise InvalidInput(f"lanes[{name!r}]", f"is called {lane.name!r} inside; use one name")
            found.append(lane)
        else:
            kind: Any = name if name in {"thread", "process"} else "async"
            found.append(LaneSpec(text("lanes", name), whole(f"lanes[{name!r}]", lane, 1, MAX_SLOTS), kind))
    return tuple(found)
