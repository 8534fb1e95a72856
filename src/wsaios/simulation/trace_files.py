"""Traces from files: tables of arrivals, requests to a model, and instances of workflows; the format is detected."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InputError
from wsaios.kernel.task import DEFAULT_TENANT, PRIORITY_MAX, PRIORITY_MIN
from wsaios.simulation.clock import START_US
from wsaios.simulation.trace import Job, Reading, Trace, span_us

_AZURE: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_NEEDED: Final = ("arrival", "service")
_KNOWN: Final = (*_NEEDED, "class", "priority", "tenant", "deadline", "handler")
_MOST_TOKENS: Final = 1_000_000_000


def read_trace(source: str, reading: Reading) -> Trace:
    """A trace from a file.

    Raises:
        InputError: it cannot be read, or is none; names the line or the task, and the field.
    """
    try:
        text = Path(source).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(source, "", f"cannot be read: {reason}") from error
    if text.lstrip().startswith("{"):
        return _workflow(source, text)
    rows = csv.reader(text.splitlines(), strict=True)
    try:
        header = [each.strip() for each in next(rows, [])]
        if set(_AZURE) <= set(header):
            return _requests(source, header, rows, reading)
        return _table(source, header, rows)
    except csv.Error as error:
        raise InputError(source, f"line {rows.line_num}", f"is no CSV: {error}") from error


def _dicts(source: str, header: list[str], rows: Any) -> Iterator[tuple[int, dict[str, str]]]:
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            where = f"line {rows.line_num}"
            raise InputError(source, where, f"has {len(row)} fields, and the header {len(header)}; make them equal")
        yield rows.line_num, dict(zip(header, row, strict=True))


def _table(source: str, header: list[str], rows: Any) -> Trace:
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise InputError(
            source,
            "line 1",
            f"there is no column {' nor '.join(missing)}; a trace is CSV with the columns arrival, service and, if "
            f"wanted, {', '.join(_KNOWN[2:])}, or has {', '.join(_AZURE)}, or is WfFormat 1.5 in JSON",
        )
    unknown = [name for name in header if name not in _KNOWN]
    if unknown:
        raise InputError(source, "line 1", f"column {unknown[0]!r:.80} is none of {', '.join(_KNOWN)}; remove it")
    jobs = []
    for line, row in _dicts(source, header, rows):
        at = f"line {line}, field"
        due = row.get("deadline", "").strip()
        priority = _whole(row.get("priority", "").strip() or "0", source, f"{at} priority", PRIORITY_MIN, PRIORITY_MAX)
        grade = row.get("class", "").strip() or (f"priority {priority}" if "priority" in header else "all")
        jobs.append(
            Job(
                _moment_us(row["arrival"], source, f"{at} arrival"),
                span_us(row["service"], source, f"{at} service"),
                grade,
                priority,
                row.get("tenant", "").strip() or DEFAULT_TENANT,
                _moment_us(due, source, f"{at} deadline") if due else None,
                row.get("handler", "").strip() or "call",
            )
        )
    return Trace(source, "table", jobs)


def _requests(source: str, header: list[str], rows: Any, reading: Reading) -> Trace:
    found = []
    for line, row in _dicts(source, header, rows):
        at = f"line {line}, field"
        moment = _moment_us(row["TIMESTAMP"], source, f"{at} TIMESTAMP")
        context = _whole(row["ContextTokens"], source, f"{at} ContextTokens", 0, _MOST_TOKENS)
        written = _whole(row["GeneratedTokens"], source, f"{at} GeneratedTokens", 0, _MOST_TOKENS)
        service = round(reading.base_us + reading.context_us * context + reading.generated_us * written)
        found.append((moment, service, context if reading.by == "context" else service))
    measures = sorted(measure for _, _, measure in found)
    middle = measures[len(measures) // 2] if measures else 0
    jobs = []
    for moment, service, measure in found:
        grade = "short" if measure <= middle else "long"
        jobs.append(Job(moment, service, grade, handler=grade))
    return Trace(source, "requests", jobs)


def _moment_us(text: str, source: str, where: str) -> int:
    """µs UTC of seconds, or of a date and time; without a zone it is UTC, and digits beyond µs are cut off."""
    text = text.strip()
    try:
        return START_US + round(float(text) * 1_000_000)
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            source, where, f"must be seconds or a date and time as in ISO 8601, not {text!r:.80}"
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _whole(text: str, source: str, where: str, low: int, high: int) -> int:
    if text.strip().lstrip("-").isdecimal() and low <= int(text) <= high:
        return int(text)
    raise InputError(source, where, f"must be a whole number from {low} to {high}, not {text!r:.80}")


class _Step(msgspec.Struct):
    id: str
    parents: list[str] = []
    name: str = ""


class _Ran(msgspec.Struct, rename={"seconds": "runtimeInSeconds"}):
    id: str
    seconds: float


class _Steps(msgspec.Struct):
    tasks: list[_Step]


class _Runs(msgspec.Struct):
    tasks: list[_Ran]


class _Body(msgspec.Struct):
    specification: _Steps
    execution: _Runs


class _Instance(msgspec.Struct):
    workflow: _Body
    version: str = msgspec.field(name="schemaVersion", default="")


def _workflow(source: str, text: str) -> Trace:
    try:
        found = msgspec.json.decode(text, type=_Instance)
    except msgspec.DecodeError as error:
        hint = "a workflow instance is WfFormat 1.5, with workflow.specification.tasks and workflow.execution.tasks"
        raise InputError(source, "", f"{error}; {hint}") from error
    steps = {step.id: step for step in found.workflow.specification.tasks}
    if len(steps) < len(found.workflow.specification.tasks):
        raise InputError(source, "workflow.specification.tasks", "an id occurs twice; give each task its own")
    ran = {
        each.id: span_us(each.seconds, source, f"task {each.id!r:.80}, field runtimeInSeconds")
        for each in found.workflow.execution.tasks
    }
    for step in steps.values():
        if step.id not in ran:
            where = "workflow.execution.tasks"
            raise InputError(source, where, f"task {step.id!r:.80} has no runtimeInSeconds there; record its run")
        for parent in step.parents:
            if parent not in steps:
                where = f"task {step.id!r:.80}, field parents"
                raise InputError(source, where, f"there is no task {parent!r:.80}; name one of the file")
    return _chained(source, steps, ran)


def _chained(source: str, steps: dict[str, _Step], ran: dict[str, int]) -> Trace:
    """Jobs level by level, each as in the file: one never stands before what it waits for."""
    try:
        order = list(TopologicalSorter({step.id: step.parents for step in steps.values()}).static_order())
    except CycleError as error:
        path = " → ".join(error.args[1])
        raise InputError(source, "workflow.specification.tasks", f"tasks wait for each other: {path}") from error
    level: dict[str, int] = {}
    path_us: dict[str, int] = {}
    for each in order:
        parents = steps[each].parents
        level[each] = 1 + max((level[parent] for parent in parents), default=-1)
        path_us[each] = ran[each] + max((path_us[parent] for parent in parents), default=0)
    names = sorted(steps, key=level.__getitem__)
    places = {name: place for place, name in enumerate(names)}
    jobs = []
    for name in names:
        kind = (steps[name].name or name).rsplit("_", 1)[0]
        before = tuple(sorted({places[parent] for parent in steps[name].parents}))
        jobs.append(Job(START_US, ran[name], kind, handler=kind, parents=before))
    return Trace(source, "workflow", jobs, max(path_us.values(), default=0))
