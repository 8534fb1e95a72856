"""What a running handler may ask and say."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from wsaios.engines.local.failures import shortened
from wsaios.kernel.engine import Attempt, Noted
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.ids import encode
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.limit import MOST_AMOUNT, REQUESTS
from wsaios.kernel.task import Failure
from wsaios.kernel.text import storable

MAX_NOTE_CHARS: Final = 500


class Call(Protocol):
    """What a context sees of the work it belongs to."""

    cancelled: bool
    told: bool

    async def checkpoint(self) -> None:
        """Yield if it is time to, and where it can be done."""


class Context:
    """The call at hand: ids, progress, checkpoint, and whether its end is asked for; usable from any thread.

    In a batched handler it stands for all rows of the call: `progress` applies to each, `task_ids` are theirs in order,
    and what belongs to one task (`task_id`, `batch_id`, `attempt`, `tenant`, `traceparent`) is that of the first row.
    """

    __slots__ = (
        "_attempts",
        "_call",
        "_dirty",
        "_handler",
        "_logger",
        "_note",
        "_post",
        "_saved",
        "_sent",
        "_used",
        "_writer",
    )

    def __init__(
        self,
        call: Call,
        attempts: Sequence[Attempt],
        handler: str,
        post: "Callable[[Context], None]",
        writer: JsonWriter,
    ) -> None:
        self._call = call
        self._attempts = attempts
        self._handler = handler
        self._post = post
        self._writer = writer
        self._note: tuple[float | None, str] = (None, "")
        self._saved = attempts[0].saved if len(attempts) == 1 else None
        self._used: dict[str, float] | None = None
        self._sent: tuple[tuple[float | None, str], bytes | None, dict[str, float] | None]
        self._sent = (self._note, self._saved, None)
        self._dirty = False
        self._logger: Any = None

    def progress(self, fraction: float | None = None, note: str = "") -> None:
        """Say how far this call has come: 0…1 (beyond is cut off; None: unsaid) and a note of at most 500 characters.

        Cheap enough for every step of a loop: only the latest is passed on.

        Raises:
            InvalidInput: `fraction` is no number or NaN, or `note` no text.
        """
        if not isinstance(note, str):
            raise InvalidInput("note", f"must be text, not {type(note).__name__}")
        if fraction is not None:
            fraction = min(1.0, max(0.0, _fraction(fraction)))
        self._note = (fraction, shortened(note, MAX_NOTE_CHARS))
        self._mark()

    def save(self, data: object) -> None:
        """Keep `data` as the checkpoint that the next attempt finds in `saved`; it returns at once.

        It becomes durable soon, and no later than the end of this attempt. The newest checkpoint replaces older ones.

        Raises:
            InvalidInput: `data` is not JSON or too large, or the call has several rows, which may part next time.
        """
        if len(self._attempts) != 1:
            raise InvalidInput("save", "a call with several rows has no checkpoint; register the handler unbatched")
        written = self._writer.write(data, "data")
        if isinstance(written, Failure):
            raise InvalidInput("save", written.message)
        self._saved = written
        self._mark()

    def used(self, **amounts: float) -> None:
        """Say how much this call has used so far of costs that limits count, such as ``used(tokens=812)``.

        The latest says it all, for all rows of the call. At its end what was taken for it and not used is given back,
        and what it used beyond that is taken; a call that says nothing has used what its `costs` say.

        Raises:
            InvalidInput: an amount is no number from 0, or one of requests, which are counted.
        """
        self._used = {
            **(self._used or {}),
            **{storable(unit): _amount(unit, amount) for unit, amount in amounts.items()},
        }
        self._mark()

    async def checkpoint(self) -> None:
        """Let others go first: a coroutine that runs for long calls this between two pieces of its work.

        Under the policy ``mlfq`` a call that used up its time gives its slot away here, and one of a handler that is
        `preemptible` when work of a higher class needs it; it goes on from here when its turn comes. Nothing is
        written, and its time limit stands still meanwhile. Otherwise it costs one turn of the loop. In a thread or a
        worker process it does nothing.
        """
        await self._call.checkpoint()

    @property
    def saved(self) -> Any:
        """The data of the last checkpoint, of this attempt or an earlier one; None when there is none."""
        return None if self._saved is None else msgspec.json.decode(self._saved)

    @property
    def cancelled(self) -> bool:
        """Whether the end of this call is asked for: it was cancelled or has used up its time."""
        return self._call.cancelled

    @property
    def task_id(self) -> str:
        """The id of the task, as users see it."""
        return encode(self._attempts[0].task)

    @property
    def task_ids(self) -> list[str]:
        """The ids of all rows of this call, in their order."""
        return [encode(attempt.task) for attempt in self._attempts]

    @property
    def batch_id(self) -> str | None:
        """The id of the batch that the task is a row of, or None."""
        batch = self._attempts[0].batch
        return encode(batch, "batch") if batch else None

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempts[0].number

    @property
    def tenant(self) -> str:
        """Who the work belongs to."""
        return self._attempts[0].tenant

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that the task was submitted with, or None."""
        return self._attempts[0].traceparent

    @property
    def logger(self) -> Any:
        """A structlog logger bound with task, attempt and handler."""
        if self._logger is None:
            import structlog  # noqa: PLC0415  # costs more than all the rest of this engine, and few handlers ask for it

            ids = self.task_ids if len(self._attempts) > 1 else self.task_id
            self._logger = structlog.get_logger().bind(task=ids, attempt=self.attempt, handler=self._handler)
        return self._logger

    def unsent(self) -> list[Noted]:
        """What was said since the last time, one for each row; for the engine, on its loop."""
        self._dirty = False
        note, saved, used = self._note, self._saved, self._used
        told_note, told_saved, told_used = self._sent
        self._sent = (note, saved, used)
        if self._call.told or (note is told_note and saved is told_saved and used is told_used):
            return []
        fraction, text = note
        news = saved if saved is not told_saved else None
        notes = [Noted(each.task, each.fence, fraction, text, news) for each in self._attempts]
        notes[0].used = used
        return notes

    def _mark(self) -> None:
        # Written before the flag is read, while `unsent` clears the flag before it reads: nothing can be overlooked.
        if not self._dirty:
            self._dirty = True
            self._post(self)


def _fraction(value: object) -> float:
    with suppress(TypeError, ValueError):
        found = float(value)  # type: ignore[arg-type]  # numbers of NumPy and others that are no float
        if not math.isnan(found):
            return found
    raise InvalidInput("fraction", f"{value!r:.80} is no progress; use a number from 0 to 1, or None")


def _amount(unit: str, value: object) -> float:
    if unit == REQUESTS:
        raise InvalidInput(unit, "starts are counted, nobody needs to say how many there were")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_AMOUNT:
        raise InvalidInput(unit, f"must be a number from 0 to {MOST_AMOUNT:g}, not {value!r:.80}")
    return float(value)
