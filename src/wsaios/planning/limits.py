"""Turns what users say of limits into checked values."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.limit import (
    EACH,
    MILLION,
    MOST_AMOUNT,
    REQUESTS,
    SCOPES,
    TASKS,
    Learn,
    Limit,
    Rate,
)
from wsaios.planning.calls import mapping_of, name, seconds, unit_of, whole

_MOST_TASKS: Final = 1_000_000
_SHORTEST_S: Final = 0.001
_LONGEST_S: Final = 366 * 86_400.0
_RATE: Final = re.compile(r"([0-9.]+(?:e[0-9]+)?)/([0-9.]*)\s*(ms|s|m|h|d)")
_SPANS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LEAST: Final = 1 / MILLION


def limits_of(given: object) -> list[Limit]:
    """The limits, each checked.

    Raises:
        InvalidInput: one of them is no limit that could hold, or two are for the same; names it.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise InvalidInput("limits", f"must be a list of Limit(…), not {given!r:.80}")
    found: dict[str, Limit] = {}
    for place, each in enumerate(given):
        limit = limit_of(f"limits[{place}]", each)
        if limit.on in found:
            raise InvalidInput(f"limits[{place}]", f"there are two for {limit.on!r}; say everything in one")
        found[limit.on] = limit
    return list(found.values())


def limit_of(field: str, limit: object) -> Limit:
    """The same limit, checked; `field` is what errors call it.

    Raises:
        InvalidInput: names the value and its range.
    """
    if not isinstance(limit, Limit):
        raise InvalidInput(field, f"must be Limit(…), not {limit!r:.80}")
    _check_on(f"{field}.on", limit.on)
    for unit, most in mapping_of(f"{field}.running", limit.running).items():
        where = f"{field}.running[{unit!r}]"
        if unit_of(where, unit) == TASKS:
            whole(where, int(most) if isinstance(most, float) and most.is_integer() else most, 0, _MOST_TASKS)
        else:
            seconds(where, most, _LEAST, MOST_AMOUNT, what="number")
    for unit, rate in mapping_of(f"{field}.rates", limit.rates).items():
        where = f"{field}.rates[{unit!r}]"
        unit_of(where, unit)
        if not isinstance(rate, Rate):
            raise InvalidInput(where, f"must be Rate(amount, per_s), not {rate!r:.80}")
        seconds(f"{where}.amount", rate.amount, 1.0 if unit == REQUESTS else _LEAST, MOST_AMOUNT, what="number")
        seconds(f"{where}.per_s", rate.per_s, _SHORTEST_S, _LONGEST_S)
    _check_learn(f"{field}.learn", limit.learn)
    return limit


def of_handler(handler: str, running: object, rates: object, learn: object) -> Limit | None:
    """What the options of a handler say of a limit of its own; None: nothing.

    Raises:
        InvalidInput: names the option and its range.
    """
    if running is None and rates is None and learn in (None, False):
        return None
    tasks = {} if running is None else {TASKS: float(whole("running", running, 1, _MOST_TASKS))}
    found: dict[str, Rate] = {}
    for unit, rate in mapping_of("rates", rates or {}).items():
        found[unit] = rate_of(f"rates[{unit!r}]", rate) if isinstance(rate, str) else rate
    how = Learn() if learn is True else learn or None
    return limit_of("limit", Limit(f"handler:{handler}", tasks, found, how))  # type: ignore[arg-type]  # checked there


def rate_of(field: str, text: str) -> Rate:
    """A rate such as ``60/m``, ``100000/30s`` or ``5/d``.

    Raises:
        InvalidInput: it is not one.
    """
    found = _RATE.fullmatch(text.strip())
    try:
        if found is not None:
            return Rate(float(found[1]), float(found[2] or 1) * _SPANS[found[3]])
    except ValueError:
        pass
    raise InvalidInput(field, f"must be AMOUNT/TIME, such as 60/m, 100000/30s or 5/d, not {text!r:.80}")


def given(on: str, running: list[str], rates: list[str], learn: list[str] | None) -> Limit:
    """The limit of a command line: `running` as ``5`` or ``gpu=0.5``, `rates` as ``60/m`` or ``tokens=100000/m``.

    `learn` as ``start=10``; None: it does not learn.

    Raises:
        InvalidInput: one of them is not that, or is set twice.
    """
    found: dict[str, float] = {}
    for text in running:
        unit, value = _pair("running", text, TASKS, found)
        found[unit] = _number(f"running {unit}", value)
    speeds: dict[str, Rate] = {}
    for text in rates:
        unit, value = _pair("rate", text, REQUESTS, speeds)
        speeds[unit] = rate_of(f"rate {unit}", value)
    return limit_of("limit", Limit(on, found, speeds, None if learn is None else _learn(learn)))


def _learn(values: list[str]) -> Learn:
    found: dict[str, Any] = {}
    for text in values:
        field, value = _pair("learn", text, "start", found)
        if field not in Learn.__struct_fields__:
            raise InvalidInput("learn", f"has no value {field!r}; there are {', '.join(Learn.__struct_fields__)}")
        number = _number(f"learn {field}", value)
        found[field] = number if field == "cut" else int(number) if number.is_integer() else number
    return Learn(**found)


def _pair(field: str, text: str, unit: str, found: Mapping[str, object]) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    key, value = (key, value) if mark else (unit, text)
    if key in found:
        raise InvalidInput(f"{field} {key}", "is set twice; leave one of them away")
    return key, value


def _number(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(field, f"must be a number, not {text!r:.80}") from None


def _check_on(field: str, on: object) -> None:
    kind, mark, which = on.partition(":") if isinstance(on, str) else ("", "", "")
    if not mark or kind not in SCOPES:
        close = get_close_matches(kind, SCOPES, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        kinds = ", ".join(f"{each}:NAME" for each in SCOPES)
        raise InvalidInput(
            field, f"must be one of {kinds} (or {SCOPES[2]}:{EACH} for each of them), not {on!r:.80}{hint}"
        )
    name(field, which)


def _check_learn(field: str, learn: object) -> None:
    if learn is None:
        return
    if not isinstance(learn, Learn):
        raise InvalidInput(field, f"must be Learn(…), not {learn!r:.80}")
    whole(f"{field}.least", learn.least, 1, _MOST_TASKS)
    whole(f"{field}.most", learn.most, learn.least, _MOST_TASKS)
    whole(f"{field}.start", learn.start, learn.least, learn.most)
    seconds(f"{field}.cut", learn.cut, 0.01, 0.99, what="number")
