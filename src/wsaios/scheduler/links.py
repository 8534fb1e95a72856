"""What the end of a task does to those that depend on it."""

from functools import partial

from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, ById, DependentsOf
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
        """Ask for the dependents of everything that ended in this step."""
        ended = {closed.outcome.id: State(closed.outcome.state) for closed in self._book.effects.closed}
        for parent in self._book.commit.releases:
            self._begin(parent, ended[parent])

    def _found(self, parent: int, answer: Answer) -> None:
        if answer.outcomes and parent not in self._book.tasks:
            self._begin(parent, State(answer.outcomes[0].state))

    def _begin(self, parent: int, state: State) -> None:
        telling = self._book.telling[parent] = Telling(parent, state)
        self._ask(telling)

    def _ask(self, telling: Telling) -> None:
        self._book.ask(DependentsOf(telling.parent, _PIECE), partial(self._tell, telling))

    def _tell(self, telling: Telling, answer: Answer) -> None:
        book, parent, state = self._book, telling.parent, telling.state
        if book.telling.get(parent) is not telling:
            return
        children = {task.id: task for task in book.adopt(answer.tasks)}
        for link in answer.links:
            book.commit.links_done.append(link)
            child = children.get(link[1])
            if child is not None and child.id not in book.ended_now:
                self._one(child, parent, state)
        if len(answer.links) >= _PIECE:
            self._ask(telling)
        else:
            del book.telling[parent]
            book.commit.releases_done.append(parent)

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
