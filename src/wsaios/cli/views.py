"""Batches and tasks as people and programs read them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wsaios.cli.output import fields, plain, printable, table
from wsaios.kernel.ids import decode, encode
from wsaios.kernel.limit import LimitView
from wsaios.kernel.policy import Ordering
from wsaios.kernel.views import BatchView, Status, Transition, about

if TYPE_CHECKING:
    from wsaios.sdk.client import Client
    from wsaios.sdk.result_files import RowId

UNSUCCESSFUL: Final = ("failed", "cancelled", "expired", "lost")
_PAGE: Final = 1000
_SHORT: Final = 100


def batch_json(view: BatchView) -> dict[str, Any]:
    """A batch with its counts."""
    found: dict[str, Any] = plain(view)
    return found | {"done": view.done, "finished": view.finished}


def batch_lines(views: Iterable[BatchView]) -> Iterator[str]:
    """A table of batches."""
    header = ("batch", "state", "name", "handler", "rows", "done", "without result", "created (UTC)")
    rows = [
        (
            view.id,
            batch_state(view),
            view.meta.get("name", ""),
            view.handler,
            view.rows,
            view.done,
            missing(view),
            view.created_at,
        )
        for view in views
    ]
    return table(header, rows) if rows else iter(("no batches",))


def batch_fields(view: BatchView) -> Iterator[str]:
    """One batch, a line for each thing."""
    meta = view.meta
    yield from fields(
        [
            ("batch", view.id),
            ("state", batch_state(view)),
            ("name", meta.get("name")),
            ("handler", view.handler),
            ("tenant", view.tenant),
            ("created", f"{view.created_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("rows", view.rows),
            *((word, count) for word, count in view.ended.items()),
            ("to go", view.rows - view.done),
            ("input", meta.get("input")),
            ("results", meta.get("out")),
        ]
    )


def batch_state(view: BatchView) -> str:
    """The state in a word that people expect."""
    if view.finished:
        return "finished"
    return {"staging": "accepting", "sealed": "open", "aborted": "taken back"}.get(view.state, view.state)


def missing(view: BatchView) -> int:
    """How many rows ended without a result."""
    return sum(view.ended.get(word, 0) for word in UNSUCCESSFUL)


def unsuccessful(client: "Client", view: BatchView, limit: int) -> list[Status]:
    """The first rows of a batch that ended without a result, in input order."""
    wanted = min(limit, missing(view))
    found: list[Status] = []
    # A batch gets its number before its rows do.
    after: str | None = encode(decode(view.id, "batch"))
    while len(found) < wanted and after is not None:
        page = client.tasks(UNSUCCESSFUL, after=after, limit=_PAGE)
        found += [each for each in page if each.batch == view.id]
        after = page[-1].id if len(page) == _PAGE else None
    return found[:wanted]


def error_json(status: Status, row_id: "RowId | None") -> dict[str, Any]:
    """Why a row has no result, as in the file of errors, and the task that stands for it."""
    kind, message = told(status)
    row = {"id": row_id, "row": status.row, "type": kind, "message": message}
    return row | {"task": status.id, "state": status.state}


def error_lines(view: BatchView, found: Sequence[Status], ids: "Mapping[int, RowId]") -> Iterator[str]:
    """A table of rows without a result, and where all of them are."""
    if not found:
        yield f"every row of {view.id} that has ended has a result" if view.done else f"no row of {view.id} has ended"
        return
    rows = [(str(ids.get(each.row or 0, "")), str(each.row), *told(each), each.id, each.state) for each in found]
    yield from table(("id", "row", "type", "message", "task", "state"), rows)
    if missing(view) > len(found):
        yield f"… {missing(view) - len(found):,} more; --limit shows up to 1000"


def told(status: Status) -> tuple[str, str]:
    """Type and message of why a task has no result."""
    if status.failure is not None:
        return status.failure.kind, status.failure.message
    return status.state.capitalize(), status.reason or ""


def task_lines(found: Sequence[Status]) -> Iterator[str]:
    """A table of tasks."""
    header = ("task", "state", "handler", "lane", "attempt", "accepted (UTC)", "reason")
    rows = [
        (each.id, each.state, each.handler, each.lane, each.attempt, each.accepted_at, shortened(each.reason))
        for each in found
    ]
    return table(header, rows) if rows else iter(("no tasks",))


def task_fields(status: Status) -> Iterator[str]:
    """One task, a line for each thing."""
    times = ("accepted_at", "due_at", "deadline", "expires_at", "ended_at")
    progress = None if status.progress is None else f"{status.progress:.0%}"
    yield from fields(
        [
            ("task", status.id),
            ("state", status.state),
            ("reason", status.reason),
            ("handler", status.handler),
            ("lane", status.lane),
            ("tenant", status.tenant),
            ("priority", status.priority),
            ("batch", status.batch),
            ("attempt", status.attempt),
            ("losses", status.losses or None),
            ("progress", " ".join(part for part in (progress, status.note) if part)),
            *((name.removesuffix("_at"), _utc(getattr(status, name))) for name in times),
        ]
    )
    if status.failure is not None:
        yield from map(printable, status.failure.traceback.rstrip().splitlines())


def transition_lines(history: Iterable[Transition]) -> Iterator[str]:
    """The changes of a task, oldest first."""
    rows = [
        (f"{each.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], each.from_state, each.to_state, each.fence, each.reason or "")
        for each in history
    ]
    return table(("at (UTC)", "from", "to", "fence", "reason"), rows)


def policy_lines(found: Ordering) -> Iterator[str]:
    """What starts next, a line for each value."""
    shared = None
    if found.fair is not None:
        weights = ", ".join(f"{tenant} {weight:g}" for tenant, weight in sorted(found.fair.weights.items()))
        shared = f"tenants take turns{': ' + weights if weights else ''}"
    policy = msgspec.to_builtins(found.policy)
    yield from fields([*policy.items(), ("fair_share", shared or "no, tenants do not matter")])
    yield f"nothing younger goes first by more than {about(found.policy.longest_wait_us() / 1e6)}"


def limit_lines(views: Sequence[LimitView]) -> Iterator[str]:
    """A table of limits."""
    rows = [(each.limit.on, _bounds(each), each.waiting or "", _learned(each)) for each in views]
    return table(("limit", "taken", "waiting", "learned"), rows) if rows else iter(("no limits",))


def limit_fields(view: LimitView) -> Iterator[str]:
    """One limit, a line for each thing."""
    yield from fields(
        [
            ("limit", view.limit.on),
            ("taken", _bounds(view)),
            ("learned", _learned(view)),
            ("waiting", view.waiting or ""),
        ]
    )


def _bounds(view: LimitView) -> str:
    """How much of each unit is taken, of how much."""
    running = [f"{view.running.get(unit, 0):g}/{most:g} {unit}" for unit, most in view.limit.running.items()]
    if view.limit.learn is not None and "tasks" not in view.limit.running:
        running.append(f"{view.running.get('tasks', 0):g} tasks")
    rates = [
        f"{view.used.get(unit, 0):g}/{rate.amount:g} {unit} in {about(rate.per_s)}"
        for unit, rate in view.limit.rates.items()
    ]
    return ", ".join((*running, *rates))


def _learned(view: LimitView) -> str:
    if view.allowed is None:
        return ""
    closed = f", closed for {about(view.closed_s)}" if view.closed_s else ""
    return f"{view.allowed} at a time{closed}"


def shortened(text: str | None) -> str:
    """The first line of a text, cut where a terminal would be full."""
    line = (text or "").partition("\n")[0]
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"


def _utc(at: Any) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
