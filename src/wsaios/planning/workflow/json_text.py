"""Definitions in JSON: the value, and where each part of it stands."""

import json
import math
import re
from collections.abc import Container
from typing import Any, Final

import msgspec

from wsaios.kernel.flaw import FlawKind
from wsaios.planning.json_fault import fault_of
from wsaios.planning.workflow.finding import Finding, Findings, Path, Span

_TOKEN: Final = re.compile(r'[ \t\r\n]*(?:("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^ \t\r\n{}\[\],:"]+))')
# What stands where a stricter reader refuses without a place.
_SUSPICIOUS: Final = re.compile(r"\\u[dD][89a-fA-F]|[eE]\+?\d{3}|\d{300}")


def read_json(text: str, findings: Findings) -> Any:
    """The value of a text; what is wrong with it goes to `findings`."""
    repeated = False

    def noticing(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        made = dict(pairs)
        repeated = repeated or len(made) != len(pairs)
        return made

    try:
        value = json.loads(text, object_pairs_hook=noticing, parse_constant=_refuse, parse_float=_finite)
        # Halves of characters, which the standard library takes.
        if "\\u" in text:
            msgspec.json.decode(text)
    except (ValueError, RecursionError, msgspec.DecodeError) as refusal:
        fault = fault_of(text, refusal)
        reason = fault.reason if fault else str(refusal)
        kind: FlawKind = "limit" if isinstance(refusal, RecursionError) else "syntax"
        position = fault.position if fault and fault.position is not None else _elsewhere(text, reason)
        findings.append(Finding((), kind, f"this is not JSON: {reason}", offset=position))
        return None
    if repeated:
        locate_json(text, (), findings)
    return value


def locate_json(text: str, wanted: Container[Path], findings: Findings | None = None) -> dict[Path, tuple[Span, Span]]:
    """Where the wanted parts of a JSON text stand: their keys and their values; repeated keys go to `findings`."""
    spans: dict[Path, tuple[Span, Span]] = {}
    frames: list[_Frame] = []
    here: Path = ()
    key = Span(0, 0)
    for found in _TOKEN.finditer(text):
        string, sign, _ = found.groups()
        span = Span(found.start(found.lastindex or 0), found.end())
        frame = frames[-1] if frames else None
        if sign in {"{", "["}:
            frames.append(_Frame(here, key, span, is_object=sign == "{"))
            here = (*here, 0) if sign == "[" else here
        elif sign in {"}", "]"} and frame:
            frames.pop()
            here, key = frame.path, frame.key
            if here in wanted:
                spans[here] = (key, Span(frame.value.start, span.end))
        elif sign == "," and frame:
            here = frame.path if frame.is_object else (*frame.path, frame.next_index())
            frame.named, key = False, span
        elif sign == ":":
            continue
        elif string and frame and frame.is_object and not frame.named:
            name = str(json.loads(string))
            here, key = (*frame.path, name), span
            if frame.repeats(name) and findings is not None:
                findings.append(
                    Finding((), "duplicate-key", f"the key {name!r} is there already", name, offset=span[0])
                )
        elif here in wanted:
            spans[here] = (key, span)
    return spans


class _Frame:
    """An object or array that has begun."""

    def __init__(self, path: Path, key: Span, value: Span, *, is_object: bool) -> None:
        self.path, self.key, self.value, self.is_object = path, key, value, is_object
        self.named = False
        self._names: set[str] = set()
        self._index = 0

    def next_index(self) -> int:
        self._index += 1
        return self._index

    def repeats(self, name: str) -> bool:
        self.named = True
        known = name in self._names
        self._names.add(name)
        return known


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number; write null or leave the field out")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:80]} is out of range for a number")
    return value


def _elsewhere(text: str, reason: str) -> int:
    """Where that stands which only a stricter reader refused."""
    name = reason.partition(" ")[0]
    if name not in {"NaN", "Infinity", "-Infinity"}:
        suspicious = _SUSPICIOUS.search(text)
        return suspicious.start() if suspicious else 0
    place = next((found for found in _TOKEN.finditer(text) if found[3] == name), None)
    return place.start(3) if place else 0
