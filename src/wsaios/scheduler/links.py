"""What the end of a task does to those that depend on it."""

from functools import partial

from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, ById, DependentsOf
from wsaios.kernel.states import State
from wsaios.kernel.task import Task
from wsaios.scheduler.book import Book

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
            self._ask(parent, ended[parent])

    def _found(self, parent: int, answer: Answer) -> None:
        if answer.outcomes:
            self._ask(parent, State(answer.outcomes[0].state))
        else:
            self._book.commit.releases_done.append(parent)

    def _ask(self, parent: int, state: State) -> None:
        self._book.ask(DependentsOf(parent, _PIECE), partial(self._tell, parent, state))

    def _tell(self, parent: int, state: State, answer: Answer) -> None:
        book = self._book
        children = {task.id: task for task in book.adopt(answer.tasks)}
        for link in answer.links:
            book.commit.links_done.append(link)
            child = children.get(link[1])
            if child is not None and child.id not in book.ended_now:
                self._one(child, parent, state)
        if len(answer.links) >= _PIECE:
            self._ask(parent, state)
        else:
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
