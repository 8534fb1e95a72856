"""What the end of a task does to those that depend on it."""

from functools import partial

from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, ById, DependentsOf, DependentsOfMany
from wsaios.kernel.states import State
from wsaios.kernel.task import Task
from wsaios.scheduler.book import Book
from wsaios.scheduler.draft import Telling

_PIECE = 1000


class Links:
    """Tells dependents, piece by piece, so that a parent of a million children costs no more memory than one of ten."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def recover(self, parents: list[int]) -> None:
        """Go on with releases that a dead owner left."""
        for parent in parents:
            self._book.ask(ById((parent,)), partial(self._found, parent))

    def release(self) -> None:
        """Ask for the dependents of everything that ended in this step, in one question."""
        ended = {closed.outcome.id: State(closed.outcome.state) for closed in self._book.effects.closed}
        tellings = [self._begin(parent, ended[parent]) for parent in sorted(self._book.commit.releases)]
        if len(tellings) == 1:
            self._ask(tellings[0])
        elif tellings:
            parents = tuple(telling.parent for telling in tellings)
            self._book.ask(DependentsOfMany(parents, _PIECE), partial(self._tell_many, tellings))

    def _found(self, parent: int, answer: Answer) -> None:
        if answer.outcomes and parent not in self._book.tasks:
            self._ask(self._begin(parent, State(answer.outcomes[0].state)))

    def _begin(self, parent: int, state: State) -> Telling:
        telling = self._book.telling[parent] = Telling(parent, state)
        return telling

    def _ask(self, telling: Telling) -> None:
        self._book.ask(DependentsOf(telling.parent, _PIECE), partial(self._tell, telling))

    def _tell(self, telling: Telling, answer: Answer) -> None:
        whole = len(answer.links) < _PIECE
        self._apply(telling, answer.links, self._children(answer), whole=whole)

    def _tell_many(self, tellings: list[Telling], answer: Answer) -> None:
        links: dict[int, list[tuple[int, int]]] = {}
        for link in answer.links:
            links.setdefault(link[0], []).append(link)
        cut = answer.links[-1][0] if len(answer.links) >= _PIECE else None
        children = self._children(answer)
        for telling in tellings:
            whole = cut is None or telling.parent < cut
            self._apply(telling, links.get(telling.parent, []), children, whole=whole)

    def _children(self, answer: Answer) -> dict[int, Task]:
        return {task.id: task for task in self._book.adopt(answer.tasks)}

    def _apply(self, telling: Telling, links: list[tuple[int, int]], children: dict[int, Task], *, whole: bool) -> None:
        book, parent = self._book, telling.parent
        if book.telling.get(parent) is not telling:
            return
        for link in links:
            book.commit.links_done.append(link)
            child = children.get(link[1])
            if child is not None and child.id not in book.ended_now:
                self._one(child, parent, telling.state)
        if whole:
            del book.telling[parent]
            book.commit.releases_done.append(parent)
        else:
            self._ask(telling)

    def _one(self, child: Task, parent: int, state: State) -> None:
        book = self._book
        child.body.dependencies_left = max(0, child.body.dependencies_left - 1)
        if state != State.SUCCEEDED:
            book.close(child, State.CANCELLED, f"dependency {encode(parent)} is {state.word}", fence=True)
            return
        book.touch(child)
        if child.body.dependencies_left or child.state != State.PENDING:
            return
        if child.due_us is None or child.due_us <= book.now_us:
            child.due_us = None
            book.move(child, State.READY, "its dependencies succeeded")
            book.executor.offer(child, book.shards[child.shard])
