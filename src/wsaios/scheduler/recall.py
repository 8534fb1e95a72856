"""A run as the ledger has it: counters rebuilt from its rows, and what is done again when it is tried once more."""

from collections import deque
from collections.abc import Iterable

import msgspec

from wsaios.kernel.run import WHOLE, StepRow, StepState
from wsaios.kernel.task import Failure
from wsaios.planning.workflow.plan import Plan
from wsaios.scheduler.course import AS_ENDED, ENDED, Course, Fan

_BAD = {StepState.FAILED, StepState.CANCELLED}


def state_of(row: StepRow) -> StepState:
    """Where a row says that its step is, or its item."""
    if row.state == StepState.TASK and row.ended:
        return AS_ENDED[row.ended]
    return StepState(row.state)


def recalled(course: Course, rows: Iterable[StepRow]) -> list[tuple[int, int]]:
    """Bring a new course to where its rows say that it was, in O(V + E); returns who waits for an event, since when."""
    items: list[StepRow] = []
    waiting: list[tuple[int, int]] = []
    for row in rows:
        if row.item != WHOLE:
            items.append(row)
            continue
        number, state = row.number, state_of(row)
        course.states[number] = state
        if row.task:
            course.tasks[number] = row.task
            course.sizes[number] = row.size
            course.open += not row.ended
            if row.data is not None:
                course.events[number] = row.data
        elif state == StepState.LIST:
            said = msgspec.json.decode(row.data or "{}")
            course.fans[number] = Fan(said["items"], said.get("event"))
        elif state == StepState.WAITING:
            waiting.append((number, row.at_us))
        elif state == StepState.TOLD:
            course.events[number] = row.data or "null"
        elif state == StepState.SUCCEEDED:
            course.data[number] = row.data or "null"
            course.sizes[number] = len(row.data or "")
    _recall_items(course, items)
    _count(course)
    return waiting


def _recall_items(course: Course, rows: list[StepRow]) -> None:
    begun: dict[int, set[int]] = {}
    for row in rows:
        fan, state = course.fans.get(row.number), state_of(row)
        if fan is None:
            # The step as a whole has ended otherwise: its items mean nothing any more.
            continue
        begun.setdefault(row.number, set()).add(row.item)
        if state == StepState.TASK:
            fan.tasks[row.item] = fan.live[row.item] = row.task
            course.open += 1
            continue
        fan.done += 1
        fan.bad += state in _BAD
        if row.task:
            fan.tasks[row.item] = -row.task if state in _BAD else row.task
            course.sizes[row.number] = course.sizes.get(row.number, 0) + row.size
    for number, fan in course.fans.items():
        there = begun.get(number, set())
        fan.todo = deque(item for item in range(len(fan.items)) if item not in there)
        if fan.done == len(fan.items):
            course.states[number] = StepState.FAILED if fan.bad else StepState.SUCCEEDED


def _count(course: Course) -> None:
    """What the ends of steps mean to others and to the run."""
    steps, left = course.plan.steps, course.left
    for number, state in enumerate(course.states):
        if state < ENDED:
            continue
        course.ended += 1
        for child in course.plan.children[number]:
            left[child] -= 1
    for number, state in enumerate(course.states):
        fan = course.fans.get(number)
        failed = state in _BAD or (fan is not None and fan.bad)
        if failed and steps[number].on_failure == "fail" and course.failure is None:
            word = StepState(state).word if state in _BAD else StepState.FAILED.word
            # Only where it was left by a version that said so no sooner than at its end.
            course.run.failure = Failure("StepFailed", f"step {steps[number].id!r} {word}")


def ready_again(course: Course) -> list[int]:
    """The steps that can go on at once."""
    found = []
    for number, state in enumerate(course.states):
        fan = course.fans.get(number)
        if (
            (state == StepState.PENDING and not course.left[number])
            or state == StepState.TOLD
            or (state == StepState.LIST and fan is not None and fan.todo)
        ):
            found.append(number)
    return found


def done_again(plan: Plan, rows: list[StepRow], start: int | None) -> tuple[list[StepRow], list[StepRow]]:
    """Rows of a run that is tried once more: those that stay, and those that go.

    What failed or was cancelled is done again, with all that comes after it; `start`: that step too. Of a list, the
    items that succeeded stay. An event that came for a step is not waited for again.
    """
    failed = {row.number for row in rows if state_of(row) in _BAD}
    roots = failed if start is None else failed | {start}
    wholly = _behind(plan, roots)
    if start is not None:
        wholly.add(start)
    kept, gone = [], []
    for row in rows:
        if row.number in wholly or state_of(row) in _BAD:
            if row.number not in wholly and row.item == WHOLE and row.task and row.data is not None:
                kept.append(StepRow(row.run, row.number, WHOLE, 0, StepState.TOLD, row.at_us, row.data))
            gone.append(row)
        else:
            kept.append(row)
    return kept, gone


def _behind(plan: Plan, roots: Iterable[int]) -> set[int]:
    """All steps that depend on one of these, directly or by others."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for child in plan.children[waiting.pop()]:
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found
