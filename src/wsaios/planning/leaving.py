"""Calls that are left for a scheduler to take in: checked on both sides, by each with what it knows."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.intake import Left
from wsaios.kernel.task import HandlerSpec, NewTask
from wsaios.planning.calls import CALL_DEFAULTS, Calls, check_names, choose, name

_CHOSEN: Final = (*CALL_DEFAULTS, "run_at")
_ROW_FINAL: Final = ("idempotency_key", "depends_on")
_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def leave(calls: Calls, handler: str, arguments: bytes, options: Mapping[str, Any], now_us: int) -> Left:
    """A call as it is left, checked as far as that can be without its handler; `arguments` are encoded.

    Raises:
        InvalidInput: names the option and what is wrong with it.
    """
    new = NewTask(name("handler", handler), arguments)
    calls.choose(new, options, now_us)
    return Left(new, tuple(option for option in _CHOSEN if options.get(option) is not None))


def leave_rows(calls: Calls, handler: str, options: Mapping[str, Any], now_us: int) -> Left:
    """What every row of a batch is like, without its arguments.

    Raises:
        InvalidInput: as `leave`, or an option that only single tasks have.
    """
    for option in _ROW_FINAL:
        if options.get(option):
            raise InvalidInput(option, f"a batch takes no {option}; give it to single tasks")
    return leave(calls, handler, b"{}", options, now_us)


def arrive(left: Left, spec: HandlerSpec | None, max_payload_bytes: int, at_us: int) -> NewTask:
    """The task, with what its handler says wherever the caller chose nothing; `at_us` is when it was left.

    Raises:
        InvalidInput: it does not fit its handler or the limits of this scheduler.
    """
    new = left.task
    if len(new.payload) > max_payload_bytes:
        raise InvalidInput("arguments", f"{len(new.payload)} bytes as JSON; this scheduler takes {max_payload_bytes}")
    if spec is None:
        return new
    for option, value in spec.calls.items():
        if option not in left.given and not (option == "delay_s" and "run_at" in left.given):
            choose(new, option, value, at_us)
    if spec.required or spec.accepts is not None:
        check_names(_NAMES.decode(new.payload), spec)
    return new
