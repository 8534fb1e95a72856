"""What the core has in mind of a task in its lane: what keeps it, what goes before it, and when its turn may come."""

from collections.abc import Sequence
from typing import Final

from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import TaskView
from wsaios.kernel.limit import Held
from wsaios.kernel.states import State
from wsaios.kernel.task import GRADES, Task
from wsaios.kernel.views import amount
from wsaios.scheduler.core import Core

Place = tuple[int, int]
_NAMED: Final = 3
_PARKED: Final = {
    "pause": ("pause", "its batch is paused"),
    "seal": ("seal", "its batch is not sealed yet"),
    "only": ("pause", "this process runs another batch only"),
    "fill": ("order", "its micro-batch still fills up"),
}


def rests(core: Core, task: Task) -> tuple[Place, int] | None:
    """The place from which a call goes on that stopped at a checkpoint, and since when; None: it runs."""
    ref = task.id, task.fence
    seat = core.executor.slots.seat(ref)
    if ref not in core.executor.resting or seat is None or seat.turn is None:
        return None
    return (seat.turn.key, task.id), seat.since_us


def rest_before(core: Core, lane: str, place: Place) -> int:
    """How many calls go on in the lane before that place."""
    seats = ((ref, core.executor.slots.seat(ref)) for ref in core.executor.resting.refs())
    return sum(
        seat is not None and seat.turn is not None and seat.lane == lane and (seat.turn.key, ref[0]) < place
        for ref, seat in seats
    )


def taken(core: Core, lane: str, grade: int) -> str:
    """How many slots are taken, and which of the free ones are not for this class of work."""
    slots = core.executor.slots
    said = f"{slots.slots(lane) - slots.free(lane)} of {slots.slots(lane)} slots of lane {lane!r} are taken"
    kept = _kept(core, lane, grade)
    return said if kept is None else f"{said}, {kept[0]} {'is' if kept[0] == 1 else 'are'} kept for {kept[1]} work"


def where_kept(core: Core, lane: str, grade: int) -> str:
    """The lane, and which of its free slots are not for this class of work."""
    kept = _kept(core, lane, grade)
    said = f"lane {lane!r}"
    if kept is None:
        return said
    return f"{said}, where {amount(kept[0], 'free slot')} {'is' if kept[0] == 1 else 'are'} kept for {kept[1]} work"


def starts_in_s(core: Core, lane: str, grade: int, ahead: int, now_us: int) -> float | None:
    """When a task starts that so many stand before; None: nobody knows.

    A call is taken to hold its slot as long as calls of the lane did lately, or has held it already; slots that are
    kept for higher classes are not counted.
    """
    slots = core.executor.slots
    kept = sum(slots.reserved.get(lane, ())[grade + 1 :])
    mean_us, usable = core.executor.lane_us(lane), slots.slots(lane) - kept
    if mean_us is None or usable <= 0:
        return None
    seats = {id(seat): seat for ref in slots if (seat := slots.seat(ref)) is not None}.values()
    busy = [seat for seat in seats if seat.lane == lane and not seat.away]
    at_hand = max(0, len(busy) - slots.slots(lane))
    # Of calls that were handed out ahead it is not known when they began; together they have had the slots.
    crowd = max(1.0, len(busy) / slots.slots(lane))
    ages = [(now_us - seat.since_us) / (crowd if seat.ahead else 1.0) for seat in busy] or [0.0]
    # One that hangs says little of the others: slots become free at the sum of their rates.
    rate = sum(1 / max(mean_us, age, 1.0) for age in ages) / len(ages)
    return (at_hand + ahead + 1) / (rate * usable * 1e6)


def in_time(core: Core, view: TaskView, task: Task, starts_in_s: float | None, now_us: int) -> bool | None:
    """Whether a task ends by its deadline, if its call takes as long as others of its handler; None: nobody knows."""
    deadline_us, run_us = task.body.deadline_us, core.executor.run_us(view.shard.handler)
    if deadline_us is None:
        return None
    if task.state == State.RUNNING and rests(core, task) is None:
        left_us = max(0, run_us - (now_us - task.body.history[-1][1]))
    elif starts_in_s is not None:
        left_us = int(starts_in_s * 1e6) + run_us
    else:
        # It may not begin before its time; what else it waits for, nobody knows.
        left_us = run_us + max(0, (task.due_us or now_us) - now_us)
        return False if now_us + left_us > deadline_us else None
    if now_us + left_us > deadline_us:
        return False
    return True if run_us else None


def missing(core: Core, view: TaskView, lane: str) -> tuple[str, str] | None:
    """What people switched off, or have not brought yet."""
    paused = core.book.paused
    if "all:*" in paused:
        return "pause", "everything is paused"
    if f"lane:{lane}" in paused:
        return "pause", f"lane {lane!r} is paused"
    if view.shard.batch and f"batch:{view.shard.batch}" in paused:
        return "pause", f"its batch {encode(view.shard.batch, 'batch')} is paused"
    if view.shard.handler not in core.executor.handlers:
        return "handler", f"no handler {view.shard.handler!r} is registered in the scheduler's process"
    if lane not in core.executor.lanes:
        return "lane", f"the scheduler has no lane {lane!r}"
    return None


def parked(core: Core, view: TaskView, task: Task) -> tuple[str, str] | None:
    """What keeps the whole shard, or this one task, from its turn."""
    if task.id in core.executor.suspects:
        return "alone", "it was in flight at several deaths of its owner and runs alone, when nothing else runs"
    window = core.executor.windows.get(view.shard.id)
    if window is None:
        return None
    if window.parked == "key":
        key, slots = view.shard.concurrency_key, core.executor.slots
        holders = [ref[0] for ref in slots if (seat := slots.seat(ref)) is not None and seat.key == key]
        return "limit", f"concurrency key {key!r} is at its limit{_held_by(holders)}"
    held = limit(core, view)
    if held is not None:
        return "limit", f"{held.detail}{_held_by(held.holders)}"
    return _PARKED.get(window.parked)


def limit(core: Core, view: TaskView) -> Held | None:
    """The limit that a task's shard waits for."""
    window = core.executor.windows.get(view.shard.id)
    return None if window is None else core.executor.queues.why(window, core.book.now_us)


def _held_by(numbers: Sequence[int]) -> str:
    """Who holds what is waited for, the first few by name."""
    if not numbers:
        return ""
    more = f" and {amount(len(numbers) - _NAMED, 'other')}" if len(numbers) > _NAMED else ""
    return f"; held by {', '.join(encode(number) for number in numbers[:_NAMED])}{more}"


def _kept(core: Core, lane: str, grade: int) -> tuple[int, str] | None:
    """How many slots stand empty for higher classes, and for which; None: it is not they that a task waits for."""
    slots = core.executor.slots
    free = slots.free(lane)
    if not free or slots.room(lane, grade) > 0:
        return None
    names = [
        GRADES[above]
        for above in range(grade + 1, len(GRADES))
        if slots.room(lane, above) > slots.room(lane, above - 1)
    ]
    return free, " and ".join(names)
