"""Says what is wrong with a piece of JSON that was refused, and where."""

import json
import re
from typing import Final, NamedTuple

import msgspec

REFUSALS: Final = (msgspec.DecodeError, ValueError, RecursionError)
"""What decoding raises for JSON that cannot be used."""

_REFUSAL: Final = re.compile(r"(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?(?: - at `.*)?", re.DOTALL)


class Fault(NamedTuple):
    """Why, and after how many characters of the text; None where nobody knows."""

    reason: str
    position: int | None


def fault_of(text: str, refusal: Exception | None = None) -> Fault | None:
    """The first fault of `text`, which a stricter and faster decoder refused with `refusal`; None if there is none.

    The standard library's decoder explains better; where it accepts more than JSON allows, the refusal speaks.
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" starting at").removesuffix(" at")
        return Fault(reason[:1].lower() + reason[1:], error.pos)
    except RecursionError:
        return Fault("nested too deeply", None)
    except ValueError as error:
        return Fault(str(error), _position(text, refusal))
    if refusal is None:
        return None
    return Fault(_reason(refusal), _position(text, refusal))


def name_of(value: object) -> str:
    """What JSON calls this value, with its article."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "an array" if isinstance(value, list) else "an object"


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number; write null or leave the field out")


def _reason(refusal: Exception) -> str:
    if "surrogate" in str(refusal) or "truncated" in str(refusal):
        return r"an escape such as \ud800 is half a character; write both halves or the character itself"
    found = _REFUSAL.fullmatch(str(refusal))
    reason = found[1] if found else str(refusal)
    return reason[:1].lower() + reason[1:]


def _position(text: str, refusal: Exception | None) -> int | None:
    found = _REFUSAL.fullmatch(str(refusal))
    if found is None or found[2] is None:
        return None
    return len(text.encode()[: int(found[2])].decode(errors="ignore"))
