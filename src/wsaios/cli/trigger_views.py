"""Triggers as people read them, and as they write them on the command line."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from wsaios.cli.output import fields, plain, table
from wsaios.cli.trigger_options import Addition
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.trigger import OnTime, Start, StartBatch, StartWorkflow, TriggerSpec, TriggerView
from wsaios.kernel.views import moment
from wsaios.planning import declaring
from wsaios.planning.starting import given_of
from wsaios.planning.triggers import said


def spec_of(given: Addition) -> TriggerSpec:
    """The trigger that the options of a command say.

    Raises:
        InvalidInput: names the option.
    """
    kinds = {"--cron": given.cron, "--at": given.at, "--on-event": given.on_event, "--on-change": given.on_change}
    chosen = [kind for kind, value in kinds.items() if value is not None]
    if len(chosen) != 1:
        raise InvalidInput("trigger", f"give one of {', '.join(kinds)}" + (f", not {', '.join(chosen)}" * bool(chosen)))
    own = {"name": given.name, "overlap": given.overlap, "workflow": given.workflow}
    caught = {"catch_up": given.catch_up, "catch_up_limit": given.catch_up_limit}
    options: dict[str, Any] = {**dict(map(_pair, given.options or ())), **own, **caught}
    options["rows"] = None if given.rows is None else _rows(given.rows)
    options["input"] = dict(_pair(each, "--input", "NAME=VALUE") for each in given.input) if given.input else None
    when: Any
    if given.cron is not None:
        when = declaring.cron(given.cron, given.tz, options)
    elif given.at is not None:
        when = declaring.time(_time(given.at))
    elif given.on_event is not None:
        when = declaring.event(given.on_event, given.where)
    else:
        when = declaring.change(given.on_change or "", given.where)
    if given.where and chosen[0] in {"--cron", "--at"}:
        raise InvalidInput("--where", "only events and changes have one")
    return declaring.declared(
        when, given.handler, None if given.args is None else json_of("--args", given.args), options
    )


def json_of(field: str, text: str) -> Any:
    """A value that was written as JSON.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidInput(field, f"must be JSON: {error}") from None


def trigger_json(view: TriggerView) -> dict[str, Any]:
    """A trigger by name."""
    found: dict[str, Any] = plain(view)
    return {**found, "spec": msgspec.to_builtins(view.spec)}


def trigger_lines(views: Iterable[TriggerView]) -> Iterator[str]:
    """A table of triggers."""
    header = ("trigger", "state", "when", "starts", "fired", "skipped", "missed", "last for (UTC)", "next (UTC)")
    rows = [
        (
            view.name,
            view.state,
            when_of(view),
            f"workflow {start.workflow}" if isinstance(start := view.spec.start, StartWorkflow) else start.handler,
            view.fired,
            view.skipped,
            view.missed,
            view.last_for or "",
            view.next_at or "",
        )
        for view in views
    ]
    return table(header, rows) if rows else iter(("no triggers",))


def trigger_fields(view: TriggerView) -> Iterator[str]:
    """One trigger, a line for each thing."""
    start = view.spec.start
    given = given_of(start)
    told = "" if given is None else msgspec.json.encode(given).decode()
    options = msgspec.json.encode(start.options).decode() if start.options else None
    yield from fields(
        [
            ("trigger", view.name),
            ("state", view.state),
            ("when", when_of(view)),
            ("overlap", view.spec.overlap),
            ("catch up", getattr(view.spec.when, "catch_up", None)),
            ("starts", f"{_what(start)} {told}".strip()),
            ("options", options),
            ("declared", _utc(view.declared_at)),
            ("next", _utc(view.next_at)),
            ("last for", _utc(view.last_for)),
            ("last started", view.last_started),
            ("has ended", None if view.last_started is None else not view.running),
            ("fired", view.fired),
            ("skipped", view.skipped),
            ("missed", view.missed),
            ("waiting", view.waiting),
            ("fault", view.fault),
        ]
    )


def time_lines(times: Iterable[datetime], zone: Any) -> Iterator[str]:
    """Times in their zone, and in UTC."""
    rows = [(each.astimezone(zone).isoformat(), each) for each in times]
    return table(("at", "UTC"), rows) if rows else iter(("no time",))


def when_of(view: TriggerView) -> str:
    """When it fires, for people."""
    when = view.spec.when
    return f"once {moment(when.at_us):%Y-%m-%d %H:%M:%S} UTC" if isinstance(when, OnTime) else said(when)


def _what(start: Start) -> str:
    if isinstance(start, StartWorkflow):
        return f"a run of {start.workflow}"
    return f"a batch of {start.handler}" if isinstance(start, StartBatch) else f"a task of {start.handler}"


def _pair(text: str, field: str = "--set", form: str = "OPTION=VALUE") -> tuple[str, Any]:
    option, found, value = text.partition("=")
    if not found:
        raise InvalidInput(field, f"must be {form}, not {text!r:.80}")
    try:
        return option, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return option, value


def _rows(text: str) -> Any:
    return text if text.strip().startswith("${") else json_of("--rows", text)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("--at", f"must be a time such as 2026-12-24T18:00+01:00, not {text!r:.80}") from None
    if found.tzinfo is None:
        raise InvalidInput("--at", f"{text!r:.80} has no time zone; write one behind it, such as Z or +01:00")
    return found


def _utc(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
