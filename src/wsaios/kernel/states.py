"""The states of a task and the one table of changes between them."""

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """Where a task stands; the numbers are what the ledger stores and never change their meaning."""

    NEW = 0
    PENDING = 1
    READY = 2
    RUNNING = 3
    RETRYING = 4
    PAUSED = 5
    SUCCEEDED = 6
    FAILED = 7
    CANCELLED = 8
    EXPIRED = 9
    LOST = 10

    @property
    def word(self) -> str:
        """The state as users write it, such as ``"succeeded"``."""
        return _WORDS[self]


_WORDS: Final = {state: state.name.lower() for state in State}

ENDED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.LOST})
WAITING: Final = frozenset({State.PENDING, State.READY, State.RETRYING, State.PAUSED})

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.NEW: frozenset({State.PENDING, State.READY}),
    State.PENDING: frozenset({State.READY, State.PAUSED, State.FAILED, State.CANCELLED, State.EXPIRED}),
    State.READY: frozenset({State.RUNNING, State.PAUSED, State.CANCELLED, State.EXPIRED}),
    State.RUNNING: frozenset(
        {
            State.SUCCEEDED,
            State.FAILED,
            State.CANCELLED,
            State.LOST,
            State.RETRYING,
            State.READY,
            State.PAUSED,
        }
    ),
    State.RETRYING: frozenset({State.READY, State.PAUSED, State.CANCELLED}),
    State.PAUSED: frozenset({State.PENDING, State.READY, State.RETRYING, State.CANCELLED, State.EXPIRED}),
    State.FAILED: frozenset({State.READY}),
    State.LOST: frozenset({State.READY}),
    State.SUCCEEDED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}

ALLOWED: Final = frozenset((source, target) for source, targets in TRANSITIONS.items() for target in targets)


def by_word(word: str) -> State:
    """The state that users call `word`.

    Raises:
        ValueError: no state has that name.
    """
    for state, name in _WORDS.items():
        if name == word:
            return state
    known = ", ".join(_WORDS.values())
    msg = f"no state is called {word!r}; there are {known}"
    raise ValueError(msg)
