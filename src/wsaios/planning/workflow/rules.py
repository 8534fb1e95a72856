"""What a definition of the right shape must still obey: its names, its dependencies, its expressions."""

from collections.abc import Collection, Container
from typing import Any, Final, NamedTuple

from wsaios.kernel.errors import InvalidExpression
from wsaios.kernel.expression import Expressions, Reference
from wsaios.planning.workflow.definition import Definition, Http, Step
from wsaios.planning.workflow.finding import Finding, Findings, Path
from wsaios.planning.workflow.inputs import check_declarations
from wsaios.planning.workflow.order import Order, children_of, cycles, ordered, unreached
from wsaios.planning.workflow.template import Hole, holes

MAX_DEPTH: Final = 100
STEP_FIELDS: Final = ("result", "state")
RUN_FIELDS: Final = ("id", "workflow", "version", "tenant")
EVENT_FIELDS: Final = ("name", "data")
BASE: Final = frozenset({"input", "steps", "run"})
_NAMES: Final = ("handler", "model", "lane", "concurrency_key")
# With such a finding nobody knows what a step depends on.
_UNSURE: Final = frozenset(
    {"unknown-dependency", "duplicate-id", "duplicate-key", "unknown-field", "missing-field", "type"}
)
_BARE: Final = frozenset({"when", "foreach", "filter"})
_WHERE: Final = {
    "item": "'item' is there only in a step with foreach",
    "index": "'index' is there only in a step with foreach",
    "event": "'event' is there only in a step with wait_for",
}
_CYCLES_SHOWN: Final = 20
_SHOWN: Final = 20
_FEW: Final = 8


class Graph(NamedTuple):
    """How the steps depend on each other, by number."""

    numbers: dict[str, int]
    parents: list[list[int]]
    children: list[list[int]]
    order: Order


def check_rules(
    definition: Definition, findings: Findings, language: Expressions, handlers: Collection[str] | None = None
) -> Graph:
    """The graph of the steps; all that is wrong is added to `findings`, which may know of faults already.

    `handlers` are those that there are, beside any MODULE:FUNCTION; None: whatever is named will be there.
    """
    check_declarations(definition.input, findings)
    index = _index(definition, findings)
    parents = _parents(definition, index, findings)
    children = children_of(parents)
    order = ordered(parents, children)
    if len(order.steps) < len(parents):
        _tell_cycles(definition, cycles(parents, children), findings)
    reading = _Reading(definition, index, findings, language)
    for number, step in enumerate(definition.steps):
        _check_names(number, step, handlers, findings)
        reading.step(number, step, parents[number])
    reading.output()
    if not any(finding.kind in _UNSURE for finding in findings):
        for number, target in sorted(unreached(parents, order.steps, reading.asked)):
            reading.tell_missing_way(number, target)
    return Graph(index, parents, children, order)


def _index(definition: Definition, findings: Findings) -> dict[str, int]:
    index: dict[str, int] = {}
    for number, step in enumerate(definition.steps):
        first = index.setdefault(step.id, number)
        if first != number:
            message = f"the id {step.id!r} is that of step number {first + 1} already"
            findings.append(Finding(("steps", number, "id"), "duplicate-id", message, step.id))
    return index


def _parents(definition: Definition, index: dict[str, int], findings: Findings) -> list[list[int]]:
    parents: list[list[int]] = []
    for number, step in enumerate(definition.steps):
        mine: list[int] = []
        for place, name in enumerate(step.depends_on):
            parent = index.get(name)
            if parent is not None:
                mine.append(parent)
                continue
            message = f"step {step.id!r} depends on {name!r}, and no step has this id"
            path: Path = ("steps", number, "depends_on", place)
            findings.append(Finding(path, "unknown-dependency", message, name, findings.meant(name, index)))
        parents.append(mine)
    return parents


def _tell_cycles(definition: Definition, found: list[list[int]], findings: Findings) -> None:
    for cycle in found[:_CYCLES_SHOWN]:
        names = [definition.steps[number].id for number in reversed(cycle)]
        if len(names) > _SHOWN:
            names[_SHOWN // 2 : -_SHOWN // 2] = [f"… {len(names) - _SHOWN:,} more …"]
        message = f"steps depend on each other: {' → '.join(names)}"
        findings.append(Finding(("steps", cycle[0], "depends_on"), "cycle", message, names[0]))
    if len(found) > _CYCLES_SHOWN:
        message = f"there are {len(found) - _CYCLES_SHOWN:,} more groups of steps that depend on each other"
        findings.append(Finding(("steps",), "cycle", message))


def _check_names(number: int, step: Step, handlers: Collection[str] | None, findings: Findings) -> None:
    handler = step.handler
    if handlers is not None and handler is not None and handler not in handlers and ":" not in handler:
        message = f"step {step.id!r} calls the handler {handler!r}, which is not registered"
        path: Path = ("steps", number, "handler")
        findings.append(Finding(path, "unknown-handler", message, handler, findings.meant(handler, handlers)))
    if step.foreach and step.wait_for and not (step.handler or step.http or step.model):
        message = f"step {step.id!r} only waits for an event, so there is nothing to do for each element"
        findings.append(Finding(("steps", number, "foreach"), "type", message, "foreach", at_key=True))
    if (handler is None or handler.isprintable()) and not (step.model or step.lane or step.concurrency_key):
        return
    for name in _NAMES:
        value = getattr(step, name)
        if value and not value.isprintable():
            message = f"{name} of step {step.id!r} must have printable characters only"
            findings.append(Finding(("steps", number, name), "type", message, name))


class _Reading:
    """Looks at every expression; `asked` are the steps that each step reads and that are not its parents."""

    def __init__(
        self, definition: Definition, index: dict[str, int], findings: Findings, language: Expressions
    ) -> None:
        self.asked: dict[int, list[int]] = {}
        self._places: dict[tuple[int, int], tuple[Path, Hole, Reference]] = {}
        self._definition, self._index = definition, index
        self._findings, self._language = findings, language

    def step(self, number: int, step: Step, parents: list[int]) -> None:
        """All expressions of one step."""
        here: Path = ("steps", number)
        known = parents if len(parents) <= _FEW else frozenset(parents)
        if step.when:
            self._one((*here, "when"), Hole(step.when, 0), BASE, number, known)
        if step.foreach:
            self._one((*here, "foreach"), Hole(step.foreach, 0), BASE, number, known)
        names = BASE
        if step.wait_for is not None:
            names |= {"event"}
            if step.wait_for.filter:
                self._one((*here, "wait_for", "filter"), Hole(step.wait_for.filter, 0), names, number, known)
        if step.foreach:
            names |= {"item", "index"}
        if step.args:
            self._value((*here, "args"), step.args, names, number, known)
        if step.http is not None:
            self._value((*here, "http"), _call(step.http), names, number, known)

    def output(self) -> None:
        """What the run gives back, which may read every step."""
        if self._definition.output is not None:
            self._value(("output",), self._definition.output, BASE, -1, ())

    def _value(self, path: Path, value: Any, names: frozenset[str], number: int, known: Container[int]) -> None:
        for where, text in self._texts(path, value):
            try:
                parts = holes(text)
            except InvalidExpression as error:
                self._wrong(where, Hole(text, 0), error)
                continue
            for part in parts:
                if not isinstance(part, str):
                    self._one(where, part, names, number, known)

    def _texts(self, path: Path, value: Any) -> list[tuple[Path, str]]:
        """All texts of a value that have something to fill in, and where they are."""
        if isinstance(value, str):
            return [(path, value)] if "${" in value else []
        texts: list[tuple[Path, str]] = []
        waiting = [(path, value)] if isinstance(value, dict | list) else []
        while waiting:
            where, part = waiting.pop()
            if len(where) - len(path) >= MAX_DEPTH:
                message = f"nested more than {MAX_DEPTH} levels deep"
                self._findings.append(Finding(path, "limit", message, str(path[-1])))
                break
            for key, item in part.items() if isinstance(part, dict) else enumerate(part):
                if isinstance(item, str):
                    if "${" in item:
                        texts.append(((*where, key), item))
                elif item and isinstance(item, dict | list):
                    waiting.append(((*where, key), item))
        return texts

    def _one(self, path: Path, hole: Hole, names: frozenset[str], number: int, known: Container[int]) -> None:
        try:
            expression = self._language.compile(hole.source)
        except InvalidExpression as error:
            self._wrong(path, hole, error)
            return
        for reference in expression.references:
            self._reference(path, hole, reference, names, number, known)

    def _wrong(self, path: Path, hole: Hole, error: InvalidExpression) -> None:
        hint = "; write it without ${ }" if hole.source.startswith("${") and path[-1] in _BARE else ""
        message = f"expression {_short(hole.source)}: {error.reason}{hint}"
        offset = error.position or 0
        self._findings.append(Finding(path, "expression", message, error.name, "", part=hole.source, offset=offset))

    def _reference(
        self, path: Path, hole: Hole, found: Reference, names: frozenset[str], number: int, known: Container[int]
    ) -> None:
        root, rest = found.path[0], found.path[1:]
        if root not in names:
            reason = _WHERE.get(root, f"there is no {root!r} here; there are {', '.join(sorted(names))}")
            self._tell(path, hole, found, reason, root, self._findings.meant(root, names))
        elif root == "input" and rest and rest[0] not in self._definition.input:
            declared = self._definition.input
            self._tell(path, hole, found, f"no input {rest[0]!r} is declared", rest[0], self._meant(rest[0], declared))
        elif root == "run" and rest and rest[0] not in RUN_FIELDS:
            reason = f"a run has no {rest[0]!r}; it has {', '.join(RUN_FIELDS)}"
            self._tell(path, hole, found, reason, rest[0], self._meant(rest[0], RUN_FIELDS))
        elif root == "event" and (not rest or rest[0] not in EVENT_FIELDS):
            reason = f"an event has {' and '.join(EVENT_FIELDS)}; what it carries is in event.data"
            name, meant = (rest[0], f"data.{rest[0]}") if rest else (root, "event.data")
            self._tell(path, hole, found, reason, name, meant)
        elif root == "steps":
            self._step(path, hole, found, number, known)

    def _step(self, path: Path, hole: Hole, found: Reference, number: int, known: Container[int]) -> None:
        rest = found.path[1:]
        if not rest:
            self._tell(path, hole, found, 'name the step: steps.ID.result or steps["ID"].result', "steps")
            return
        target = self._index.get(rest[0])
        if target is None:
            dashed = next((each for each in self._index if each.startswith(f"{rest[0]}-")), "")
            hint = f'; an id with - in it is written steps["{dashed}"]' if dashed else ""
            reason = f"no step has the id {rest[0]!r}{hint}"
            self._tell(path, hole, found, reason, rest[0], "" if dashed else self._meant(rest[0], self._index))
            return
        if len(rest) > 1 and rest[1] not in STEP_FIELDS:
            reason = f"a step has no {rest[1]!r}; it has {' and '.join(STEP_FIELDS)}"
            self._tell(path, hole, found, reason, rest[1], self._meant(rest[1], STEP_FIELDS))
        if number >= 0 and target not in known and (number, target) not in self._places:
            self._places[number, target] = (path, hole, found)
            self.asked.setdefault(number, []).append(target)

    def _meant(self, name: str, known: Collection[str]) -> str:
        return self._findings.meant(name, known)

    def _tell(self, path: Path, hole: Hole, found: Reference, reason: str, name: str, suggestion: str = "") -> None:
        message = f"expression {_short(hole.source)}: {reason}"
        finding = Finding(path, "reference", message, name, suggestion, part=hole.source, offset=found.position)
        self._findings.append(finding)

    def tell_missing_way(self, number: int, target: int) -> None:
        """Say that a step reads another one that need not have ended."""
        path, hole, found = self._places[number, target]
        step, other = self._definition.steps[number].id, self._definition.steps[target].id
        reason = (
            "a step cannot read itself"
            if number == target
            else f"step {step!r} does not depend on {other!r}, neither directly nor by others; add it to depends_on"
        )
        self._tell(path, hole, found, reason, other)


def _call(http: Http) -> dict[str, Any]:
    return {"url": http.url, "json": http.json, "params": http.params}


def _short(source: str) -> str:
    text = repr(source)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LONGEST: Final = 80
