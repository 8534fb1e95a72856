"""Another policy while work waits: what waits gets its new place in small steps, each in a commit of its own."""

from typing import Any, Final

import msgspec

from wsaios.kernel.engine import AttemptRef
from wsaios.kernel.events import Reorder
from wsaios.kernel.executor import RESTS
from wsaios.kernel.ids import IdRange
from wsaios.kernel.ledger import Answer, LiveAfter
from wsaios.kernel.policy import Ordering
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch
from wsaios.scheduler.book import Book

ORDER: Final = ("policy", "order")
_MOVING: Final = ("policy", "moving")
_PIECE: Final = 500


class Reordering:
    """Walks over all live tasks by id, and begins anew when a crash interrupts it.

    What comes in meanwhile has its place by the new policy already. `busy`: some may still stand where the old one
    put them.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._spans: list[tuple[int, int]] = []
        self._changed_us = -1

    @property
    def busy(self) -> bool:
        """Whether some of what waits may have an old place."""
        return bool(self._spans)

    def change(self, event: Reorder) -> None:
        """Order by another policy from now on; the reply comes once that is durable."""
        book, ordering = self._book, event.ordering
        self.set(ordering)
        book.reply(event.token, ordering)

    def set(self, ordering: Ordering) -> None:
        """As `change`, without anyone who waits for it."""
        book = self._book
        before = book.executor.ordering
        book.executor.order(ordering)
        self._running(timed=ordering.policy != before.policy)
        book.commit.facts.append((*ORDER, msgspec.to_builtins(ordering)))
        self._changed_us = book.now_us
        self._walk([(0, book.id_high)])

    def _running(self, *, timed: bool) -> None:
        """Calls that rest or may have to make room stand by the new policy too, and learn their time from it."""
        book, executor = self._book, self._book.executor
        timed = timed and executor.yields.quantum_us() is not None
        for ref in executor.slots:
            seat, task = executor.slots.seat(ref), book.tasks.get(ref[0])
            if seat is None or task is None or task.state != State.RUNNING or task.fence != ref[1]:
                continue
            if seat.turn is not None:
                executor.yields.renew(task, executor.place(book.shards[task.shard], task.body, book.now_us))
            if timed and executor.kinds.get(seat.lane) == "async" and not seat.away & RESTS:
                # They learn it when they are resumed. What rests already is told then.
                book.effects.preempts.append(AttemptRef(*ref))

    def sealed(self, batch: Batch) -> None:
        """Rows that were staged before the policy changed exist from now on."""
        if batch.created_us <= self._changed_us:
            self._walk([(first, IdRange(first, length).last) for first, length in batch.ranges if length])

    def recover(self, facts: list[tuple[str, str, Any]]) -> None:
        """Go on with what a dead owner began."""
        if any((component, key) == _MOVING and value for component, key, value in facts):
            self._walk([(0, self._book.id_high)])

    def _walk(self, spans: list[tuple[int, int]]) -> None:
        if not self._spans:
            self._book.commit.facts.append((*_MOVING, True))
        busy, self._spans = self.busy, [*self._spans, *spans]
        if not busy:
            self._next()

    def _next(self) -> None:
        if self._spans:
            first, last = self._spans[0]
            self._book.ask(LiveAfter(first - 1, last, _PIECE), self._piece)
        else:
            self._book.commit.facts.append((*_MOVING, None))

    def _piece(self, answer: Answer) -> None:
        book = self._book
        for task in book.adopt(answer.tasks):
            shard = book.shards[task.shard]
            key = book.executor.place(shard, task.body, book.now_us)
            if key != task.key:
                book.executor.move(task, shard, key)
                book.touch(task)
        # Who let a better one under the same key go first may be the better one now.
        for window in list(book.executor.windows.values()):
            if window.parked == "key":
                book.executor.unpark(window)
        ids = [task.id for task in answer.tasks]
        if len(ids) < _PIECE:
            self._spans.pop(0)
        else:
            self._spans[0] = (ids[-1] + 1, self._spans[0][1])
        self._next()
