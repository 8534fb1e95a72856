"""What a run is given: declared in the definition, checked and completed when a run begins."""

from collections.abc import Mapping
from typing import Any

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import JsonValue, checked
from wsaios.planning.workflow.definition import Definition
from wsaios.planning.workflow.finding import Finding, Findings
from wsaios.planning.workflow.shape import validator

Declarations = Mapping[str, Mapping[str, Any]]


def check_declarations(declared: Declarations, findings: Findings) -> None:
    """Whether each default is what its own declaration asks for."""
    for name, declaration in declared.items():
        try:
            checked(dict(declaration), "")
        except InvalidInput as error:
            findings.append(Finding(("input", name), "limit", f"the declaration of {name!r}: {error.reason}", name))
            continue
        if "default" in declaration and not validator(declaration).is_valid(declaration["default"]):
            message = f"the default of {name!r} is not what its declaration asks for"
            findings.append(Finding(("input", name, "default"), "type", message, name))


def bound(definition: Definition, given: Mapping[str, object] | None) -> dict[str, JsonValue]:
    """The input of a run: what was given, and the defaults of what was not; an independent copy.

    Raises:
        InvalidInput: names all that is missing, not declared, or not what its declaration asks for.
    """
    values = checked(dict(given or {}), "input")
    assert isinstance(values, dict)  # noqa: S101  # a dict went in
    declared = definition.input
    reasons = [f"{name!r} is not declared" for name in values if name not in declared]
    for name, declaration in declared.items():
        if name not in values:
            if "default" not in declaration:
                reasons.append(f"{name!r} is missing")
                continue
            values[name] = checked(declaration["default"], "input")
        errors = validator(declaration).iter_errors(values[name])
        reasons += [f"{name!r}: {error.message}" for error in errors]
    if reasons:
        known = f"; {definition.name!r} takes {', '.join(declared) or 'no input'}"
        raise InvalidInput("input", "; ".join(reasons) + known)
    return values
