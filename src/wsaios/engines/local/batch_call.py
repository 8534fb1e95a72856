"""A call of a batched handler, halved until the row that fails is found."""

from collections.abc import Sequence
from typing import Any, Final

from wsaios.engines.local.answers import GiveUp, RetryAfter
from wsaios.engines.local.arguments import arguments_of
from wsaios.engines.local.outcomes import failed, raised, returned, stopped
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Attempt, Ended
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.json_text import JsonWriter

MISMATCH: Final = "WrongResults"

Part = Sequence[Attempt]


class BatchCall:
    """Says which rows to call next and takes what came of it; knows nothing of threads and loops.

    A call that raises is repeated in halves, in row order, down to single rows; never when rows may run at most once.
    """

    def __init__(self, run: Run, writer: JsonWriter) -> None:
        self._run = run
        self._writer = writer
        self._ended: list[Ended] = []
        self._parts: list[Part] = [run.attempts]

    def next(self) -> tuple[Part, list[dict[str, Any]]] | None:
        """Which attempts to call next and their rows, fresh ones; None when all are done or the end was asked for."""
        while self._parts and not self._run.cancelled:
            part: list[Attempt] = []
            rows: list[dict[str, Any]] = []
            for attempt in self._parts.pop():
                try:
                    rows.append(arguments_of(attempt))
                    part.append(attempt)
                except InvalidInput as error:
                    self._ended += raised((attempt,), error)
            if part:
                return part, rows
        return None

    def returned(self, part: Part, results: object) -> None:
        """The call of `part` returned."""
        name, rows = self._run.handler.name, len(part)
        if not isinstance(results, list):
            kind = type(results).__name__
            message = f"{name} was given {rows} rows and returned {kind} instead of a list of {rows} results"
            self._ended += failed(part, MISMATCH, message)
        elif len(results) != rows:
            message = f"{name} was given {rows} rows and returned {len(results)} results; return one per row, in order"
            self._ended += failed(part, MISMATCH, message)
        else:
            writer = self._writer
            self._ended += [returned(attempt, value, writer) for attempt, value in zip(part, results, strict=True)]

    def raised(self, part: Part, error: BaseException) -> None:
        """The call of `part` raised."""
        if len(part) == 1 or self._run.work.at_most_once or isinstance(error, (RetryAfter, GiveUp)):
            self._ended += raised(part, error)
            return
        middle = len(part) // 2
        self._parts += [part[middle:], part[:middle]]

    def over(self) -> list[Ended]:
        """The ends of all rows; those that were not done are stopped."""
        done = list(self._ended)
        known = {end.task for end in done}
        return done + stopped(self._run, [each for each in self._run.attempts if each.task not in known])
