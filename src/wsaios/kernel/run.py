"""A run of a workflow and its steps, as the ledger stores them and the core holds them."""

from enum import IntEnum
from typing import Any, Final

import msgspec

from wsaios.kernel.task import DEFAULT_TENANT, Failure

WHOLE: Final = -1
"""The item of a row that is for a step as a whole, not for an element of its list."""


class RunState(IntEnum):
    """Where a run stands; those from SUCCEEDED on are ends."""

    RUNNING = 1
    PAUSED = 2
    CANCELLING = 3
    SUCCEEDED = 6
    FAILED = 7
    CANCELLED = 8

    @property
    def word(self) -> str:
        """The state as users write it."""
        return self.name.lower()

    @property
    def ended(self) -> bool:
        """Whether it is an end."""
        return self >= RunState.SUCCEEDED


class StepState(IntEnum):
    """What a row of a step says; PENDING has no row. Those from SUCCEEDED on are ends.

    TASK: it is where its task is. LIST: its tasks are those of its items. WAITING: for its event; TOLD: that came, and
    the rest has not begun.
    """

    PENDING = 0
    TASK = 1
    LIST = 2
    WAITING = 3
    TOLD = 4
    SUCCEEDED = 6
    FAILED = 7
    CANCELLED = 8
    SKIPPED = 9

    @property
    def word(self) -> str:
        """The state as users write it."""
        return self.name.lower()


class Run(msgspec.Struct, array_like=True):
    """A run; `input` and `output` are texts of JSON, `output` None where the definition says none.

    `failure` is known as soon as it cannot succeed any more; `tries` counts how often it was run again after its end.
    """

    id: int
    state: int
    version: str
    name: str
    tenant: str = DEFAULT_TENANT
    priority: int = 0
    created_us: int = 0
    ended_us: int = 0
    tries: int = 0
    input: str = "{}"
    output: str | None = None
    failure: Failure | None = None


class StepRow(msgspec.Struct, array_like=True, gc=False):
    """One row of a step: of a step as a whole (`item` WHOLE) or of one item; `task` 0: it has none.

    `data` is a text of JSON: the result of a step without a task, the event that came, or for LIST
    ``{"items": […], "event": …}``. The ledger tells `ended`, the state in which the task ended (0: it has not), and
    `size`, the bytes of its result; both are not written.
    """

    run: int
    number: int
    item: int
    task: int
    state: int
    at_us: int
    data: str | None = None
    failure: Failure | None = None
    ended: int = 0
    size: int = 0

    @property
    def key(self) -> tuple[int, int, int]:
        """What the ledger knows it by."""
        return self.run, self.number, self.item


class StoredDefinition(msgspec.Struct, array_like=True):
    """A definition by its version, the hash of its content."""

    version: str
    name: str
    created_us: int
    content: bytes = b""


class NewRun(msgspec.Struct):
    """A run as it comes in, with its input checked; `plan` is what `planning` made of its definition.

    `digest` is a hash of what is asked for, compared when the same `idempotency_key` comes again.
    """

    plan: Any
    input: str
    tenant: str = DEFAULT_TENANT
    priority: int = 0
    idempotency_key: str = ""
    digest: str = ""


class PublishedVersion(msgspec.Struct, frozen=True):
    """A version that was published under the name of its workflow: the `number`-th of that name, from 1."""

    number: int
    version: str
    note: str
    who: str
    at_us: int


class Published(msgspec.Struct):
    """A name, its versions in their order, and `route`: how many of a hundred new runs get which number."""

    name: str
    versions: list[PublishedVersion] = []
    route: dict[int, int] = {}

    def numbered(self, number: int) -> PublishedVersion | None:
        """One of the versions."""
        return next((each for each in self.versions if each.number == number), None)
