"""Workflows as users write them: a file, or a builder in Python that says the same."""

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypedDict, Unpack

import msgspec

from wsaios.expressions import Cel
from wsaios.kernel.errors import InputError, InvalidDefinition, InvalidInput
from wsaios.kernel.flaw import Flaw
from wsaios.kernel.json_value import checked
from wsaios.planning.workflow.check import check_text, check_value, format_of
from wsaios.planning.workflow.finding import Finding, Findings
from wsaios.planning.workflow.plan import Plan

_STEP: Final = 2


class StepOptions(TypedDict, total=False):
    """What a step may have beside its id, its work and its arguments; None leaves it out."""

    when: str | None
    foreach: str | None
    max_parallel: int | None
    wait_for: Mapping[str, Any] | None
    on_failure: str | None
    lane: str | None
    priority: int | None
    concurrency_key: str | None
    resources: Mapping[str, float] | None
    costs: Mapping[str, float] | None
    max_attempts: int | None
    timeout_s: float | None
    backoff_initial_s: float | None
    backoff_factor: float | None
    backoff_max_s: float | None
    delivery: str | None
    concurrency_limit: int | None


class Workflow:
    """A definition that is built step by step; the same content as a file has the same version.

    Nothing is checked before `check`, which then says all that is wrong, with the line of each `step`.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        input: Mapping[str, Any] | None = None,  # noqa: A002  # the name that it has in a file
        output: Any = None,
    ) -> None:
        """`input` declares what a run is given, by name; `output` is what it gives back, with ``${ … }`` in it."""
        parts = {"name": name, "description": description, "input": input and dict(input), "output": output}
        self._parts = {key: value for key, value in parts.items() if value not in (None, "")}
        self._steps: list[dict[str, Any]] = []
        self._places: list[tuple[str, int]] = []
        self._place = _caller()

    def step(
        self,
        id: str,  # noqa: A002  # the name that it has in a file
        *,
        handler: str | None = None,
        http: Mapping[str, Any] | None = None,
        model: str | None = None,
        args: Mapping[str, Any] | None = None,
        depends_on: str | Iterable[str] = (),
        **options: Unpack[StepOptions],
    ) -> str:
        """Add a step and return its id, for `depends_on` of others.

        It does one of `handler`, `http`, `model`, or only waits for an event (`wait_for`).
        """
        names = [depends_on] if isinstance(depends_on, str) else list(depends_on)
        given = {"id": id, "handler": handler, "http": http, "model": model, "args": args, **options}
        step = {key: value for key, value in given.items() if value is not None}
        self._steps.append(step | ({"depends_on": names} if names else {}))
        self._places.append(_caller())
        return id

    def to_dict(self) -> dict[str, Any]:
        """The definition as a value of JSON, as it stands in a file.

        Raises:
            InvalidInput: something in it is no value of JSON.
        """
        value = checked({**self._parts, "steps": self._steps}, "workflow")
        assert isinstance(value, dict)  # noqa: S101  # a dict went in
        return value

    def to_json(self) -> str:
        """The definition as the text of a JSON file."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2).decode() + "\n"

    def check(self, handlers: Collection[str] | None = None) -> Plan:
        """The plan, checked and ordered; `handlers` are those that there are, None: whatever is named will be there.

        Raises:
            InvalidDefinition: all that is wrong with it, with the file and line of the step.
        """
        findings = Findings()
        try:
            plan = check_value(self.to_dict(), findings, Cel(), handlers)
        except InvalidInput as error:
            plan = None
            findings.append(Finding((), "type", str(error)))
        if plan is None:
            name = str(self._parts["name"])
            raise InvalidDefinition(f"workflow {name!r}", tuple(self._flaw(finding) for finding in findings))
        return plan

    def _flaw(self, found: Finding) -> Flaw:
        inside = len(found.path) >= _STEP and found.path[0] == "steps"
        source, line = self._places[int(found.path[1])] if inside else self._place
        return Flaw(source, line, 0, found.kind, found.message, found.name, found.suggestion)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The builder of a definition in a file, to go on from; the file is checked first.

        Raises:
            InputError: it cannot be read.
            InvalidDefinition: all that is wrong with it.
        """
        definition = msgspec.json.decode(read_plan(path).content)
        steps = definition.pop("steps")
        made = cls(definition.pop("name"), **definition)
        for step in steps:
            made.step(step.pop("id"), **step)
        return made


def read_plan(path: str | Path, handlers: Collection[str] | None = None) -> Plan:
    """The plan of a definition in a file ending in .yaml, .yml or .json.

    Raises:
        InputError: it cannot be read.
        InvalidDefinition: all that is wrong with it, each with its line and column.
        MissingExtra: a library that this needs is not installed.
    """
    source = str(path)
    form = format_of(source)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(source, "", f"it cannot be read: {reason}") from error
    return check_text(data, source=source, form=form, language=Cel(), handlers=handlers)


def _caller() -> tuple[str, int]:
    """The file and line from which the method at hand was called."""
    frame = sys._getframe(2)  # noqa: SLF001  # the inspect module is slow to import and does the same
    return frame.f_code.co_filename, frame.f_lineno
