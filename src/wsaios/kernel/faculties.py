"""The other five components as the hub sees them."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from wsaios.kernel.change import Change
from wsaios.kernel.trigger import Languages


class OpenGoal(Protocol):
    """A goal to pursue."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def desc(self) -> str:
        """What it is about."""

    @property
    def priority(self) -> int:
        """Larger first."""

    @property
    def tenant(self) -> str:
        """Who it belongs to."""

    @property
    def interval_s(self) -> float:
        """Seconds from one plan to the next, at least."""


class Goals(Protocol):
    """What to pursue."""

    def open(self) -> Sequence[OpenGoal]:
        """Every open goal, the first one first."""

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take in what is stored."""


class States(Protocol):
    """All facts, once."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key."""

    def set(self, key: str, value: Any) -> None:
        """Set it."""

    def snapshot(self) -> dict[str, Any]:
        """An independent copy of everything."""

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take in what is stored."""


class Relations(Protocol):
    """Entities and links."""

    def query(self, eid: str | None = None, ltype: str | None = None) -> Any:
        """What is known."""

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take in what is stored."""


class Rules(Protocol):
    """Conditions and what they propose."""

    def run(self, goal: Any, state: Any, relations: Any) -> Any:
        """Matches, proposed actions, score."""


class Optimizer(Protocol):
    """Strategies."""

    def optimize(
        self, goal: Any, state: Any, rules_result: Any, *, feasible: Callable[[Any], bool] | None = None
    ) -> Any:
        """The strategy to follow, or None."""

    def tell(self, actions: Sequence[Any], *, ok: bool, duration_s: float) -> None:
        """What came of one."""

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take in what is stored."""


class Faculties(Protocol):
    """The five together."""

    @property
    def goals(self) -> Goals:
        """What to pursue."""

    @property
    def state(self) -> States:
        """All facts."""

    @property
    def relations(self) -> Relations:
        """Entities and links."""

    @property
    def rules(self) -> Rules:
        """Conditions."""

    @property
    def optimizer(self) -> Optimizer:
        """Strategies."""


class Changes:
    """What components changed and the ledger does not have yet.

    `take` gives it to the commit that is being made; `handed` is called when that commit is on its way, `kept` when it
    is durable, `again` when nobody knows.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called at every change, from whatever thread it comes."""
        self._wake = wake
        self._fresh: list[Change] = []
        self._drafted: list[Change] = []
        self._sent: deque[list[Change]] = deque()
        self.count = 0

    def __call__(self, change: Change) -> None:
        """Take in a change, from whatever thread."""
        self._fresh.append(change)
        self.count += 1
        self._wake()

    def take(self) -> list[tuple[str, str, Any]]:
        """What is new, as facts."""
        if not self._fresh:
            return []
        fresh, self._fresh = self._fresh, []
        self._drafted.extend(fresh)
        return [(change.component, change.key, change.value) for change in fresh]

    def handed(self) -> None:
        """What was taken is on its way; what goes first arrives first."""
        self._sent.append(self._drafted)
        self._drafted = []

    def kept(self) -> None:
        """What was longest on its way is durable."""
        self._sent.popleft()

    def again(self) -> None:
        """What was taken since the last durable commit may be lost: say it once more."""
        self._fresh[:0] = [change for sent in (*self._sent, self._drafted) for change in sent]
        self._sent.clear()
        self._drafted = []

    def clear(self) -> None:
        """Forget what was said before the ledger was loaded; the components say it again."""
        self._fresh.clear()
        self._drafted.clear()
        self._sent.clear()


class Hub(NamedTuple):
    """The five components and what they changed, and what triggers are read with (None: none fires)."""

    faculties: Faculties
    changes: Changes
    languages: Languages | None = None


def load(faculties: Faculties, facts: Mapping[str, list[tuple[str, object]]]) -> None:
    """Give every component what the ledger has of it."""
    faculties.goals.load(facts.get("goals", []))
    faculties.state.load(facts.get("state", []))
    faculties.relations.load(facts.get("relations", []))
    faculties.optimizer.load(facts.get("optimizer", []))
