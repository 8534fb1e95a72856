"""From what a trigger starts, and the moment at which it does, to tasks, rows and runs."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.expression import Expression
from wsaios.kernel.json_value import JsonValue, checked
from wsaios.kernel.run import NewRun
from wsaios.kernel.task import MAX_PAYLOAD_BYTES, HandlerSpec, NewTask
from wsaios.kernel.trigger import Moment, Start, StartBatch, StartTask, StartWorkflow
from wsaios.kernel.views import moment as utc
from wsaios.planning.calls import CALLS, TRIES, Calls, seconds, whole
from wsaios.planning.calls import name as text
from wsaios.planning.workflow.inputs import bound, chosen
from wsaios.planning.workflow.plan import Plan
from wsaios.planning.workflow.template import expressions_in, filled, prepared

MAX_ROWS: Final = 10_000
"""A firing is one commit, and must not hold up others for long."""
_AFTER: Final = ("deadline_after_s", "expires_after_s")
_NOT_HERE: Final = ("run_at", "deadline", "expires_at", "idempotency_key", "depends_on", "traceparent")
_RUNS: Final = ("priority", "tenant")
_CALLS: Final = Calls(MAX_PAYLOAD_BYTES)
_encode: Final = msgspec.json.Encoder().encode


class Prepared(NamedTuple):
    """What a trigger starts, its texts read."""

    start: Start
    given: Any
    """Arguments, rows or input, with every expression in them compiled; None: what the moment brings."""


def given_of(start: Start) -> Any:
    """The arguments, rows or input that a trigger hands on, as they were declared."""
    if isinstance(start, StartWorkflow):
        return start.input
    return start.rows if isinstance(start, StartBatch) else start.arguments


def prepare(start: Start, compiled: Callable[[str], Expression], roots: tuple[str, ...]) -> Prepared:
    """Read what a trigger starts; its expressions may name `roots`.

    Raises:
        InvalidInput: an option, the rows or an expression cannot be used.
        MissingExtra: there are expressions, and nothing to read them with.
    """
    given = given_of(start)
    ready = prepared(given, compiled)
    for expression in expressions_in(ready):
        check_names(expression, roots)
    if isinstance(start, StartBatch):
        whole_text = isinstance(given, str) and isinstance(ready, str)
        if whole_text or not isinstance(given, str | list):
            raise InvalidInput("rows", "must be a list of mappings, or one expression such as ${ event.data.items }")
        if isinstance(given, list):
            _check_rows(given)
    if isinstance(start, StartWorkflow):
        _check_run(start)
    else:
        _call(start.handler, {}, start.options, None, 0)
    return Prepared(start, ready)


def check_names(expression: Expression, roots: tuple[str, ...]) -> None:
    """Refuse an expression that reads what there is not.

    Raises:
        InvalidInput: names it, and what there is.
    """
    for reference in expression.references:
        if reference.path[0] not in roots:
            raise InvalidInput(
                f"expression {expression.source!r:.200}",
                f"there is no {reference.path[0]!r} here; there are {', '.join(roots)}",
            )


def context_of(name: str, moment: Moment) -> dict[str, JsonValue]:
    """What expressions read at a moment."""
    found: dict[str, JsonValue] = {
        "trigger": {"name": name, "at": utc(moment.at_us).isoformat(), "at_us": moment.at_us, "key": moment.key}
    }
    if moment.event is not None:
        found["event"] = moment.event
    if moment.change is not None:
        found["change"] = moment.change
    return found


def call_of(ready: Prepared, moment: Moment, name: str, spec: HandlerSpec | None, now_us: int) -> NewTask:
    """The task that a trigger starts.

    Raises:
        InvalidInput, ExpressionFailed: there can be none; says why.
    """
    start = ready.start
    assert isinstance(start, StartTask)  # noqa: S101  # who calls has looked
    takes = spec.accepts if spec is not None else None
    return _call(start.handler, _handed(ready, moment, name, takes), start.options, spec, now_us)


def rows_of(
    ready: Prepared, moment: Moment, name: str, spec: HandlerSpec | None, now_us: int
) -> tuple[NewTask, list[bytes]]:
    """What every row of a batch is like, and their arguments. Raises as `call_of`."""
    start = ready.start
    assert isinstance(start, StartBatch)  # noqa: S101  # who calls has looked
    rows = _check_rows(filled(ready.given, context_of(name, moment)))
    options = start.options if spec is None else {**spec.calls, **start.options}
    template = _call(start.handler, {}, options, None, now_us)
    encoded = []
    for number, row in enumerate(rows, start=1):
        try:
            encoded.append(_CALLS.encode(row, spec))
        except InvalidInput as error:
            raise InvalidInput(f"row {number}, {error.field}", error.reason) from error
    return template, encoded


def run_of(ready: Prepared, moment: Moment, name: str, plan: Plan) -> NewRun:
    """The run that a trigger starts, of this plan; what it is given is not checked yet. Raises as `call_of`."""
    values = _handed(ready, moment, name, plan.definition.input)
    if not isinstance(values, dict):
        raise InvalidInput("input", f"must be a mapping of names to values, not {type(values).__name__}")
    return chosen(NewRun(plan, _encode(checked(values, "input")).decode()), ready.start.options)


def check_run(new: NewRun) -> NewRun:
    """The same run with what its definition adds to its input.

    Raises:
        InvalidInput: it is not what the definition asks for; says all that is wrong.
        MissingExtra: nothing that can check it is installed.
    """
    values = bound(new.plan.definition, msgspec.json.decode(new.input))
    new.input = _encode(values).decode()
    return new


def _handed(ready: Prepared, moment: Moment, name: str, takes: Collection[str] | None) -> Any:
    """What was declared, or else what the moment brings: of a change what the other side `takes`, None: all."""
    given: Any = filled(ready.given, context_of(name, moment))
    if given is None:
        given = (moment.event or {}).get("data") or {}
        if moment.change is not None:
            given = {name: value for name, value in moment.change.items() if takes is None or name in takes}
    return given


def _check_run(start: StartWorkflow) -> None:
    text("workflow", start.workflow)
    if start.input is not None and not isinstance(start.input, dict):
        raise InvalidInput("input", f"must be a mapping of names to values, not {type(start.input).__name__}")
    for option in start.options:
        if option not in _RUNS:
            raise InvalidInput(option, f"no such option of a run that a trigger starts; there are {', '.join(_RUNS)}")
    chosen(NewRun(None, ""), start.options)


def _call(
    handler: str, arguments: Mapping[str, object], options: Mapping[str, Any], spec: HandlerSpec | None, now_us: int
) -> NewTask:
    for option in _NOT_HERE:
        if options.get(option) is not None:
            known = ", ".join(sorted({*CALLS, *TRIES, *_AFTER} - {*_NOT_HERE}))
            raise InvalidInput(option, f"what a trigger starts has none; there are {known}")
    plain = {key: value for key, value in options.items() if key not in _AFTER}
    new = _CALLS.build(handler, arguments, plain, spec, now_us)
    deadline_s, expires_s = (options.get(option) for option in _AFTER)
    if deadline_s is not None:
        new.deadline_us = now_us + int(seconds("deadline_after_s", deadline_s) * 1e6)
    if expires_s is not None:
        new.expires_us = now_us + int(seconds("expires_after_s", expires_s) * 1e6)
    return new


def _check_rows(rows: object) -> list[dict[str, JsonValue]]:
    if not isinstance(rows, list):
        raise InvalidInput("rows", f"must be a list of mappings, not {type(rows).__name__}")
    whole("number of rows", len(rows), 0, MAX_ROWS)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InvalidInput(f"row {number}", f"must be a mapping of names to values, not {type(row).__name__}")
    return rows
