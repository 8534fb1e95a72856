"""Triggers: when something starts by itself, what it is, and what has become of it so far."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, Final, Literal, NamedTuple

import msgspec

from wsaios.kernel.expression import Expressions

Overlap = Literal["allow", "skip", "queue", "cancel_running"]
"""What a firing does while what the last one started has not ended: start beside it, not at all, after it, or in place
of it."""
CatchUp = Literal["none", "one", "all"]
"""Which of the times that passed while no scheduler ran are made up for: none, the last one, or all up to a limit."""
TriggerVerb = Literal["pause", "resume", "remove", "fire"]
LATE_US: Final = 60_000_000
"""A time that is no later than this was not missed, whatever catches up."""

Zones = Callable[[str], tzinfo]
"""The time zone of a name; LookupError, ValueError or OSError where there is none."""


class OnCron(msgspec.Struct, frozen=True, tag_field="on", tag="cron"):
    """At the times of a cron expression in a time zone; `catch_up_limit` bounds ``"all"``."""

    expression: str
    tz: str = "UTC"
    catch_up: CatchUp = "one"
    catch_up_limit: int = 100


class OnTime(msgspec.Struct, frozen=True, tag_field="on", tag="time"):
    """Once, at that time or as soon after it as a scheduler runs."""

    at_us: int


class OnEvent(msgspec.Struct, frozen=True, tag_field="on", tag="event"):
    """At each event of that name over which the expression `where` is true; none: at each."""

    event: str
    where: str = ""


class OnChange(msgspec.Struct, frozen=True, tag_field="on", tag="change"):
    """When the value of a state key is another one: an exact key, or ``prefix*`` for each value below it."""

    key: str
    where: str = ""


When = OnCron | OnTime | OnEvent | OnChange


class StartTask(msgspec.Struct, frozen=True, tag_field="start", tag="task"):
    """One task. `arguments` None: an event's data, a change's key, old and new; otherwise none."""

    handler: str
    arguments: dict[str, Any] | None = None
    options: dict[str, Any] = {}


class StartBatch(msgspec.Struct, frozen=True, tag_field="start", tag="batch"):
    """A batch of these rows, or of those that an expression such as ``${ event.data.items }`` gives."""

    handler: str
    rows: list[dict[str, Any]] | str
    options: dict[str, Any] = {}


class StartWorkflow(msgspec.Struct, frozen=True, tag_field="start", tag="workflow"):
    """A run of a published workflow, in a version that new runs of its name get at the firing.

    `input` None: an event's data; of a change's key, old and new those that it declares; otherwise nothing.
    """

    workflow: str
    input: dict[str, Any] | None = None
    options: dict[str, Any] = {}


Start = StartTask | StartBatch | StartWorkflow
"""What a trigger starts: another kind is a class here and a branch in `planning.starting.prepare` and in
`scheduler.triggers.starting`."""


class TriggerSpec(msgspec.Struct, frozen=True):
    """A trigger as it was declared."""

    name: str
    when: When
    start: Start
    overlap: Overlap = "allow"


class Standing(msgspec.Struct):
    """What has become of a trigger; times in µs UTC.

    It exists since `since_us`; of its times those up to `through_us` are decided. `last` is the id of what it started
    last, for the time `last_us`, and `live` while that has not ended; `leaving` are tasks that it told to end.
    `skipped` counts firings that their overlap policy kept back, or for which there was nothing to start; `missed`
    those that nothing caught up with.
    """

    since_us: int
    through_us: int
    paused: bool = False
    fired: int = 0
    skipped: int = 0
    missed: int = 0
    last_us: int | None = None
    last: str = ""
    live: bool = False
    leaving: list[int] = []
    fault: str = ""


class Moment(msgspec.Struct, frozen=True):
    """One firing: the time that it is for, a `key` that no other one has, and what set it off."""

    at_us: int
    key: str
    event: dict[str, Any] | None = None
    change: dict[str, Any] | None = None


class Waiting(msgspec.Struct, frozen=True):
    """A firing that waits until what the one before it started has ended, or until its workflow is in memory."""

    trigger: str
    place: int
    moment: Moment


class Emitted(msgspec.Struct, frozen=True):
    """An event as it was emitted; `heard`: steps of runs have been told of it, and triggers not yet."""

    id: int
    name: str
    data: Any
    at_us: int
    heard: bool = False


class Languages(NamedTuple):
    """What the texts in a trigger are read with: names of time zones, and expressions."""

    zones: Zones
    expressions: Expressions


class TriggerView(msgspec.Struct, frozen=True):
    """Where a trigger stands. Times are UTC; `state` is active, paused, done (a time that is over) or broken."""

    name: str
    spec: TriggerSpec
    state: str
    declared_at: datetime
    next_at: datetime | None = None
    last_for: datetime | None = None
    last_started: str | None = None
    running: bool = False
    waiting: int = 0
    fired: int = 0
    skipped: int = 0
    missed: int = 0
    fault: str = ""
