"""What is left of a definition whose shape is wrong, so that the rest of it can be checked as well."""

from collections.abc import Iterable
from typing import Any, Final

from wsaios.planning.workflow.finding import Finding

# In place of what cannot be used: whatever refers to it must not be found wrong for that.
_STAND_INS: Final[dict[str, Any]] = {"foreach": "[]", "wait_for": {"event": "unknown"}}
_STEP: Final = 2


def usable(value: Any, findings: Iterable[Finding]) -> Any:
    """A copy of `value` without the fields that were found to be wrong; None where nothing can be kept."""
    if not isinstance(value, dict) or not isinstance(value.get("steps"), list):
        return None
    left = {**value, "steps": [dict(step) if isinstance(step, dict) else {} for step in value["steps"]]}
    for finding in findings:
        if finding.path and finding.path[0] == "steps" and len(finding.path) > _STEP:
            _, number, field, *_ = finding.path
            left["steps"][number].pop(field, None)
            if field in _STAND_INS:
                left["steps"][number][field] = _STAND_INS[str(field)]
        elif len(finding.path) > 1 and finding.path[0] == "input" and isinstance(left.get("input"), dict):
            left["input"] = {**left["input"], finding.path[1]: {}}
        elif finding.path and finding.path[0] != "steps":
            left.pop(finding.path[0], None)
    left.setdefault("name", "unknown")
    for number, step in enumerate(left["steps"]):
        step.setdefault("id", f"step number {number + 1}")
    return left
