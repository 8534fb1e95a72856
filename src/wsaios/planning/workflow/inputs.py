"""What a run is given: declared in the definition, checked and completed when a run begins."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_value import JsonValue, checked
from wsaios.kernel.run import NewRun
from wsaios.kernel.task import DEFAULT_TENANT
from wsaios.planning.calls import name as text
from wsaios.planning.calls import whole
from wsaios.planning.workflow.definition import Definition
from wsaios.planning.workflow.finding import Finding, Findings
from wsaios.planning.workflow.shape import validator

Declarations = Mapping[str, Mapping[str, Any]]
OPTIONS: Final = ("priority", "tenant", "idempotency_key")
_encode: Final = msgspec.json.Encoder().encode


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
    _complete(definition, values)
    return values


def check_given(definition: Definition, given: Mapping[str, object]) -> None:
    """Refuse what no run could be given; values with ``${ … }`` in them are known only when it begins.

    Raises:
        InvalidInput: as `bound`.
    """
    computed = [name for name, value in given.items() if b"${" in _encode(value)]
    values = checked({name: value for name, value in given.items() if name not in computed}, "input")
    assert isinstance(values, dict)  # noqa: S101  # a dict went in
    _complete(definition, values, computed)


def chosen(new: NewRun, options: Mapping[str, Any]) -> NewRun:
    """A run with the options that were given.

    Raises:
        InvalidInput: there is no such option, or it has no such value.
    """
    for key, value in options.items():
        if key not in OPTIONS:
            raise InvalidInput(key, f"no such option of a run; there are {', '.join(OPTIONS)}")
        if value is None:
            continue
        if key == "priority":
            new.priority = whole(key, value, -(1 << 31), 1 << 31)
        elif key == "tenant":
            new.tenant = text(key, value) or DEFAULT_TENANT
        else:
            new.idempotency_key = text(key, value)
    return new


def _complete(definition: Definition, values: dict[str, JsonValue], computed: Collection[str] = ()) -> None:
    """Add the defaults of what was not given, and is not `computed`."""
    declared = definition.input
    reasons = [f"{name!r} is not declared" for name in (*values, *computed) if name not in declared]
    for name, declaration in declared.items():
        if name in computed:
            continue
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
