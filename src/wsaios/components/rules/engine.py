"""The built-in rules: what follows from links, and what the words of a goal call for."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NotRequired, TypedDict

from wsaios.kernel.errors import InvalidInput

TRANSITIVE_WEIGHT: Final = 0.7
MAX_MATCHES: Final = 10_000
MAX_STEPS: Final = 100_000
_SOURCES: Final = {"goal": "GoalQueue.get_next", "state": "StateStore.snapshot", "relations": "RelationStore.query"}

# Each row: words of which a goal has at least one, and the action that it then proposes.
_PROPOSALS: Final = ((("提升", "增加"), "analyze"), (("降低", "减少"), "audit"))


class Match(TypedDict):
    """Two entities that a chain of two links connects, and how strongly (0…1)."""

    src: str
    dst: str
    weight: float


class ActionProposal(TypedDict):
    """An action worth doing for the goal."""

    name: str
    priority: str


class RulesResult(TypedDict):
    """What `run` answers; `truncated` is there, and True, only when a bound cut the matches off."""

    matches: list[Match]
    actions: list[ActionProposal]
    score: float
    truncated: NotRequired[bool]


class RuleEngine:
    """Keeps nothing: the same question has the same answer."""

    def run(
        self, goal: Mapping[str, object], state: Mapping[str, object], relations: Mapping[str, object]
    ) -> RulesResult:
        """What the rules find for a goal (its ``desc``), a state snapshot and the answer of a relations query (its
        ``links``).

        Links a → b and b → c between three different entities match a → c with weight 0.7, each pair once, in the
        order of the links; at most `MAX_MATCHES` of them, and at most `MAX_STEPS` pairs of links are looked at.
        A goal with 提升 or 增加 proposes ``analyze``, with 降低 or 减少 ``audit``. `score` (0…1) is 0.5 for a
        proposal plus half of the strongest match: 0, 0.35, 0.5 or 0.85.

        Raises:
            InvalidInput: one of the three is no mapping.
        """
        for name, value in (("goal", goal), ("state", state), ("relations", relations)):
            if not isinstance(value, Mapping):
                raise InvalidInput(name, f"must be a mapping, as {_SOURCES[name]} gives it, not {type(value).__name__}")
        del state  # No built-in rule reads it; the verb has it for those that will.
        matches, truncated = _transitive(_targets(relations))
        desc = str(goal.get("desc", ""))
        actions: list[ActionProposal] = [
            {"name": name, "priority": "high"} for words, name in _PROPOSALS if any(word in desc for word in words)
        ]
        strongest = max((match["weight"] for match in matches), default=0.0)
        score = (0.5 if actions else 0.0) + strongest / 2
        result: RulesResult = {"matches": matches, "actions": actions, "score": score}
        if truncated:
            result["truncated"] = True
        return result


def _targets(relations: Mapping[str, object]) -> dict[str, dict[str, None]]:
    """Who is linked to whom, by source, whatever the type of the links."""
    targets: dict[str, dict[str, None]] = {}
    links = relations.get("links")
    for link in links if isinstance(links, list) else ():
        src, dst = link["src"], link["dst"]
        if src != dst:
            targets.setdefault(src, {})[dst] = None
    return targets


def _transitive(targets: dict[str, dict[str, None]]) -> tuple[list[Match], bool]:
    # Many paths may lead to few pairs, so the paths are bounded as well as the pairs.
    paths = ((src, dst) for src, middles in targets.items() for dst in _beyond(middles, targets))
    pairs: dict[tuple[str, str], None] = {}
    for src, dst in islice(paths, MAX_STEPS):
        if src != dst:
            pairs[src, dst] = None
        if len(pairs) > MAX_MATCHES:
            break
    truncated = len(pairs) > MAX_MATCHES or next(paths, None) is not None
    matches: list[Match] = [
        {"src": src, "dst": dst, "weight": TRANSITIVE_WEIGHT} for src, dst in islice(pairs, MAX_MATCHES)
    ]
    return matches, truncated


def _beyond(middles: dict[str, None], targets: dict[str, dict[str, None]]) -> Iterator[str]:
    for middle in middles:
        yield from targets.get(middle, ())
