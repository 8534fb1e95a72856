"""The checks on what was executed, by the handlers' own trace."""

from collections.abc import Iterator

from tests.acceptance.crash.case import Case
from wsaios.kernel.states import State


def executed(case: Case) -> Iterator[str]:
    """What succeeded or failed was executed, and what must not start never did."""
    for ended in case.rows.ended:
        starts = case.record.starts(ended.id)
        if ended.state in {State.SUCCEEDED, State.FAILED} and not starts:
            yield f"{ended.call} ({ended.handler}) {ended.state.word} and was never executed"
        elif ended.handler in {"orphan", "fresh"} and starts:
            yield f"{ended.call} ({ended.handler}) was executed"


def fence(case: Case) -> Iterator[str]:
    """A result comes from the execution that began last, the one that held the task, and that came to its end."""
    record = case.record
    for ended in case.rows.ended:
        if ended.state != State.SUCCEEDED:
            continue
        runs = [record.steps[place].run for place in record.starts(ended.id)]
        name, run = f"{ended.call} ({ended.handler})", ended.result["run"]
        if runs and run != runs[-1]:
            yield f"{name} has the result of execution {run}, and {runs[-1]} held it"
        if run not in {record.steps[place].run for place in record.ends(ended.id)}:
            yield f"{name} has the result of execution {run}, which never came to its end"


def phantom(case: Case) -> Iterator[str]:
    """Only what is in the ledger was executed: nothing was dispatched before its commit."""
    for task in case.record.of_task:
        if task not in case.by_id:
            yield f"{task} was executed and is not in the ledger"


def settled(case: Case) -> Iterator[str]:
    """What had ended when an owner began is not run by it."""
    record = case.record
    for ended in case.rows.ended:
        for place in record.starts(ended.id):
            life = record.steps[place].life
            if record.began_us[life] > ended.ended_us:
                yield f"{ended.call} ({ended.handler}) was run in life {life}, which began after its end"


def order(case: Case) -> Iterator[str]:
    """A dependent starts after its parents have ended, and they do not run again."""
    record = case.record
    for ended in case.rows.ended:
        starts = record.starts(ended.id)
        if ended.handler != "follow" or not starts:
            continue
        for parent in ended.arguments["after"]:
            ends = record.ends(parent)
            if not ends or ends[0] > starts[0]:
                yield f"{ended.call} started before its parent {parent} had ended"
            if record.of_task[parent][-1] > starts[0]:
                yield f"{ended.call} started, and then its parent {parent} ran again"


def overlap(case: Case) -> Iterator[str]:
    """Under one concurrency key one task runs at a time."""
    inside: dict[str, tuple[str, int]] = {}
    for step in case.record.steps:
        task = case.by_id.get(step.tasks[0])
        if task is None or not task.key:
            continue
        if step.what == "start":
            other = inside.get(task.key)
            if other is not None and other[1] == step.life:
                yield f"{task.id} started while {other[0]} ran under {task.key!r}"
            inside[task.key] = (task.id, step.life)
        elif inside.get(task.key, ("", 0))[0] == task.id:
            del inside[task.key]


def checkpoints(case: Case) -> Iterator[str]:
    """An attempt finds what an earlier one saved."""
    for ended in case.rows.ended:
        if ended.handler not in {"steps", "restless"}:
            continue
        saved = {0}
        for place in case.record.of_task[ended.id]:
            step = case.record.steps[place]
            if step.what == "step" and step.saved is not None:
                saved.add(step.saved)
            elif step.what == "start" and step.saved not in saved:
                yield f"{ended.call} ({ended.handler}) found {step.saved}, saved were {sorted(saved)}"
