"""Errors on their way through the socket: sent by name with their data, raised as the same class."""

from typing import Any, Final

import msgspec

from wsaios.kernel import errors
from wsaios.kernel.errors import WsaiosError

_LONGEST: Final = 10_000


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """An error as data: the name of its class, its arguments, its attributes."""

    kind: str
    args: list[Any]
    attributes: dict[str, Any]


def fault_of(error: BaseException) -> Fault:
    """The error as data; one that is not of this package becomes its text."""
    if not isinstance(error, WsaiosError):
        return Fault("", [f"the scheduler failed: {type(error).__name__}: {str(error)[:_LONGEST]}"], {})
    attributes = {name: _plain(value) for name, value in vars(error).items()}
    return Fault(type(error).__name__, [_plain(value) for value in error.args], attributes)


def error_of(fault: Fault) -> WsaiosError:
    """The error again; a class that this version does not know becomes a WsaiosError with the same message and data."""
    kind = _known().get(fault.kind, WsaiosError)
    error = kind.__new__(kind)
    error.args = tuple(fault.args)
    error.__dict__.update(fault.attributes)
    return error


def _known() -> dict[str, type[WsaiosError]]:
    return {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, WsaiosError)
    }


def _plain(value: object) -> object:
    """What msgpack carries as it is, and the text of anything else."""
    try:
        msgspec.msgpack.encode(value)
    except Exception:  # noqa: BLE001  # an error must arrive, whatever its data
        return str(value)
    return value
