"""Standing objectives in the order in which they are pursued."""

import hashlib
import heapq
import math
from collections.abc import Iterable
from typing import Final, TypedDict

import msgspec

from wsaios.kernel.change import Change, Sink
from wsaios.kernel.errors import InvalidInput, UnknownGoal
from wsaios.kernel.json_value import checked

DEFAULT_PRIORITY: Final = 5
DEFAULT_CADENCE_S: Final = 1.0
_COMPACT_ABOVE: Final = 64


class Goal(msgspec.Struct, frozen=True):
    """One objective; `seq` is its place in the order of arrival, `cadence_s` None means the usual second."""

    id: str
    desc: str
    priority: int
    cadence_s: float | None
    tenant: str
    done: bool
    seq: int

    @property
    def interval_s(self) -> float:
        """Seconds from one pursuit to the next, at least."""
        return DEFAULT_CADENCE_S if self.cadence_s is None else self.cadence_s


class NextGoal(TypedDict):
    """What `get_next` answers."""

    id: str
    desc: str
    priority: int
    done: bool


def goal_id(desc: str, tenant: str = "default") -> str:
    """The id of the goal with this description: the same in every process and before anything is loaded."""
    digest = hashlib.blake2b(msgspec.json.encode([tenant, desc]), digest_size=10)
    return f"goal_{digest.hexdigest()}"


class GoalQueue:
    """Open goals, larger priority first, then in order of arrival.

    Every change goes to `sink` as the whole goal under its id.
    """

    component: Final = "goals"

    def __init__(self, *, sink: Sink | None = None) -> None:
        self._sink = sink
        self._loaded = False
        self._goals: dict[str, Goal] = {}
        self._order: list[tuple[int, int, str]] = []
        self._finish_on_load: dict[str, None] = {}
        self._next_seq = 0

    def add(
        self, desc: str, priority: int = DEFAULT_PRIORITY, *, cadence_s: float | None = None, tenant: str = "default"
    ) -> str:
        """Want `desc` and get its id, which is the same whenever it is added.

        An open goal only gets the new priority; a finished one opens again, behind its equals. `cadence_s` None keeps
        what the goal has, else 1 s.

        Raises:
            InvalidInput: an empty description, a priority that is no int, a cadence that is not above 0.
        """
        _check(desc, priority, cadence_s, tenant)
        known_as = goal_id(desc, tenant)
        self._finish_on_load.pop(known_as, None)
        self._want(Goal(known_as, desc, priority, cadence_s, tenant, done=False, seq=0))
        return known_as

    def get_next(self) -> NextGoal | None:
        """The first open goal, or None when everything is done. Asking changes nothing."""
        while self._order:
            goal = self._goals.get(self._order[0][2])
            if goal is not None and not goal.done and _rank(goal) == self._order[0]:
                return {"id": goal.id, "desc": goal.desc, "priority": goal.priority, "done": goal.done}
            heapq.heappop(self._order)
        return None

    def finish(self, goal: str) -> None:
        """Mark the goal with this id as done; doing it again changes nothing.

        With a sink, and before `load`, an id that is not known yet is finished by `load`.

        Raises:
            UnknownGoal: no goal has this id.
        """
        found = self._goals.get(goal)
        if found is not None:
            if not found.done:
                self._put(msgspec.structs.replace(found, done=True))
        elif self._sink is not None and not self._loaded:
            self._finish_on_load[goal] = None
        else:
            raise UnknownGoal(goal)

    def open(self) -> list[Goal]:
        """All open goals in their order."""
        return sorted((goal for goal in self._goals.values() if not goal.done), key=_rank)

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take over stored goals; later calls replace everything by `facts`.

        The first call puts them under what was said since construction and emits each goal that was said, as it is now:
        changes emitted before are thereby superseded.

        Raises:
            UnknownGoal: `finish` was called before with an id that is not stored either.
        """
        said = [] if self._loaded else sorted(self._goals.values(), key=lambda goal: goal.seq)
        self._goals = {key: msgspec.convert(value, Goal) for key, value in facts}
        self._next_seq = max((goal.seq + 1 for goal in self._goals.values()), default=0)
        self._compact()
        self._loaded = True
        for goal in said:
            self._want(goal, emit=True)
            if goal.done:
                self.finish(goal.id)
        finish, self._finish_on_load = self._finish_on_load, {}
        for known_as in finish:
            self.finish(known_as)

    def _want(self, wanted: Goal, *, emit: bool = False) -> None:
        found = self._goals.get(wanted.id)
        cadence_s = found.cadence_s if found and wanted.cadence_s is None else wanted.cadence_s
        seq = found.seq if found and not found.done else self._next_seq
        self._next_seq = max(self._next_seq, seq + 1)
        goal = msgspec.structs.replace(wanted, cadence_s=cadence_s, done=False, seq=seq)
        if emit or goal != found:
            self._put(goal)

    def _put(self, goal: Goal) -> None:
        self._goals[goal.id] = goal
        if not goal.done:
            heapq.heappush(self._order, _rank(goal))
            if len(self._order) > 2 * len(self._goals) + _COMPACT_ABOVE:
                self._compact()
        if self._sink is not None:
            self._sink(Change(self.component, goal.id, msgspec.to_builtins(goal)))

    def _compact(self) -> None:
        # Old places stay in the heap until they come up; without this, goals that change often would fill it.
        self._order = [_rank(goal) for goal in self._goals.values() if not goal.done]
        heapq.heapify(self._order)


def _rank(goal: Goal) -> tuple[int, int, str]:
    return (-goal.priority, goal.seq, goal.id)


def _check(desc: object, priority: object, cadence_s: object, tenant: object) -> None:
    for name, text in (("desc", desc), ("tenant", tenant)):
        if not isinstance(text, str) or not text.strip():
            raise InvalidInput(f"goal {name}", f"{text!r} is not a text; say in words what is wanted")
        checked(text, f"goal {name}")
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise InvalidInput(
            "goal priority", f"{priority!r} is not an int; larger goes first, {DEFAULT_PRIORITY} is usual"
        )
    if cadence_s is None:
        return
    if isinstance(cadence_s, bool) or not isinstance(cadence_s, (int, float)) or not 0 < cadence_s < math.inf:
        raise InvalidInput("goal cadence_s", f"{cadence_s!r} is not a number of seconds above 0")
