"""Goals: the other components of a process, as they are loaded, asked and written down, and the law of their plans."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.simulation.red import Check, require
from tests.simulation.world import Tag
from wsaios.components.goals import GoalQueue
from wsaios.components.optimizer import ParamOptimizer
from wsaios.components.relations import RelationStore
from wsaios.components.rules import RuleEngine
from wsaios.components.state import StateStore
from wsaios.kernel.faculties import Changes, Hub, load
from wsaios.kernel.ledger import Opening
from wsaios.kernel.task import Flag
from wsaios.kernel.trigger import Languages
from wsaios.simulation.ledger_store import Tables

CADENCE_US = 400_000
_GOALS = ("first", "second", "third")
_STRATEGIES = ({"actions": ["echo", "slow", "once"]}, {"actions": ["echo"]}, {"actions": ["late", "vector"]})


class Faculties:
    """The five components of one process."""

    def __init__(self, changes: Changes) -> None:
        self.goals = GoalQueue(sink=changes)
        self.state = StateStore(sink=changes)
        self.relations = RelationStore(sink=changes)
        self.rules = RuleEngine()
        self.optimizer = ParamOptimizer(sink=changes)


class Purpose:
    """What a process wants: goals that it adds before it starts, and once more in every process after it."""

    def __init__(self, tables: Tables, languages: Languages | None = None) -> None:
        self._tables = tables
        self._languages = languages
        self._changes = Changes(lambda: None)
        self._begun: dict[str, int] = {}
        self._actions: dict[int, bool] = {}
        self.faculties = Faculties(self._changes)
        self.met: Counter[str] = Counter()

    def hub(self, opening: Opening, *, died: bool) -> Hub:
        """As `bootstrap` does it: a new process loads its components, a rebuilt core says again what may be lost."""
        if died:
            self._changes = Changes(lambda: None)
            self.faculties = Faculties(self._changes)
            for priority, goal in enumerate(_GOALS):
                self.faculties.goals.add(goal, priority, cadence_s=CADENCE_US / 1e6)
            self.faculties.optimizer.init(_STRATEGIES)
            self._changes.clear()
            load(self.faculties, _by_component(opening.facts))
            self._begun.clear()
        else:
            self._changes.again()
            self._begun.clear()
        return Hub(self.faculties, self._changes, self._languages)

    def finish(self) -> None:
        """Nothing more is wanted."""
        for goal in list(self.faculties.goals.open()):
            self.faculties.goals.finish(goal.id)

    def check(self) -> None:
        """Each open plan waits for a task that lives; each goal has one plan at most, at its cadence."""
        tables = self._tables
        plans: dict[str, Any] = {
            goal: msgspec.json.decode(text)
            for (component, goal), (text, _) in tables.facts.items()
            if component == "plan"
        }
        waited = {plan["task"] for plan in plans.values()}
        require(len(waited) == len(plans), Check.GOALS, "two plans wait for one task: {}", plans)
        lost = waited - tables.live.keys()
        require(not lost, Check.GOALS, "plans {} wait for {}, which do not live", plans, lost)
        acts = {
            number for number, task in tables.live.items() if self._acts(number) and not task.body.flags & Flag.REPLAYED
        }
        require(acts == waited, Check.GOALS, "{} act, and plans wait for {}", acts, waited)
        for goal, plan in plans.items():
            before = self._begun.get(goal)
            if before is not None and before != plan["begun_us"]:
                early = plan["begun_us"] < before + CADENCE_US
                require(not early, Check.GOALS, "{} began at {} and again at {}", goal, before, plan["begun_us"])
            self.met["a plan begun"] += before != plan["begun_us"]
            self.met["a plan carried on"] += plan["at"] > 0
            self._begun[goal] = plan["begun_us"]

    def check_stored(self) -> None:
        """What the components know is what the next process will load."""
        facts = [(*at, msgspec.json.decode(text)) for at, (text, _) in self._tables.facts.items()]
        loaded = Faculties(Changes(lambda: None))
        load(loaded, _by_component(facts))
        now, then = self.faculties, loaded
        require(list(now.goals.open()) == list(then.goals.open()), Check.GOALS, "goals are not as they are stored")
        require(now.state.snapshot() == then.state.snapshot(), Check.GOALS, "state is not as it is stored")

    def _acts(self, number: int) -> bool:
        known = self._actions.get(number)
        if known is None:
            known = msgspec.json.decode(self._tables.payloads[number].data, type=Tag).order < 0
            self._actions[number] = known
        return known


def _by_component(facts: Iterable[tuple[str, str, object]]) -> dict[str, list[tuple[str, object]]]:
    found: dict[str, list[tuple[str, object]]] = {}
    for component, key, value in facts:
        found.setdefault(component, []).append((key, value))
    return found
