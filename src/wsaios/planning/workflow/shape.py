"""Whether a value has the shape of a definition, as the JSON Schema says it."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Protocol

from wsaios.kernel.errors import MissingExtra
from wsaios.kernel.views import amount
from wsaios.planning.json_fault import name_of
from wsaios.planning.workflow.definition import WORK
from wsaios.planning.workflow.finding import MAX_FINDINGS, Finding, Findings, Path
from wsaios.planning.workflow.schema import SCHEMA

_TYPES: Final = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_BOUNDS: Final = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
}
_UNITS: Final = "units are called by letters, digits and _, such as gpu or tokens; {} are counted by themselves"
_CALLED: Final = {
    "input": "names of inputs are letters, digits and _, not beginning with a digit",
    "resources": _UNITS.format("tasks"),
    "costs": _UNITS.format("requests"),
}
_ELSEWHERE: Final = {
    "retries": "max_attempts",
    "attempts": "max_attempts",
    "timeout": "timeout_s",
    "needs": "depends_on",
    "if": "when",
    "name": "id",
    "with": "args",
    "uses": "handler",
}
"""What other systems call a field, and what it is called here."""
_COUNTS: Final = {
    "minLength": ("least", "character"),
    "maxLength": ("most", "character"),
    "minItems": ("least", "element"),
    "maxItems": ("most", "element"),
}


class Validator(Protocol):
    """A compiled schema."""

    def is_valid(self, instance: Any) -> bool:
        """Whether a value fits."""

    def iter_errors(self, instance: Any) -> Any:
        """All that does not fit."""


def check_shape(value: Any, findings: Findings) -> bool:
    """Whether `value` fits the schema; where it does not, each reason goes to `findings`."""
    schema = validator(SCHEMA)
    if schema.is_valid(value):
        return True
    if not isinstance(value, dict):
        findings.append(Finding((), "type", f"a definition is a mapping, not {_named(value)}"))
        return False
    errors = iter(schema.iter_errors(value))
    for error in islice(errors, MAX_FINDINGS):
        findings.extend(_found(error, value, findings))
    if next(errors, None) is not None:
        message = f"there are more fields that cannot be used; of these, {MAX_FINDINGS:,} are told at a time"
        findings.append(Finding((), "limit", message))
    return False


def validator(schema: Mapping[str, Any]) -> Validator:
    """A schema that values can be held against.

    Raises:
        MissingExtra: the library is not installed.
    """
    try:
        from jsonschema_rs import Draft202012Validator  # noqa: PLC0415  # only where a definition is checked
    except ImportError as error:
        raise MissingExtra("jsonschema-rs, which checks definitions,", "workflows") from error
    made: Validator = Draft202012Validator(dict(schema))
    return made


def _found(error: Any, whole: Any, findings: Findings) -> list[Finding]:
    path: Path = tuple(error.instance_path)
    kind, told = error.kind.name, error.kind.value
    value = _at(whole, path)
    last = str(path[-1]) if path else "definition"
    if kind == "additionalProperties":
        known = _properties(error.schema_path)
        return [_unknown(path, name, known, findings) for name in told]
    if "dependentRequired" in error.schema_path:
        return [Finding((*path, "max_parallel"), "type", "max_parallel goes with foreach", "max_parallel", at_key=True)]
    if kind == "required":
        name = str(told)
        return [Finding(path, "missing-field", f"{_what(path, whole)} needs {name!r}", name)]
    if kind == "oneOf":
        return _no_work(path, value, whole)
    if kind == "propertyNames":
        return [Finding(path, "type", _CALLED.get(last, _CALLED["input"]), last)]
    return [Finding(path, "type", f"{_field(path)} {_said(kind, error, value)}", last)]


def _unknown(path: Path, name: str, known: list[str], findings: Findings) -> Finding:
    message = f"there is no field {name!r}"
    meant = _ELSEWHERE.get(name, "")
    suggestion = meant if meant in known else findings.meant(name, known)
    return Finding((*path, name), "unknown-field", message, name, suggestion, at_key=True)


def _no_work(path: Path, step: Any, whole: Any) -> list[Finding]:
    if not isinstance(step, dict):
        return []
    given = [name for name in WORK if name in step]
    what = _what(path, whole)
    if not given:
        return [Finding(path, "missing-field", f"{what} needs one of handler, http, model or wait_for")]
    message = f"{what} has {' and '.join(given)}; it does one of them"
    return [Finding((*path, given[1]), "type", message, given[1], at_key=True)]


def _field(path: Path) -> str:
    """What a path ends with: a name, or an element of a list."""
    last = path[-1] if path else "definition"
    if isinstance(last, str):
        return repr(last)
    what = "step" if path[:-1] == ("steps",) else f"element of {path[-2]!r}"
    return f"{what} number {last + 1}"


def _said(kind: str, error: Any, value: Any) -> str:
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(f"{error.kind.limit:,}")
    if kind in _COUNTS:
        side, noun = _COUNTS[kind]
        return f"must have at {side} {amount(error.kind.limit, noun)}"
    if kind == "type":
        wanted = " or ".join(_TYPES.get(each, each) for each in error.kind.types)
        return f"must be {wanted}, not {_named(value)}"
    if kind in {"enum", "anyOf"}:
        options = (
            ", ".join(map(str, error.kind.options)) if kind == "enum" else f"{', '.join(_TYPES)} or a list of them"
        )
        return f"must be one of {options}, not {_short(value)}"
    if kind == "pattern":
        return f"must begin with a letter or _ and have letters, digits, - and _ only, not {_short(value)}"
    return "names an element twice" if kind == "uniqueItems" else str(error.message)


def _named(value: Any) -> str:
    return {"an array": "a list", "an object": "a mapping"}.get(name := name_of(value), name)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004  # as much as a line shows


def _what(path: Path, whole: Any) -> str:
    """What stands at a path, in words."""
    if not path:
        return "a definition"
    if path[0] == "steps" and len(path) > 1:
        step = _at(whole, path[:2])
        name = step.get("id") if isinstance(step, dict) else None
        named = f"step {name!r}" if isinstance(name, str) else f"step number {int(path[1]) + 1}"
        return named if len(path) == 2 else f"{path[-1]} of {named}"  # noqa: PLR2004  # ("steps", number)
    return repr(path[-1])


def _at(whole: Any, path: Path) -> Any:
    for part in path:
        whole = whole[part]
    return whole


def _properties(schema_path: list[Any]) -> list[str]:
    part: Any = SCHEMA
    for name in schema_path[:-1]:
        part = part[name] if not isinstance(part, dict) or name in part else SCHEMA
    return list(part.get("properties", ())) if isinstance(part, dict) else []
