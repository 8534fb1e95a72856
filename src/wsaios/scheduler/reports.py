"""What becomes of the engine's reports: outcomes, retries and losses.

Those whose fence is over are counted and refused.
"""

from collections.abc import Sequence
from typing import Final

from wsaios.kernel.engine import (
    Aside,
    AtHand,
    AttemptRef,
    Ended,
    Freed,
    Noted,
    Report,
    Resumed,
    Started,
    Unbegun,
    Verdict,
    WorkerLost,
    Yielded,
)
from wsaios.kernel.executor import Seat
from wsaios.kernel.ledger import Payload
from wsaios.kernel.limit import REFUSALS, millionths
from wsaios.kernel.policy import Mlfq
from wsaios.kernel.ports import Rng
from wsaios.kernel.retry import POISON_LOSSES, backoff_s, exhausted, half, wait_us
from wsaios.kernel.states import State
from wsaios.kernel.task import Effective, Failure, Flag, Task
from wsaios.kernel.text import storable
from wsaios.scheduler.book import Book

_SUCCEEDED: Final = Verdict.SUCCEEDED
_RUNNING: Final = int(State.RUNNING)
_UNASKED: Final = Failure("Cancelled", "the attempt ended itself as cancelled")
_NO_FAILURE: Final = Failure("Unknown", "the engine gave no reason")


class Reports:
    """Applies reports to tasks and slots.

    `sizes` are those of micro-batches whose seats a core before this one gave away in vain.
    """

    def __init__(self, book: Book, rng: Rng) -> None:
        self._book = book
        self._rng = rng
        self.sizes: dict[AttemptRef, int] = {}

    def take(self, reports: Sequence[Report]) -> None:
        """A slot is freed exactly once, an outcome counts only under the current fence."""
        book = self._book
        learns = book.executor.slots.gates.learns
        for report in reports:
            if type(report) is not Ended:
                self._other(report)
                continue
            if learns:
                self._learn(report)
            if report.verdict == _SUCCEEDED:
                ref = (report.task, report.fence)
                if report.freed:
                    book.free(ref)
                task = self._holder(ref)
                if task is not None:
                    book.close(task, State.SUCCEEDED, result=report.result)
            else:
                self._ended(report)

    def _learn(self, report: Ended) -> None:
        """A limit that learns hears of what went well, and of what a service refused because it came too fast."""
        gates, now_us = self._book.executor.slots.gates, self._book.now_us
        if report.verdict == _SUCCEEDED:
            gates.told((report.task, report.fence), None, now_us)
        elif report.verdict == Verdict.RETRY_AFTER:
            gates.told((report.task, report.fence), wait_us(report.retry_after_s), now_us)
        elif report.failure is not None and report.failure.kind in REFUSALS:
            gates.told((report.task, report.fence), 0, now_us)

    def _other(self, report: Report) -> None:
        if type(report) is Noted:
            self._noted(report)
        elif type(report) is WorkerLost:
            self._lost(report)
        elif type(report) is Freed:
            self._book.free((report.task, report.fence))
        elif type(report) is Aside:
            book = self._book
            ref = report.task, report.fence
            book.executor.slots.stand(ref, aside=not report.back, now_us=book.now_us)
        elif type(report) is Yielded:
            self._yielded(report)
        elif type(report) is Unbegun:
            self._unbegun((report.task, report.fence))
        elif type(report) is AtHand:
            self._book.executor.lent.lend(report.lane, report.handler, report.rows)
        else:
            assert type(report) is Started
            self._book.counts["started"] += 1

    def _ended(self, report: Ended) -> None:
        ref = (report.task, report.fence)
        seat = self._book.free(ref) if report.freed else self._book.executor.slots.seat(ref)
        task = self._holder(ref)
        if task is None:
            return
        failure = _storable(report.failure or _NO_FAILURE)
        options = self._options(task)
        self._charge(task, seat)
        if report.verdict == Verdict.FAILED:
            self._failed(task, options, failure)
        elif report.verdict == Verdict.TIMED_OUT:
            size = self.sizes.pop(AttemptRef(*ref), 1) if seat is None else seat.size
            self._timed_out(task, options, failure, size)
        elif report.verdict == Verdict.RETRY_AFTER:
            task.body.attempts -= 1
            self._retry(task, report.retry_after_s, f"the handler asked to be called again: {failure.message}")
        elif report.verdict == Verdict.GIVEN_UP:
            self._book.close(task, State.FAILED, f"given up: {failure.message}", failure=failure)
        else:
            self._failed(task, options, failure if report.failure else _UNASKED)

    def _charge(self, task: Task, seat: Seat | None) -> None:
        """Feedback queues: what runs again stands where the time that it used puts it; a coroutine has its level."""
        book = self._book
        policy = book.executor.ordering.policy
        if isinstance(policy, Mlfq) and seat is not None and book.executor.kinds.get(seat.lane) != "async":
            used_us = seat.used_us + (0 if seat.away else book.now_us - seat.since_us)
            task.key = policy.again(task.key, used_us, book.now_us)

    def _failed(self, task: Task, options: Effective, failure: Failure) -> None:
        reason = str(failure)
        if exhausted(options, task.body.attempts):
            self._book.close(task, State.FAILED, reason, failure=failure)
        else:
            self._retry(task, backoff_s(options, task.body.attempts, self._rng), reason)

    def _timed_out(self, task: Task, options: Effective, failure: Failure, size: int) -> None:
        if size > 1 and not task.body.flags & Flag.ONCE:
            task.body.cap = half(size)
            self._requeue(task, f"its micro-batch of {size} timed out; tried again in halves")
        elif exhausted(options, task.body.attempts):
            self._book.close(task, State.FAILED, str(failure), failure=failure, fence=True)
        else:
            wait_s = backoff_s(options, task.body.attempts, self._rng)
            self._retry(task, wait_s, str(failure), fence=True)

    def _retry(self, task: Task, wait_s: float, reason: str, *, fence: bool = False) -> None:
        book = self._book
        book.move(task, State.RETRYING, reason, fence=fence)
        task.due_us = book.now_us + wait_us(wait_s)
        book.executor.due.add(task)

    def _requeue(self, task: Task, reason: str, *, counted: bool = False) -> None:
        """Back to the queue under a new fence, or `lost` where a second run is not allowed."""
        book = self._book
        if counted:
            book.close(task, State.LOST, reason, failure=Failure("Lost", reason), fence=True)
            return
        task.body.attempts -= 1
        task.due_us = None
        book.move(task, State.READY, reason, fence=True)
        book.executor.offer(task, book.shards[task.shard])

    def _lost(self, report: WorkerLost) -> None:
        book = self._book
        alone = len(report.held) == 1
        for ref in report.held:
            seat = self._book.free((ref.task, ref.fence))
            task = self._holder((ref.task, ref.fence))
            if task is None:
                continue
            if task.body.flags & Flag.ONCE:
                self._requeue(task, report.reason, counted=True)
            elif not alone:
                size = min(len(report.held), seat.size) if seat is not None else len(report.held)
                task.body.cap = half(size)
                self._requeue(task, f"{report.reason}; tried again in halves" if size > 1 else report.reason)
            else:
                task.body.losses += 1
                if task.body.losses >= POISON_LOSSES:
                    reason = f"poison: {task.body.losses} workers died while they held this attempt and nothing else"
                    book.close(task, State.FAILED, reason, failure=Failure("Poison", reason), fence=True)
                else:
                    self._requeue(task, report.reason)

    def _yielded(self, report: Yielded) -> None:
        """It goes on running, without a slot; nothing is written. One that no longer counts is let go, to its end."""
        book, ref = self._book, (report.task, report.fence)
        if report.back:
            book.executor.yields.goes_on(ref, book.now_us)
            return
        task = self._holder(ref)
        if task is not None:
            shard = book.shards[task.shard]
            book.executor.yields.rest(task, shard, book.now_us, used_up=report.used_up)
        else:
            book.effects.resumes.append(Resumed(AttemptRef(*ref), None))

    def _unbegun(self, ref: tuple[int, int]) -> None:
        self._book.free(ref, begun=False)
        task = self._holder(ref)
        if task is not None:
            self._requeue(task, "given back before it began: every worker of its lane is at work")

    def _noted(self, report: Noted) -> None:
        if report.used is not None:
            # It was used, whoever holds the task now.
            seat = self._book.executor.slots.seat((report.task, report.fence))
            if seat is not None:
                seat.spent = {unit: millionths(amount) for unit, amount in report.used.items()}
        task = self._holder((report.task, report.fence))
        if task is None:
            return
        if report.fraction is not None or report.note:
            self._book.notes[task.id] = (report.fraction, storable(report.note))
        if report.saved is not None:
            self._book.commit.saved.append(Payload(task.id, 0, report.saved))

    def _holder(self, ref: tuple[int, int]) -> Task | None:
        """The task that this attempt still holds; a stale report is counted and refused."""
        task = self._book.tasks.get(ref[0])
        if task is None or task.state != _RUNNING or task.fence != ref[1]:
            self._book.counts["stale"] += 1
            return None
        return task

    def _options(self, task: Task) -> Effective:
        shard = self._book.shards[task.shard]
        return self._book.executor.options(task, shard.handler)


def _storable(failure: Failure) -> Failure:
    """What an engine said, whatever engine it was: nothing of it may stand in the way of the commit."""
    return Failure(storable(failure.kind), storable(failure.message), storable(failure.traceback))
