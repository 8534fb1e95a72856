"""What a core that was thrown away leaves to the next one: the attempts that the engine still runs."""

from collections.abc import Iterable, Sequence

from wsaios.kernel.engine import AttemptRef, Ended, Freed, Report, Resumed, Unbegun, Work, WorkerLost
from wsaios.kernel.events import Effects
from wsaios.kernel.executor import RESTS, Executor, Yields
from wsaios.kernel.states import State
from wsaios.kernel.task import Task
from wsaios.scheduler.book import Book

Ref = tuple[int, int]


class Heritage:
    """The owner lives on, and so do its workers: what they run goes on, under the fence that it has.

    `alive` are attempts of which the engine has said nothing final that was committed; `never` are those that were
    decided and not dispatched; `sizes` are those of micro-batches whose attempts left in vain.
    """

    def __init__(self) -> None:
        self.alive: set[Ref] = set()
        self.never: set[Ref] = set()
        self.sizes: dict[AttemptRef, int] = {}
        self.resumed: list[Ref] = []
        self.yields: Yields | None = None

    def take(
        self,
        before: "Heritage",
        executor: Executor,
        lost: Sequence[Effects],
        unsent: Iterable[Work],
        reports: Iterable[Report],
    ) -> None:
        """From a core with this executor, that had a heritage itself: what it decided in `lost` left in vain.

        `unsent` left and came to no engine; `reports` come once more.
        """
        self.yields = before.yields or executor.yields
        works = [*unsent, *(work for effects in lost for work in effects.works)]
        never = {(attempt.task, attempt.fence) for work in works for attempt in work.attempts}
        for ref in never:
            executor.slots.leave(ref, None)
        # Whether the core before this one wrote down what never ran, nobody knows until a commit says so.
        self.never = never | before.never
        self.alive = {*executor.slots, *before.alive, *(ref for each in reports for ref in _over(each))} - self.never
        self.resumed = [*before.resumed, *(each.ref for effects in lost for each in effects.resumes)]
        self.sizes = dict(before.sizes)
        for effects in lost:
            self.sizes.update(effects.sizes)

    def runs_on(self, task: Task) -> bool:
        """Whether what a task ran with still runs, or its end is still to be heard of."""
        return (task.id, task.fence) in self.alive

    def settle(self, book: Book) -> None:
        """Once the tasks are known: what nobody waits for any more ends, and what rests stands in line again."""
        executor, effects = book.executor, book.effects
        for ref in [*executor.slots]:
            task, seat = book.tasks.get(ref[0]), executor.slots.seat(ref)
            if task is None or task.state != State.RUNNING or task.fence != ref[1]:
                effects.cancels.append(AttemptRef(*ref))
                if seat is not None and seat.away & RESTS:
                    self.resumed.append(ref)
        for ref in dict.fromkeys(self.resumed):
            effects.resumes.append(Resumed(AttemptRef(*ref), executor.yields.goes_on(ref, book.now_us)))
        if self.yields is not None:
            executor.yields.inherit(self.yields)
        self.alive, self.resumed, self.yields = set(), [], None

    def landed(self) -> None:
        """A commit is durable: what never ran is written down as such."""
        if self.never and not self.alive:
            self.never = set()


def _over(report: Report) -> list[Ref]:
    """The attempts that a report ends."""
    if isinstance(report, WorkerLost):
        return [*report.held]
    return [(report.task, report.fence)] if isinstance(report, Ended | Freed | Unbegun) else []
