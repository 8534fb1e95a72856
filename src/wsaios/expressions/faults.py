"""What the library says is wrong, in words that tell what to change."""

import re
from collections.abc import Sequence
from typing import Final

from wsaios.kernel.errors import InvalidExpression
from wsaios.kernel.expression import Reference

_FAULT: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNKNOWN: Final = re.compile(r"Undefined variable or function: '([^']*)'")
_UNEXPECTED: Final = re.compile(r"(?:mismatched|extraneous) input '(.*?)' expecting", re.DOTALL)
_AT: Final = re.compile(r"no viable alternative at input '(.*)'", re.DOTALL)
_TOKEN: Final = re.compile(r"token recognition error at: '(.*)'", re.DOTALL)
_MISSING: Final = re.compile(r"missing '(.*?)' at '(.*)'", re.DOTALL)
_END: Final = "<EOF>"
_TYPES: Final = (
    "the types of its values do not fit together; none is converted by itself, so use int(), double() or string()"
)


def fault_of(source: str, told: str) -> InvalidExpression:
    """The first fault that the library told of a text that it did not compile."""
    told = told.removeprefix(f"Failed to parse expression '{source}': ")
    faults = [(int(line), int(column), text) for line, column, text in _FAULT.findall(told)]
    if not faults:
        return InvalidExpression(source, "it is no expression")
    # What the parser could not finish is told before what stopped it.
    telling = [fault for fault in faults if not fault[2].startswith(("Incomplete", "No `"))] or faults
    line, column, text = telling[0]
    lines = source.split("\n")
    position = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    reason, name = _said(text.removeprefix("Syntax error: "))
    return InvalidExpression(source, reason, min(position, len(source)), name)


def reason_of(error: Exception, references: Sequence[Reference]) -> str:
    """Why an expression that was compiled has no value."""
    text = str(error)
    if isinstance(error, KeyError):
        key = error.args[0] if error.args else ""
        place = next((".".join(each.path) for each in references if key in each.path[1:]), "")
        return f"there is no {key!r}" + (f" in {place}" if place else "")
    unknown = _UNKNOWN.search(text)
    if unknown is None:
        text = " ".join(text.split()).removesuffix(".").removesuffix(" Check function arguments and their types")
        return _TYPES if text.startswith("No such overload") else text[:1].lower() + text[1:].removesuffix(".")
    if any(unknown[1] == reference.path[0] for reference in references):
        return f"there is no {unknown[1]!r} here"
    return f"{unknown[1]!r} does not take a value of this type; convert it first, or test its type()"


def _said(text: str) -> tuple[str, str]:
    unexpected = _UNEXPECTED.search(text) or _AT.search(text)
    if unexpected is not None:
        name = unexpected[1]
        return ("it ends too early", "") if name == _END else (f"{name!r} is not expected here", name)
    token = _TOKEN.search(text)
    if token is not None:
        begun = token[1][:1] in {"'", '"'}
        return "this text has no end" if begun else f"{token[1]!r} is no part of the language", token[1]
    missing = _MISSING.search(text)
    if missing is not None:
        return f"{missing[1]!r} is missing", missing[1]
    if "Recursion limit" in text:
        return "it is nested too deeply", ""
    return text, text.removeprefix("reserved identifier: ") if text.startswith("reserved") else ""
