"""From what a trigger starts, and the moment at which it does, to tasks and rows."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.expression import Expression
from wsaios.kernel.json_value import JsonValue
from wsaios.kernel.task import MAX_PAYLOAD_BYTES, HandlerSpec, NewTask
from wsaios.kernel.trigger import Moment, Start, StartBatch
from wsaios.kernel.views import moment as utc
from wsaios.planning.calls import CALLS, TRIES, Calls, seconds, whole
from wsaios.planning.workflow.template import expressions_in, filled, prepared

MAX_ROWS: Final = 10_000
"""A firing is one commit, and must not hold up others for long."""
_AFTER: Final = ("deadline_after_s", "expires_after_s")
_NOT_HERE: Final = ("run_at", "deadline", "expires_at", "idempotency_key", "depends_on", "traceparent")
_CALLS: Final = Calls(MAX_PAYLOAD_BYTES)


class Prepared(NamedTuple):
    """What a trigger starts, its texts read."""

    start: Start
    given: Any
    """Arguments or rows, with every expression in them compiled; None: what the moment brings."""


def prepare(start: Start, compiled: Callable[[str], Expression], roots: tuple[str, ...]) -> Prepared:
    """Read what a trigger starts; its expressions may name `roots`.

    Raises:
        InvalidInput: an option, the rows or an expression cannot be used.
        MissingExtra: there are expressions, and nothing to read them with.
    """
    given: Any = start.rows if isinstance(start, StartBatch) else start.arguments
    ready = prepared(given, compiled)
    for expression in expressions_in(ready):
        check_names(expression, roots)
    if isinstance(start, StartBatch):
        whole_text = isinstance(given, str) and isinstance(ready, str)
        if whole_text or not isinstance(given, str | list):
            raise InvalidInput("rows", "must be a list of mappings, or one expression such as ${ event.data.items }")
        if isinstance(given, list):
            _check_rows(given)
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
    arguments: Any = filled(ready.given, context_of(name, moment))
    if arguments is None:
        arguments = (moment.event or {}).get("data") or {}
        if moment.change is not None:
            takes = spec.accepts if spec is not None and spec.accepts is not None else moment.change.keys()
            arguments = {name: value for name, value in moment.change.items() if name in takes}
    return _call(start.handler, arguments, start.options, spec, now_us)


def rows_of(
    ready: Prepared, moment: Moment, name: str, spec: HandlerSpec | None, now_us: int
) -> tuple[NewTask, list[bytes]]:
    """What every row of a batch is like, and their arguments. Raises as `call_of`."""
    start = ready.start
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
