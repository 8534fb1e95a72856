"""Triggers as they are declared: checked, and read once for all the times that they will fire."""

from typing import Any, Final, NamedTuple, get_args

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.expression import Expression
from wsaios.kernel.json_value import checked
from wsaios.kernel.trigger import (
    CatchUp,
    Languages,
    OnChange,
    OnCron,
    OnEvent,
    OnTime,
    Overlap,
    TriggerSpec,
    When,
)
from wsaios.planning.calls import name as text
from wsaios.planning.calls import whole
from wsaios.planning.cron import Cron, zone_of
from wsaios.planning.starting import Prepared, check_names, given_of, prepare

MOST_CAUGHT_UP: Final = 1000
_MAX_BYTES: Final = 1 << 20
_ROOTS: Final[dict[type, tuple[str, ...]]] = {
    OnCron: ("trigger",),
    OnTime: ("trigger",),
    OnEvent: ("trigger", "event"),
    OnChange: ("trigger", "change"),
}


class Armed(NamedTuple):
    """A trigger that can fire."""

    ready: Prepared
    cron: Cron | None
    where: Expression | None


def armed(spec: TriggerSpec, languages: Languages) -> Armed:
    """Read all that a trigger says.

    Raises:
        InvalidInput: names what cannot be used, and why.
        MissingExtra: it has expressions, and nothing to read them with is installed.
    """
    text("trigger name", spec.name)
    _one_of("overlap", spec.overlap, get_args(Overlap))
    when, cron, where = spec.when, None, None
    if isinstance(when, OnCron):
        _one_of("catch_up", when.catch_up, get_args(CatchUp))
        whole("catch_up_limit", when.catch_up_limit, 1, MOST_CAUGHT_UP)
        cron = Cron(when.expression, zone_of(when.tz, languages.zones))
    elif isinstance(when, OnTime):
        whole("at", when.at_us, 0, 1 << 62)
    else:
        text(*(("event", when.event) if isinstance(when, OnEvent) else ("key", when.key)))
        if isinstance(when, OnChange):
            _check_key(when.key)
        if when.where:
            where = languages.expressions.compile(when.where)
            check_names(where, _ROOTS[type(when)])
    start = spec.start
    checked(given_of(start), "arguments, rows or input")
    checked(start.options, "options")
    size = len(msgspec.json.encode(spec))
    if size > _MAX_BYTES:
        raise InvalidInput("trigger", f"has {size:,} bytes as JSON, {_MAX_BYTES:,} are the most; name a place instead")
    return Armed(prepare(start, languages.expressions.compile, _ROOTS[type(when)]), cron, where)


def first_through_us(when: When, now_us: int) -> int:
    """Up to when the times of a new trigger count as decided: those before it do not concern it, but one time does."""
    return min(now_us, when.at_us - 1) if isinstance(when, OnTime) else now_us


def said(when: When) -> str:
    """When a trigger fires, for people."""
    if isinstance(when, OnCron):
        return f"cron {when.expression} {when.tz}"
    if isinstance(when, OnTime):
        return "once"
    what: Any = ("event", when.event) if isinstance(when, OnEvent) else ("change", when.key)
    return " ".join((*what, *(("where", when.where) if when.where else ())))


def _check_key(key: str) -> None:
    stem = key.removesuffix("*")
    if "*" in stem:
        raise InvalidInput("key", f"{key!r}: * stands only at the end, as in 'site.*'")
    if "" in (stem.split(".") if stem == key else stem.split(".")[:-1]):
        raise InvalidInput("key", f"{key!r} must be names with single dots between them")


def _one_of(field: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidInput(field, f"must be one of {', '.join(known)}, not {value!r:.80}")
