"""The graph of a workflow as a drawing in Mermaid."""

from collections.abc import Iterator
from typing import Final

from wsaios.planning.workflow.definition import Step
from wsaios.planning.workflow.plan import Plan

MOST_STEPS: Final = 200
_ESCAPED: Final = {ord(char): f"#{ord(char)};" for char in '"#<>&`[]{}()|\\;'}


def mermaid(plan: Plan, most: int = MOST_STEPS) -> Iterator[str]:
    """The lines of a flowchart, with the first `most` steps of the order; what is left out is said in it.

    A step that may be skipped has a dashed frame, one that fans out is drawn as several, one that waits for an event
    as a hexagon.
    """
    shown = plan.order[:most]
    kept = set(shown)
    yield "flowchart TD"
    for number in shown:
        yield f"  s{number}{_box(plan.steps[number])}"
    for number in shown:
        for parent in plan.parents[number]:
            if parent in kept:
                yield f"  s{parent} --> s{number}"
    left = len(plan.order) - len(shown)
    if left:
        yield f'  left["… and {left:,} more step{"" if left == 1 else "s"}"]:::left'
        ends = [number for number in shown if any(child not in kept for child in plan.children[number])]
        yield from (f"  s{number} -.-> left" for number in ends)
        yield "  classDef left stroke-dasharray: 5 5"
    skipped = [f"s{number}" for number in shown if plan.steps[number].when]
    if skipped:
        yield "  classDef when stroke-dasharray: 5 5"
        yield f"  class {','.join(skipped)} when"


def _box(step: Step) -> str:
    work = step.handler or step.model or (f"{step.http.method} {step.http.url}" if step.http else "")
    event = f"waits for {step.wait_for.event}" if step.wait_for is not None else ""
    lines = [step.id, *(each for each in (work, event) if each), *(["for each item"] if step.foreach else [])]
    text = "<br/>".join(line.translate(_ESCAPED) for line in lines)
    if step.foreach:
        return f'[["{text}"]]'
    return f'{{{{"{text}"}}}}' if step.wait_for is not None else f'["{text}"]'
