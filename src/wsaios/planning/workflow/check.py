"""From a text to a plan, or to all that is wrong with it."""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

import msgspec

from wsaios.kernel.errors import InputError, InvalidDefinition
from wsaios.kernel.expression import Expressions
from wsaios.kernel.flaw import Flaw
from wsaios.planning.workflow.definition import Definition, canonical, version_of
from wsaios.planning.workflow.finding import Finding, Findings, Path, Span
from wsaios.planning.workflow.json_text import locate_json, read_json
from wsaios.planning.workflow.pause import undisturbed
from wsaios.planning.workflow.plan import Plan
from wsaios.planning.workflow.rules import check_rules
from wsaios.planning.workflow.shape import check_shape
from wsaios.planning.workflow.usable import usable
from wsaios.planning.workflow.yaml_text import locate_yaml, read_yaml

Format = Literal["json", "yaml"]
MAX_BYTES: Final = 128 << 20
_FORMATS: Final[dict[str, Format]] = {"json": "json", "yaml": "yaml", "yml": "yaml"}


def format_of(filename: str) -> Format:
    """What a file of this name holds, by its suffix.

    Raises:
        InputError: it has another suffix.
    """
    found = _FORMATS.get(filename.rpartition(".")[2].lower())
    if found is None:
        raise InputError(filename, "", "the name must end in .yaml, .yml or .json, to tell what the file holds")
    return found


def check_text(
    data: bytes,
    *,
    source: str,
    form: Format,
    language: Expressions,
    handlers: Collection[str] | None = None,
) -> Plan:
    """The plan that a text in UTF-8 says; `source` is its name in errors.

    `handlers` are those that there are, beside any MODULE:FUNCTION; None: whatever is named will be there.

    Raises:
        InvalidDefinition: all that is wrong with it, each with its line and column.
        MissingExtra: a library that this needs is not installed.
    """
    findings = Findings()
    text = _decoded(data, findings)
    with undisturbed(len(data)):
        plan = None if findings else _checked(text, form, findings, language, handlers)
        if plan is None or findings:
            raise InvalidDefinition(source, _flaws(text, source, form, findings))
    return plan


def _checked(
    text: str, form: Format, findings: Findings, language: Expressions, handlers: Collection[str] | None
) -> Plan | None:
    value = (read_json if form == "json" else read_yaml)(text, findings)
    return None if value is None and findings else check_value(value, findings, language, handlers)


def check_value(
    value: Any, findings: Findings, language: Expressions, handlers: Collection[str] | None = None
) -> Plan | None:
    """The plan that a value of JSON says; None where `findings` got a reason."""
    if not check_shape(value, findings):
        value = usable(value, findings)
    try:
        # To JSON Schema 2.0 is a whole number, too.
        definition = msgspec.convert(value, Definition, strict=False)
    except msgspec.ValidationError as error:
        if not findings:
            findings.append(Finding((), "type", str(error)))
        return None
    index, parents, children, order = check_rules(definition, findings, language, handlers)
    if findings:
        return None
    content = canonical(definition)
    return Plan(version_of(content), content, definition, index, parents, children, order.steps, order.depth)


def _decoded(data: bytes, findings: Findings) -> str:
    if len(data) > MAX_BYTES:
        message = f"it has {len(data):,} bytes; {MAX_BYTES:,} are the most"
        findings.append(Finding((), "limit", message))
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = data[: error.start].decode("utf-8-sig", "replace")
        message = f"byte {error.start} is not UTF-8"
        findings.append(Finding((), "syntax", message, offset=len(text)))
        return text


def _flaws(text: str, source: str, form: Format, findings: Findings) -> tuple[Flaw, ...]:
    wanted = {path[:length] for path, *_ in findings for length in range(len(path) + 1) if path}
    spans: Mapping[Path, tuple[Span, Span]] = {}
    if wanted:
        spans = (locate_json if form == "json" else locate_yaml)(text, wanted)
    starts = [0]
    for line in text.splitlines(keepends=True) if "\r" in text else text.split("\n"):
        starts.append(starts[-1] + len(line) + ("\r" not in text))
    flaws = set()
    for finding in findings:
        offset = _offset(text, finding, spans)
        row = max(1, bisect_right(starts, offset, hi=max(1, len(starts) - 1)))
        column = offset - starts[row - 1] + 1
        flaws.add(Flaw(source, row, column, finding.kind, finding.message, finding.name, finding.suggestion))
    return tuple(sorted(flaws))


def _offset(text: str, finding: Finding, spans: Mapping[Path, tuple[Span, Span]]) -> int:
    """Where in the text a finding stands; at the part around it where it has no place of its own."""
    if not finding.path:
        return min(finding.offset, len(text))
    path = finding.path
    while path not in spans and path:
        path = path[:-1]
    if path not in spans:
        return 0
    key, value = spans[path]
    if finding.at_key and path == finding.path:
        return key.start
    if finding.part:
        begin = text.find(finding.part, value.start, value.end)
        if begin >= 0:
            return begin + min(finding.offset, len(finding.part))
    return value.start
