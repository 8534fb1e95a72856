"""The JSON Schema of a definition, which `wsaios workflow schema` prints for editors."""

from typing import Any, Final

from wsaios.kernel.limit import MOST_AMOUNT, UNIT

IDENTIFIER: Final = "^[A-Za-z_][A-Za-z0-9_]{0,99}$"
STEP_ID: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,99}$"
_LONGEST_S: Final = 100_000_000_000
_MOST: Final = 1_000_000


def _text(description: str, most: int = 200) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, "description": description}


def _number(kind: str, low: float, high: float, description: str) -> dict[str, Any]:
    return {"type": kind, "minimum": low, "maximum": high, "description": description}


def _object(required: list[str], properties: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


_EXPRESSION: Final = "a CEL expression over input, steps.ID.result, steps.ID.state and run"

_HTTP: Final = _object(
    ["url"],
    {
        "url": _text("An http:// or https:// address; may hold ${ … }.", 4_000),
        "method": {"enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]},
        "json": {"description": "The body; may hold ${ … }."},
        "params": {"type": ["object", "null"], "description": "Added to the query; may hold ${ … }."},
        "allow_private": {
            "type": "boolean",
            "description": "Let it reach addresses that are not public, where the scheduler allows it.",
        },
    },
    "A call over HTTP; its result is {status, headers, json or text}.",
)
_WAIT_FOR: Final = _object(
    ["event"],
    {
        "event": _text("The name of the event."),
        "filter": _text(f"Only an event for which this holds: {_EXPRESSION}, event.name and event.data.", 4_000),
        "timeout_s": _number("number", 0, _LONGEST_S, "The step fails when none came for so long."),
    },
    "The step waits for this event when its dependencies have ended; a human's approval is one.",
)
_TRYING: Final[dict[str, Any]] = {
    "max_attempts": _number("integer", 1, _MOST, "How many times it is tried (3)."),
    "timeout_s": _number("number", 0.001, _LONGEST_S, "How long an attempt may take."),
    "backoff_initial_s": _number("number", 0, _LONGEST_S, "The longest wait after the first failure (1)."),
    "backoff_factor": _number("number", 1, 1000, "How much longer each time (2)."),
    "backoff_max_s": _number("number", 0, _LONGEST_S, "The longest wait of all (300)."),
    "delivery": {"enum": ["at_least_once", "at_most_once"], "description": "at_most_once: never repeated."},
    "concurrency_limit": _number("integer", 1, _MOST, "How many run at a time with the same concurrency_key (1)."),
}


def _amounts(counted: str, description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{UNIT}$", "not": {"const": counted}},
        "additionalProperties": _number("number", 0, MOST_AMOUNT, "How much of it."),
        "description": description,
    }


_STEP: Final = _object(
    ["id"],
    {
        "id": {"type": "string", "pattern": STEP_ID, "description": "Its name in this workflow."},
        "handler": _text("The name of a handler, or MODULE:FUNCTION."),
        "http": {"$ref": "#/$defs/http"},
        "model": _text("The name of a model."),
        "args": {"type": "object", "description": "Arguments; texts may hold ${ … } with " + _EXPRESSION + "."},
        "depends_on": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
            "description": "The ids of steps that must have ended before.",
        },
        "when": _text(f"The step is skipped unless this is true: {_EXPRESSION}.", 4_000),
        "foreach": _text(f"A task for each element of this list: {_EXPRESSION}; args see item and index.", 4_000),
        "max_parallel": _number("integer", 1, _MOST, "How many of them run at a time (no limit)."),
        "wait_for": {"$ref": "#/$defs/wait_for"},
        "on_failure": {"enum": ["fail", "continue"], "description": "What a failure means for the run (fail)."},
        "lane": _text("Where it runs."),
        "priority": _number("integer", -(1 << 31), 1 << 31, "Larger first (0)."),
        "concurrency_key": _text("Steps of the same key wait for each other."),
        "resources": _amounts("tasks", "What each of its tasks holds of limits while it runs, such as gpu: 0.5."),
        "costs": _amounts("requests", "What each of its tasks takes of rates, such as tokens: 500."),
        **_TRYING,
    },
    "One step: a handler, a call over HTTP, a model, or only an event that it waits for.",
) | {
    "oneOf": [
        {"required": ["handler"]},
        {"required": ["http"]},
        {"required": ["model"]},
        {"required": ["wait_for"], "not": {"anyOf": [{"required": [each]} for each in ("handler", "http", "model")]}},
    ],
    "dependentRequired": {"max_parallel": ["foreach"]},
}
_KINDS: Final = ["string", "integer", "number", "boolean", "array", "object", "null"]
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_DECLARATION: Final = _object(
    [],
    {
        "type": {"anyOf": [{"enum": _KINDS}, {"type": "array", "items": {"enum": _KINDS}, "minItems": 1}]},
        "description": {"type": "string"},
        "default": {"description": "Its value where a run gives none; without it, each run must give one."},
        "enum": {"type": "array", "minItems": 1},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "minLength": _COUNT,
        "maxLength": _COUNT,
        "minItems": _COUNT,
        "maxItems": _COUNT,
        "items": {"$ref": "#/$defs/declaration"},
    },
    "What a value must be, in words of JSON Schema.",
)
SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A workflow of WSAIOS",
    **_object(
        ["name", "steps"],
        {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", "description": "Its name."},
            "description": {"type": "string", "description": "What it is for."},
            "input": {
                "type": "object",
                "propertyNames": {"pattern": IDENTIFIER},
                "additionalProperties": {"$ref": "#/$defs/declaration"},
                "description": "What a run is given: a declaration for each name.",
            },
            "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
            "output": {
                "description": "What a run gives back; texts may hold ${ … }. Without it, results of last steps."
            },
        },
        "Steps that depend on each other.",
    ),
    "$defs": {"step": _STEP, "http": _HTTP, "wait_for": _WAIT_FOR, "declaration": _DECLARATION},
}
