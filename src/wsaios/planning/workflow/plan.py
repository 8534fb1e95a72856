"""A checked definition, ordered and ready to run: what a ledger keeps of it is its content alone."""

from collections.abc import Sequence
from typing import Final

import msgspec

from wsaios.planning.workflow.definition import Definition, Step, canonical, version_of
from wsaios.planning.workflow.order import by_critical_path, children_of, ordered
from wsaios.planning.workflow.pause import undisturbed

_DECODER: Final = msgspec.json.Decoder(Definition)


class Plan(msgspec.Struct, frozen=True):
    """A workflow of one version; steps are known by their number, from 0 in the order of the definition.

    `version` is the SHA-256 of `content`, the canonical JSON. `order` has every step after its `parents`; `depth` is
    the number of steps on the longest way to a step.
    """

    version: str
    content: bytes
    definition: Definition
    index: dict[str, int]
    parents: list[list[int]]
    children: list[list[int]]
    order: list[int]
    depth: list[int]

    @property
    def name(self) -> str:
        """The name of the workflow."""
        return self.definition.name

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, by number."""
        return self.definition.steps

    @property
    def ends(self) -> list[int]:
        """The steps that no other depends on; without an `output`, a run gives back their results."""
        return [number for number, each in enumerate(self.children) if not each]

    def critical_first(self, seconds: Sequence[float] | None = None) -> list[int]:
        """Another valid order: of several steps first the one with the longest way to the end.

        `seconds` are how long steps take, by number; without it, each counts the same.
        """
        ranks = by_critical_path(self.parents, self.children, seconds)
        return ordered(self.parents, self.children, ranks).steps


def plan_of(content: bytes) -> Plan:
    """The plan of a canonical text that was checked before, such as one from a ledger; needs no extra package."""
    with undisturbed(len(content)):
        return _plan_of(content)


def _plan_of(content: bytes) -> Plan:
    definition = _DECODER.decode(content)
    index = {step.id: number for number, step in enumerate(definition.steps)}
    parents = [[index[name] for name in step.depends_on] for step in definition.steps]
    children = children_of(parents)
    order = ordered(parents, children)
    return Plan(version_of(content), content, definition, index, parents, children, order.steps, order.depth)


def planned(definition: Definition) -> Plan:
    """The plan of a definition that was checked before."""
    return plan_of(canonical(definition))
