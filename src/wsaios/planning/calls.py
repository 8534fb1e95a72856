"""Turns one call of a handler, as users write it, into a checked and encoded NewTask."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any, Final, get_args

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.ids import decode
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.limit import MOST_AMOUNT, REQUESTS, TASKS, UNIT, Amounts, amounts
from wsaios.kernel.retry import LONGEST_WAIT_S
from wsaios.kernel.task import IDEMPOTENCY_WINDOW_S, Delivery, Failure, HandlerSpec, NewTask, Options

TRIES: Final = (
    "max_attempts",
    "timeout_s",
    "backoff_initial_s",
    "backoff_factor",
    "backoff_max_s",
    "delivery",
    "concurrency_limit",
)
ASKS: Final = ("resources", "costs")
"""Options of what a task asks of limits."""
CALLS: Final = (
    "priority",
    "delay_s",
    "run_at",
    "deadline",
    "expires_at",
    "lane",
    "idempotency_key",
    "depends_on",
    "tenant",
    "concurrency_key",
    "traceparent",
)
CALL_DEFAULTS: Final = ("priority", "delay_s", "tenant", "concurrency_key")
_NAME_LENGTH: Final = 200
_UNIT: Final = re.compile(UNIT)
_MOST_DEPENDENCIES: Final = 10_000


_SORTED: Final = msgspec.json.Encoder(order="sorted")


class Calls:
    """Builds tasks; `max_payload_bytes` bounds the arguments as JSON."""

    def __init__(self, max_payload_bytes: int, idempotency_window_s: float = IDEMPOTENCY_WINDOW_S) -> None:
        self._writer = JsonWriter(max_payload_bytes)
        self._window_us = int(idempotency_window_s * 1e6)

    def build(
        self,
        handler: str,
        arguments: Mapping[str, object] | None,
        options: Mapping[str, Any],
        spec: HandlerSpec | None,
        now_us: int,
    ) -> NewTask:
        """A new task; nothing is changed anywhere.

        Times in `options` are seconds (`delay_s`) or UTC datetimes or epoch seconds (`run_at`, `deadline`,
        `expires_at`).

        Raises:
            InvalidInput: names the option or argument and what is wrong with it.
        """
        new = NewTask(name("handler", handler), self.encode(arguments, spec))
        if spec is not None and spec.calls:
            options = {**spec.calls, **options}
        if options:
            self.choose(new, options, now_us)
        return new

    def encode(self, arguments: Mapping[str, object] | None, spec: HandlerSpec | None) -> bytes:
        """The arguments as JSON.

        Raises:
            InvalidInput: not a mapping with string keys, not JSON, too large, or one that the handler requires is
            missing or that it does not take is given.
        """
        given: Mapping[str, object] = {} if arguments is None else arguments
        if not isinstance(given, Mapping):
            raise InvalidInput("arguments", f"must be a mapping of names to values, not {type(given).__name__}")
        data = self._writer.write(given if type(given) is dict else dict(given), "arguments")
        if isinstance(data, Failure):
            raise InvalidInput("arguments", data.message)
        if spec is not None:
            check_names(given, spec)
        return data

    def plain(self, what: str, value: dict[str, Any]) -> dict[str, Any]:
        """A value as JSON carries it.

        Raises:
            InvalidInput: it is not JSON.
        """
        data = self._writer.write(value, what)
        if isinstance(data, Failure):
            raise InvalidInput(what, data.message)
        found: dict[str, Any] = msgspec.json.decode(data)
        return found

    def choose(self, new: NewTask, options: Mapping[str, Any], now_us: int) -> None:
        """Set options of a call; times as in `build`.

        Raises:
            InvalidInput: names the option and what is wrong with it.
        """
        tries: dict[str, Any] = {}
        for key, value in options.items():
            if value is None:
                continue
            if key in TRIES or key in ASKS:
                tries[key] = value
            elif key in _SET:
                _SET[key](new, value, now_us)
            else:
                raise InvalidInput(key, f"no such option; there are {', '.join(sorted((*CALLS, *TRIES, *ASKS)))}")
        if "delay_s" in options and "run_at" in options and None not in (options["delay_s"], options["run_at"]):
            raise InvalidInput("delay_s", "give either delay_s or run_at, not both")
        if tries:
            new.options = retries(tries)
        if new.idempotency_key:
            # The order in which arguments were written is no difference between them.
            sorted_payload = _SORTED.encode(msgspec.json.decode(new.payload))
            new.digest = blake2b(new.handler.encode() + b"\0" + sorted_payload, digest_size=16).hexdigest()
            new.idempotency_window_us = self._window_us


def check_names(given: Mapping[str, object], spec: HandlerSpec) -> None:
    """Compare arguments by name with what a handler takes.

    Raises:
        InvalidInput: one that it requires is missing, or it does not take one that is given.
    """
    for required in spec.required:
        if required not in given:
            raise InvalidInput("arguments", f"handler {spec.name!r} needs {required!r}, which is missing")
    accepts = spec.accepts
    # With all that it requires and no more there is nothing to look at.
    if accepts is not None and len(given) != len(spec.required) and not given.keys() <= accepts:
        odd = min(given.keys() - accepts)
        known = ", ".join(sorted(accepts)) or "none"
        raise InvalidInput("arguments", f"handler {spec.name!r} has no argument {odd!r}; it takes {known}")


def choose(new: NewTask, option: str, value: object, now_us: int) -> None:
    """Set one option of a call that is not one of trying.

    Raises:
        InvalidInput: names the option and its range.
    """
    _SET[option](new, value, now_us)


def retries(given: Mapping[str, Any]) -> Options:
    """Checked options of trying, and of what is asked of limits.

    Raises:
        InvalidInput: names the option and its range.
    """
    found = dict(given)
    for key, value in given.items():
        if value is None:
            continue
        if key in ASKS:
            found[key] = amounts_of(key, value, TASKS if key == "resources" else REQUESTS)
        else:
            _CHECKS[key](key, value)
    return Options(**found)


def name(field: str, value: object) -> str:
    """A name of 1…200 printable characters.

    Raises:
        InvalidInput: it is not one.
    """
    if not isinstance(value, str) or not value or len(value) > _NAME_LENGTH or not value.isprintable():
        raise InvalidInput(field, f"must be 1 to {_NAME_LENGTH} printable characters, not {value!r:.80}")
    return value


def whole(field: str, value: object, low: int, high: int) -> int:
    """A whole number within a range.

    Raises:
        InvalidInput: it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(field, f"must be a whole number from {low} to {high}, not {value!r:.80}")
    return value


def seconds(
    field: str, value: object, low: float = 0.0, high: float = LONGEST_WAIT_S, *, what: str = "number of seconds"
) -> float:
    """A finite number of seconds (or of what `what` says) within a range.

    Raises:
        InvalidInput: it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise InvalidInput(field, f"must be a {what} from {low:g} to {high:g}, not {value!r:.80}")
    return float(value)


def amounts_of(field: str, given: object, counted: str = TASKS) -> Amounts:
    """What is asked for, by unit; `counted` is one that nobody may name.

    Raises:
        InvalidInput: it is no mapping of units to numbers from 0; or names a unit that is counted by itself.
    """
    found: dict[str, float] = {}
    for unit, amount in mapping_of(field, given).items():
        where = f"{field}[{unit!r}]"
        if unit_of(where, unit) == counted:
            raise InvalidInput(where, f"{counted} are counted by themselves; leave it away")
        if seconds(where, amount, 0.0, MOST_AMOUNT, what="number"):
            found[unit] = float(amount)
    return amounts(found)


def mapping_of(field: str, value: object) -> Mapping[Any, Any]:
    """A mapping of units to something.

    Raises:
        InvalidInput: it is not one.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(field, f"must be a mapping of units to numbers, not {value!r:.80}")
    return value


def unit_of(field: str, unit: object) -> str:
    """The name of a unit.

    Raises:
        InvalidInput: it is not one.
    """
    if not isinstance(unit, str) or not _UNIT.fullmatch(unit):
        raise InvalidInput(field, "a unit is called by letters, digits and _, such as tokens, gpu or memory_mb")
    return unit


def patience(field: str, value: object) -> None:
    """Check how long somebody waits: seconds, None for ever; below 0 is no time at all.

    Raises:
        InvalidInput: it is neither.
    """
    if value is not None:
        seconds(field, value, -LONGEST_WAIT_S)


def instant_us(field: str, value: object) -> int:
    """A point in time, µs UTC: from a datetime with a time zone, or seconds since 1970.

    Raises:
        InvalidInput: it is neither, or a datetime without a time zone.
    """
    stamp = getattr(value, "timestamp", None)
    if stamp is None:
        return int(seconds(field, value) * 1e6)
    if getattr(value, "tzinfo", None) is None:
        raise InvalidInput(field, "a datetime needs a time zone, such as datetime.now(timezone.utc)")
    return int(stamp() * 1e6)


def _set_priority(new: NewTask, value: object, _: int) -> None:
    new.priority = whole("priority", value, -(1 << 31), 1 << 31)


def _set_delay(new: NewTask, value: object, now_us: int) -> None:
    new.due_us = now_us + int(seconds("delay_s", value) * 1e6)


def _set_run_at(new: NewTask, value: object, _: int) -> None:
    new.due_us = instant_us("run_at", value)


def _set_deadline(new: NewTask, value: object, _: int) -> None:
    new.deadline_us = instant_us("deadline", value)


def _set_expires(new: NewTask, value: object, _: int) -> None:
    new.expires_us = instant_us("expires_at", value)


def _set_lane(new: NewTask, value: object, _: int) -> None:
    new.lane = name("lane", value)


def _set_key(new: NewTask, value: object, _: int) -> None:
    new.idempotency_key = name("idempotency_key", value)


def _set_tenant(new: NewTask, value: object, _: int) -> None:
    new.tenant = name("tenant", value)


def _set_concurrency_key(new: NewTask, value: object, _: int) -> None:
    new.concurrency_key = name("concurrency_key", value)


def _set_traceparent(new: NewTask, value: object, _: int) -> None:
    new.traceparent = name("traceparent", value)


def _set_depends_on(new: NewTask, value: object, _: int) -> None:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        value = [value]
    numbers = []
    for parent in value:
        try:
            numbers.append(decode(str(getattr(parent, "id", parent))))
        except ValueError as error:
            raise InvalidInput("depends_on", str(error)) from error
    if len(numbers) > _MOST_DEPENDENCIES:
        raise InvalidInput("depends_on", f"at most {_MOST_DEPENDENCIES} tasks, not {len(numbers)}")
    new.depends_on = tuple(numbers)


def _check_delivery(field: str, value: object) -> None:
    if value not in get_args(Delivery):
        raise InvalidInput(field, f"must be one of {', '.join(get_args(Delivery))}, not {value!r:.80}")


_SET: Final[dict[str, Callable[[NewTask, object, int], None]]] = {
    "priority": _set_priority,
    "delay_s": _set_delay,
    "run_at": _set_run_at,
    "deadline": _set_deadline,
    "expires_at": _set_expires,
    "lane": _set_lane,
    "idempotency_key": _set_key,
    "depends_on": _set_depends_on,
    "tenant": _set_tenant,
    "concurrency_key": _set_concurrency_key,
    "traceparent": _set_traceparent,
}
_CHECKS: Final[dict[str, Callable[[str, object], object]]] = {
    "max_attempts": lambda field, value: whole(field, value, 1, 1_000_000),
    "timeout_s": lambda field, value: seconds(field, value, 0.001),
    "backoff_initial_s": seconds,
    "backoff_factor": lambda field, value: seconds(field, value, 1.0, 1000.0, what="number"),
    "backoff_max_s": seconds,
    "delivery": _check_delivery,
    "concurrency_limit": lambda field, value: whole(field, value, 1, 1_000_000),
}
