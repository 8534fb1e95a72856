"""Which of the given strategies to follow next."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict

import msgspec

from wsaios.kernel.change import Change, Sink
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import JsonValue, checked, copied

Template = dict[str, JsonValue]

DEFAULT_SIZE: Final = 10
SUCCESS_SHARE: Final = 0.9
_TEMPLATES: Final = "templates"
_MEASURED: Final = "measured:"


class Strategy(TypedDict):
    """A template to follow, and its fitness (0…1)."""

    params: Template
    fitness: float


class Measured(msgspec.Struct):
    """What came of a list of actions; `ok_s` is the time of all successes together, `told` orders by the last
    outcome.
    """

    actions: list[Any]
    ok: int = 0
    fail: int = 0
    ok_s: float = 0.0
    told: int = 0

    @property
    def fitness(self) -> float:
        """0.9 × share of successes + 0.1 ÷ (1 + mean seconds of a success), so success comes first and speed decides
        ties.

        Always 0 without a success; one success in 1 s: 0.95.
        """
        if not self.ok:
            return 0.0
        return SUCCESS_SHARE * self.ok / (self.ok + self.fail) + (1 - SUCCESS_SHARE) / (1 + self.ok_s / self.ok)


class ParamOptimizer:
    """Tries each template once, then follows the one that did best; fitness is only ever what was told.

    Outcomes belong to the list of actions. All templates are kept; outcomes of at most `size` strategies that are no
    longer templates are remembered, so that one that comes back need not be tried anew. Changes go to `sink`.
    """

    component: Final = "optimizer"

    def __init__(self, size: int = DEFAULT_SIZE, *, sink: Sink | None = None) -> None:
        self._size = _size(size)
        self._sink = sink
        self._loaded = False
        self._templates: list[tuple[str, Template]] | None = None
        self._measured: dict[str, Measured] = {}

    def init(self, templates: Sequence[Mapping[str, object]]) -> None:
        """Replace the strategies; outcomes of those that stay are kept.

        Raises:
            InvalidInput: names the template that is no dict with a list of ``actions`` (names, or dicts), or is not
            JSON.
        """
        self._take([_template(template, f"template {number}") for number, template in enumerate(templates, start=1)])
        self._forget()

    def optimize(
        self,
        goal: Mapping[str, object],
        state: Mapping[str, object],
        rules_result: Mapping[str, object],
        *,
        feasible: Callable[[Template], bool] | None = None,
    ) -> Strategy | None:
        """The first feasible template without an outcome (fitness 0), else the fittest one, the earlier of equals.

        None when no template is feasible; `feasible` None takes all. Asking changes nothing.
        """
        del goal, state, rules_result  # One measure serves every goal for now; the verb has them for a finer one.
        best: tuple[float, Template] | None = None
        for key, template in self._templates or ():
            if feasible is not None and not feasible(_copy(template)):
                continue
            measured = self._measured.get(key)
            if measured is None:
                return {"params": _copy(template), "fitness": 0.0}
            if best is None or measured.fitness > best[0]:
                best = measured.fitness, template
        return None if best is None else {"params": _copy(best[1]), "fitness": best[0]}

    def tell(self, actions: Sequence[object], *, ok: bool, duration_s: float) -> None:
        """Say how following these actions ended and how long it took.

        Raises:
            InvalidInput: a duration that is not a number of seconds from 0.
        """
        if not 0 <= duration_s < math.inf:
            raise InvalidInput("duration_s", f"{duration_s!r} is not a number of seconds from 0")
        names = _actions(actions, "actions")
        self._add(Measured(names, int(ok), int(not ok), duration_s if ok else 0.0))
        self._forget()

    def load(self, facts: Iterable[tuple[str, object]]) -> None:
        """Take over stored templates and outcomes; later calls replace everything by `facts`.

        The first call puts them under what was said since construction (templates given stay, outcomes add up) and
        emits all that was said, as it is now: changes emitted before are thereby superseded.
        """
        said, outcomes = (None, []) if self._loaded else (self._templates, list(self._measured.values()))
        self._loaded = True
        self._restore(facts)
        if said is not None:
            self._take([template for _, template in said])
        for outcome in outcomes:
            self._add(outcome)
        self._forget()

    def _restore(self, facts: Iterable[tuple[str, object]]) -> None:
        self._templates = None
        measured: list[tuple[str, Measured]] = []
        for key, value in facts:
            if key == _TEMPLATES:
                self._templates = [_keyed(template) for template in msgspec.convert(value, list[dict[str, Any]])]
            else:
                measured.append((key.removeprefix(_MEASURED), msgspec.convert(value, Measured)))
        self._measured = dict(sorted(measured, key=lambda row: row[1].told))

    def _take(self, templates: list[Template]) -> None:
        self._templates = [_keyed(template) for template in templates]
        self._emit(_TEMPLATES, list(templates))

    def _add(self, outcome: Measured) -> None:
        key = _key(outcome.actions)
        known = self._measured.pop(key, None) or Measured(outcome.actions)
        latest = next(reversed(self._measured.values()), known)
        self._measured[key] = Measured(
            outcome.actions,
            known.ok + outcome.ok,
            known.fail + outcome.fail,
            known.ok_s + outcome.ok_s,
            max(latest.told, known.told) + 1,
        )
        self._emit(_MEASURED + key, msgspec.to_builtins(self._measured[key]))

    def _forget(self) -> None:
        kept = {key for key, _ in self._templates or ()}
        left = [key for key in self._measured if key not in kept]
        for key in left[: -self._size]:
            del self._measured[key]
            self._emit(_MEASURED + key, None)

    def _emit(self, key: str, value: object | None) -> None:
        if self._sink is not None:
            self._sink(Change(self.component, key, value))


def _size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidInput("optimizer size", f"{size!r} is not an int of at least 1")
    return size


def _keyed(template: Template) -> tuple[str, Template]:
    return _key(template["actions"]), template


def _key(actions: JsonValue) -> str:
    # Sorted, so that an action written as a dict is known whatever the order of its keys.
    return hashlib.blake2b(msgspec.json.encode(actions, order="sorted"), digest_size=10).hexdigest()


def _copy(template: Template) -> Template:
    return {name: copied(value) for name, value in template.items()}


def _template(template: object, where: str) -> Template:
    plain = checked(template, where)
    if not isinstance(plain, dict) or "actions" not in plain:
        raise InvalidInput(where, f"{template!r} is no dict with a list of actions, such as {{'actions': ['fetch']}}")
    _actions(plain["actions"], f"{where}['actions']")
    return plain


def _actions(actions: object, where: str) -> list[JsonValue]:
    plain = checked(actions, where)
    if not isinstance(plain, list) or not plain:
        raise InvalidInput(where, f"{actions!r} is not a list of at least one action")
    for action in plain:
        if not action or not isinstance(action, (str, dict)):
            raise InvalidInput(where, f"{action!r} is neither the name of an action nor a dict that describes one")
    return plain
