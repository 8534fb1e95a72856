"""Runs of workflows as people and programs read them: a bar for each step, and the way that took longest."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wsaios.cli.output import fields, plain, printable, table
from wsaios.cli.pace import span
from wsaios.kernel.views import RunView, StepView

BAR: Final = 24
_MARKS: Final = {"failed": "!", "cancelled": "x", "lost": "!", "expired": "!"}
_SHORT: Final = 60
_ENDED: Final = ("succeeded", "failed", "cancelled", "skipped")


def run_json(view: RunView) -> dict[str, Any]:
    """A run by name."""
    found: dict[str, Any] = plain(view)
    found["failure"] = plain(view.failure) if view.failure is not None else None
    return found


def step_json(step: StepView) -> dict[str, Any]:
    """A step by name."""
    found: dict[str, Any] = plain(step)
    found["failure"] = plain(step.failure) if step.failure is not None else None
    return found


def run_lines(views: Iterable[RunView]) -> Iterator[str]:
    """A table of runs."""
    header = ("run", "workflow", "version", "state", "tenant", "created (UTC)", "took")
    rows = [
        (view.id, view.workflow, view.version[:12], view.state, view.tenant, view.created_at, _took(view))
        for view in views
    ]
    return table(header, rows) if rows else iter(("no runs",))


def run_fields(view: RunView, steps: Sequence[StepView]) -> Iterator[str]:
    """One run, a line for each thing."""
    ended = sum(step.state in _ENDED for step in steps)
    yield from fields(
        [
            ("run", view.id),
            ("workflow", view.workflow),
            ("version", view.version[:12]),
            ("state", view.state),
            ("tenant", view.tenant),
            ("created", f"{view.created_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("took" if view.ended else "for", _took(view)),
            ("steps", f"{ended:,} of {len(steps):,} ended"),
            ("tries", view.tries + 1 if view.tries else None),
            ("why", view.failure.message if view.failure is not None else None),
        ]
    )


def step_lines(view: RunView, steps: Sequence[StepView], limit: int, now: datetime | None = None) -> Iterator[str]:
    """A table of steps, each with a bar that says when it ran."""
    until = view.ended_at or now or datetime.now(UTC)
    total_s = max((until - view.created_at).total_seconds(), 1e-6)
    rows = [
        (step.id, _bar(view, step, until, total_s), step.state, _lasted(step, until), _note(step))
        for step in steps[:limit]
    ]
    yield from table(("step", "", "state", "ran", ""), rows)
    if len(steps) > limit:
        yield f"… and {len(steps) - limit:,} more; --limit shows up to 10000"


def critical_path(steps: Sequence[StepView]) -> list[StepView]:
    """The steps that the end waited for: from the last one to end back to the one that it waited for, and so on."""
    known = {step.id: step for step in steps}
    ended = [step for step in steps if step.ended_at is not None]
    if not ended:
        return []
    way = [max(ended, key=_end)]
    while True:
        before = [known[name] for name in way[-1].depends_on if known[name].ended_at is not None]
        if not before:
            return way[::-1]
        way.append(max(before, key=_end))


def path_lines(steps: Sequence[StepView]) -> Iterator[str]:
    """The critical path in a line, with how long each of its steps ran."""
    way = critical_path(steps)
    if len(way) > 1:
        shown = [f"{printable(step.id)} ({_lasted(step, None)})" for step in way]
        if len(shown) > _PATH:
            shown[_PATH // 2 : -_PATH // 2] = [f"… {len(shown) - _PATH:,} more …"]
        yield f"critical path: {' → '.join(shown)}"


_PATH: Final = 12


def _end(step: StepView) -> datetime:
    assert step.ended_at is not None  # noqa: S101  # only such steps are compared
    return step.ended_at


def _bar(view: RunView, step: StepView, until: datetime, total_s: float) -> str:
    if step.began_at is None and step.state != "waiting":
        return " " * BAR
    began = step.began_at or view.created_at
    ended = step.ended_at or until
    first = min(BAR - 1, int((began - view.created_at).total_seconds() / total_s * BAR))
    last = min(BAR, max(first + 1, round((ended - view.created_at).total_seconds() / total_s * BAR)))
    mark = "…" if step.state == "waiting" else _MARKS.get(step.state, "█" if step.ended_at else "▒")
    return " " * first + mark * (last - first) + " " * (BAR - last)


def _lasted(step: StepView, until: datetime | None) -> str:
    ended = step.ended_at or (until if step.state in {"running", "retrying"} else None)
    if step.began_at is None or ended is None:
        return ""
    return _said((ended - step.began_at).total_seconds())


def _took(view: RunView) -> str:
    return _said(((view.ended_at or datetime.now(UTC)) - view.created_at).total_seconds())


def _said(seconds: float) -> str:
    return span(seconds) if seconds >= 1 else f"{max(0.0, seconds) * 1000:.0f} ms"


def _note(step: StepView) -> str:
    parts = []
    if step.items is not None:
        parts.append(f"{step.done:,} of {step.items:,}" + (f", {step.failed:,} failed" if step.failed else ""))
    if step.attempts > 1:
        parts.append(f"{step.attempts} attempts")
    if step.failure is not None:
        parts.append(str(step.failure).partition("\n")[0][:_SHORT])
    if step.state == "waiting":
        parts.append(step.does)
    return "; ".join(parts)
