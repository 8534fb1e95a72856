"""Calls that await other tasks, and give their slots away meanwhile.

Otherwise a lane full of parents would wait for ever for children that find no slot.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final, Protocol

from wsaios.engines.local.run import Run


class Giver(Protocol):
    """A lane whose calls may stand aside."""

    def stand(self, run: Run, *, aside: bool) -> None:
        """A call begins or ends one await for other tasks."""


CALL: Final[ContextVar[tuple[Giver, Run] | None]] = ContextVar("wsaios_call", default=None)
"""The call that this code is part of, in lanes whose calls may stand aside."""
_NOTHING: Final = nullcontext()


def standing_aside() -> AbstractContextManager[None]:
    """Around an await for other tasks; outside of such a call it does nothing."""
    call = CALL.get()
    return _NOTHING if call is None else _aside(*call)


@contextmanager
def _aside(lane: Giver, run: Run) -> Iterator[None]:
    lane.stand(run, aside=True)
    try:
        yield
    finally:
        lane.stand(run, aside=False)
