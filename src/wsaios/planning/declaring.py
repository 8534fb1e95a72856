"""Triggers as users write them: a verb for each kind, and options by name."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import checked
from wsaios.kernel.trigger import (
    OnChange,
    OnCron,
    OnEvent,
    OnTime,
    Start,
    StartBatch,
    StartTask,
    StartWorkflow,
    TriggerSpec,
    When,
)
from wsaios.planning.calls import CALLS, TRIES, instant_us
from wsaios.planning.calls import name as text

_CRON: Final = ("catch_up", "catch_up_limit")
_OPTIONS: Final = {"deadline_after_s", "expires_after_s", *CALLS, *TRIES}
Arguments = Mapping[str, object] | None


def cron(expression: str, tz: str, options: dict[str, Any]) -> OnCron:
    """At the times of an expression; takes its own options out of `options`."""
    own = {option: options.pop(option) for option in _CRON if options.get(option) is not None}
    return OnCron(expression, tz, **own)


def time(at: object) -> OnTime:
    """At a time: a datetime with a time zone, or seconds since 1970.

    Raises:
        InvalidInput: it is neither.
    """
    return OnTime(instant_us("at", at))


def event(name: str, where: str) -> OnEvent:
    """At events of a name."""
    return OnEvent(text("event", name), where)


def change(key: str, where: str) -> OnChange:
    """When a value of the state changes."""
    return OnChange(text("key", key), where)


def declared(when: When, handler: str | None, arguments: Arguments, options: Mapping[str, Any]) -> TriggerSpec:
    """The whole trigger. Options: `name`, `overlap`, `rows`, and those of the tasks that it starts.

    Or `workflow` and `input` in place of a handler, and the options of a run.

    Raises:
        InvalidInput: an option that there is not, or not here.
    """
    given = {option: value for option, value in options.items() if value is not None}
    # What comes again and again must not pile up; what was emitted or changed must not get lost.
    overlap = given.pop("overlap", "skip" if isinstance(when, OnCron) else "allow")
    workflow = given.pop("workflow", None)
    name = given.pop("name", handler if workflow is None else workflow)
    if workflow is not None:
        return TriggerSpec(name, when, _run(handler, arguments, workflow, given), overlap)
    if handler is None:
        raise InvalidInput("handler", "name a handler, or a published workflow with workflow=… (--workflow)")
    rows = given.pop("rows", None)
    for option in given:
        if option not in _OPTIONS:
            known = ", ".join(
                sorted({*_OPTIONS, "name", "overlap", "rows", "workflow", *(_CRON if isinstance(when, OnCron) else ())})
            )
            raise InvalidInput(option, f"no such option of a trigger; there are {known}")
    plain: Any = checked(given, "options")
    return TriggerSpec(name, when, _start(text("handler", handler), arguments, rows, plain), overlap)


def _start(handler: str, arguments: Arguments, rows: Sequence[object] | str | None, options: dict[str, Any]) -> Start:
    if rows is None:
        if arguments is not None and not isinstance(arguments, Mapping):
            raise InvalidInput("arguments", f"must be a mapping of names to values, not {type(arguments).__name__}")
        plain: Any = None if arguments is None else checked(dict(arguments), "arguments")
        return StartTask(handler, plain, options)
    if arguments is not None:
        raise InvalidInput("rows", "give either arguments or rows, not both")
    # As it comes back from the ledger, so that the same declaration is the same trigger.
    given: Any = rows if isinstance(rows, str) else checked(list(rows), "rows")
    return StartBatch(handler, given, options)


def _run(handler: str | None, arguments: Arguments, workflow: object, given: dict[str, Any]) -> StartWorkflow:
    if handler is not None:
        raise InvalidInput("workflow", "give either a handler or a workflow, not both")
    for field, value in (("arguments", arguments), ("rows", given.pop("rows", None))):
        if value is not None:
            raise InvalidInput(field, "a workflow has none; give input=… by the names that it declares")
    named, values = text("workflow", workflow), given.pop("input", None)
    if values is not None and not isinstance(values, Mapping):
        raise InvalidInput("input", f"must be a mapping of names to values, not {type(values).__name__}")
    plain: Any = None if values is None else checked(dict(values), "input")
    options: Any = checked(given, "options")
    return StartWorkflow(named, plain, options)
