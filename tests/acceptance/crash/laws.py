"""How each call must end: by its handler, its arguments, and what was done to it."""

from collections.abc import Callable
from typing import Any, Final

from tests.acceptance.crash.case import Case
from tests.acceptance.crash.ledger_rows import Ended
from tests.acceptance.crash.work import TURNS
from wsaios.kernel.states import State

_SUCCEEDED: Final = frozenset({State.SUCCEEDED})
_FAILED: Final = frozenset({State.FAILED})
_CANCELLED: Final = frozenset({State.CANCELLED})

VALUES: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "double": lambda given: given["value"] * 2,
    "upper": lambda given: given["text"].upper(),
    "embed": lambda given: given["value"] + 1,
    "tally": lambda given: len(given["text"]),
    "flaky": lambda given: given["fails"],
    "steps": lambda given: given["total"],
    "restless": lambda given: TURNS,
    "follow": lambda given: len(given["after"]),
} | dict.fromkeys(
    ("late", "stubborn", "linger", "doze", "once", "once_thread", "crowded", "mended", "amend"),
    lambda given: given["call"],
)
"""The right value of a result, by handler."""
AT_MOST_ONCE: Final = frozenset({"once", "once_thread"})
_ALLOWED: Final = {
    "amend": _FAILED | _SUCCEEDED,
    "fresh": frozenset({State.EXPIRED}),
    "hopeless": _FAILED,
    **dict.fromkeys(AT_MOST_ONCE, _SUCCEEDED | {State.LOST}),
}
ONCE_IN_A_LIFE: Final = frozenset({"double", "upper", "embed", "steps", "crowded", "follow"})
"""Handlers that always succeed: only the death of their owner is a reason to run them again."""


def states(case: Case, ended: Ended) -> frozenset[State]:
    """In which states a task may have ended."""
    if case.noted("cancelled", ended) and not ended.batch:
        return _CANCELLED
    allowed = _by_handler(case, ended)
    return allowed | _CANCELLED if case.noted("cancelling", ended) else allowed


def attempts(ended: Ended) -> int | None:
    """How many attempts a task has used, where that is certain: the death of its owner uses none."""
    if ended.handler == "flaky":
        return int(ended.arguments["fails"]) + 1
    return {"hopeless": 2, "restless": 1, "double": 1, "upper": 1, "crowded": 1}.get(ended.handler)


def _by_handler(case: Case, ended: Ended) -> frozenset[State]:
    handler = ended.handler
    if handler in {"follow", "orphan"}:
        parents = [case.by_id[parent] for parent in ended.arguments["after"]]
        return _SUCCEEDED if all(parent.state == State.SUCCEEDED for parent in parents) else _CANCELLED
    if handler == "mended":
        if case.noted("replayed", ended):
            return _SUCCEEDED
        return _FAILED | _SUCCEEDED if case.noted("replaying", ended) else _FAILED
    return _FAILED if ended.arguments.get("bad") else _ALLOWED.get(handler, _SUCCEEDED)
