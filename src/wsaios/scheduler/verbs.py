"""Cancel, pause, resume, replay: for one task at once, for a batch, a lane or everything piece by piece."""

from functools import partial
from typing import Final

import msgspec

from wsaios.kernel.errors import NotPossible, UnknownBatch, UnknownLane, UnknownTask
from wsaios.kernel.events import Act, Scope, Token
from wsaios.kernel.ids import IdRange, encode, of_ledger
from wsaios.kernel.ledger import Answer, BatchById, ById, EndedAfter, LiveAfter
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, BatchState, Flag, Outcome, Task
from wsaios.scheduler.book import Book
from wsaios.scheduler.draft import CALLED_OFF

_PIECE: Final = 1000
_REPLAYABLE: Final = (int(State.FAILED), int(State.LOST))


class Sweep(msgspec.Struct):
    """A verb on its way through many tasks: what is left of the id ranges, and how many it met."""

    verb: str
    scope: Scope
    reason: str
    spans: list[tuple[int, int]]
    token: Token = None
    key: str = ""
    met: int = 0


class Verbs:
    """The verbs of people. A sweep that a crash interrupts goes on after the restart: it is a fact until it is done."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def act(self, event: Act) -> None:
        """Do it now, or begin to."""
        scope = event.scope
        if scope.kind == "task":
            self._find(event)
        elif self._unknown(event):
            return
        elif event.verb in {"pause", "resume"}:
            self._switch(event)
        else:
            self._sweep(event.token, event.verb, scope, event.reason)

    def recover(self, key: str, value: object) -> None:
        """Go on with a sweep that a dead owner left."""
        sweep = msgspec.convert(value, Sweep)
        sweep.key = key
        self._next(sweep)

    def cancel(self, task: Task, reason: str) -> None:
        """End a live task as cancelled; what runs is told to stop and can no longer commit."""
        if task.state == State.RUNNING:
            self._book.cancel_attempt(task)
        self._book.close(task, State.CANCELLED, reason, fence=True)

    def _unknown(self, event: Act) -> bool:
        book, scope = self._book, event.scope
        batch = book.batches.get(scope.number)
        if scope.kind == "batch" and batch is not None and batch.state != BatchState.SEALED:
            book.reply(event.token, error=UnknownBatch(encode(scope.number, "batch")))
        elif scope.kind == "batch" and batch is None:
            book.ask(BatchById(scope.number), partial(self._learned, event))
        elif scope.kind == "lane" and scope.name not in book.executor.lanes:
            book.reply(event.token, error=UnknownLane(scope.name, list(book.executor.lanes)))
        else:
            return False
        return True

    def _learned(self, event: Act, answer: Answer) -> None:
        """A batch that is not in memory is finished, or there is none."""
        if not answer.batches:
            self._book.reply(event.token, error=UnknownBatch(encode(event.scope.number, "batch")))
        elif event.verb == "replay":
            self._visit(answer.batches[0])
            self._sweep(event.token, event.verb, event.scope, event.reason)
        else:
            self._book.reply(event.token, 0)

    def _missing(self, outcomes: list[Outcome]) -> bool:
        """Whether batches of these outcomes must be read first; then that is asked for."""
        shards, batches = self._book.shards, self._book.batches
        numbers = {shards[outcome.shard].batch for outcome in outcomes if outcome.shard in shards} - {0}
        missing = [number for number in numbers if number not in batches]
        for number in missing:
            self._book.ask(BatchById(number), partial(self._remember, number))
        return bool(missing)

    def _remember(self, number: int, answer: Answer) -> None:
        gone = Batch(number, BatchState.ABORTED, "", "", 0)
        self._visit(answer.batches[0] if answer.batches else gone)

    def _visit(self, batch: Batch) -> None:
        self._book.batches.setdefault(batch.id, batch)
        self._book.visited.append(batch.id)

    def _find(self, event: Act) -> None:
        task = self._book.tasks.get(event.scope.number)
        if task is not None and task.id not in self._book.ended_now:
            self._one(event, task)
        else:
            self._book.ask(ById((event.scope.number,)), partial(self._found, event))

    def _found(self, event: Act, answer: Answer) -> None:
        tasks = self._book.adopt(answer.tasks)
        name = encode(event.scope.number)
        if tasks:
            self._one(event, tasks[0])
        elif answer.outcomes and event.verb == "replay":
            if self._missing(answer.outcomes):
                self._book.ask(ById((event.scope.number,)), partial(self._found, event))
            else:
                self._replay_one(event, answer.outcomes[0])
        elif answer.outcomes or event.scope.number in self._book.ended_now:
            state = answer.outcomes[0].state if answer.outcomes else self._book.ended_now[event.scope.number]
            self._book.reply(event.token, error=NotPossible(event.verb, name, State(state).word, "it has ended"))
        else:
            self._book.reply(event.token, error=UnknownTask(name))

    def _one(self, event: Act, task: Task) -> None:
        verb, book = event.verb, self._book
        state = State(task.state)
        if verb == "cancel":
            self.cancel(task, event.reason or "cancelled")
            book.reply(event.token, State.CANCELLED)
        elif verb == "pause" and state == State.RUNNING and task.body.flags & Flag.ONCE:
            hint = "it may run at most once, and pausing would run it again; cancel it instead"
            book.reply(event.token, error=NotPossible(verb, encode(task.id), state.word, hint))
        elif verb == "pause" and state != State.PAUSED:
            self.pause(task, event.reason or "paused")
            book.reply(event.token, State.PAUSED)
        elif verb == "resume" and state == State.PAUSED:
            self.resume(task)
            book.reply(event.token, task.state)
        else:
            hint = "it has not ended" if verb == "replay" else ""
            book.reply(event.token, error=NotPossible(verb, encode(task.id), state.word, hint))

    def pause(self, task: Task, reason: str) -> None:
        """Hold a live task that is not paused yet; what runs is told to stop."""
        resume_to = task.state
        if task.state == State.RUNNING:
            self._book.cancel_attempt(task)
            task.body.attempts -= 1
            resume_to = State.READY
        task.body.resume_to = resume_to
        self._book.executor.suspects.pop(task.id, None)
        self._book.move(task, State.PAUSED, reason, fence=True)

    def resume(self, task: Task) -> None:
        """Back to where the task was when it was paused, or further when what it waited for is over."""
        book, body = self._book, task.body
        target = State(body.resume_to or State.READY)
        over = task.due_us is None or task.due_us <= book.now_us
        if target in {State.PENDING, State.RETRYING} and over and not body.dependencies_left:
            target = State.READY
        body.resume_to = 0
        if target == State.READY:
            task.due_us = None
        book.move(task, target, "resumed")
        if target == State.READY:
            book.executor.offer(task, book.shards[task.shard])
        else:
            book.executor.due.add(task)

    def _replay_one(self, event: Act, outcome: Outcome) -> None:
        if outcome.body.step is not None:
            name, run = encode(outcome.id), encode(outcome.body.step[0], "run")
            hint = f"it is the work of a step; retry the run: {run}"
            self._book.reply(event.token, error=NotPossible("replay", name, State(outcome.state).word, hint))
        elif outcome.state not in _REPLAYABLE:
            name = encode(outcome.id)
            self._book.reply(
                event.token,
                error=NotPossible("replay", name, State(outcome.state).word, "only failed and lost ones can be"),
            )
        else:
            self._again(outcome)
            self._book.reply(event.token, State.READY)

    def _again(self, outcome: Outcome) -> None:
        book = self._book
        if outcome.id in book.tasks or book.shards.get(outcome.shard) is None:
            return
        task = book.replay(outcome)
        book.executor.offer(task, book.shards[task.shard])

    def _switch(self, event: Act) -> None:
        """Pause or resume a batch, a lane or everything: a fact that the cycle heeds; no task is touched."""
        book, key = self._book, event.scope.key
        if event.verb == "pause":
            book.paused.add(key)
            book.effects.recalls = True
        else:
            book.paused.discard(key)
        book.commit.facts.append(("pause", key, event.reason or "paused" if event.verb == "pause" else None))
        if event.verb == "resume":
            for window in list(book.executor.windows.values()):
                if window.parked == "pause":
                    book.executor.unpark(window)
        book.reply(event.token, 1)

    def _sweep(self, token: Token, verb: str, scope: Scope, reason: str) -> None:
        upto = self._book.id_high
        spans = [(0, upto)]
        if scope.kind == "batch":
            batch = self._book.batches.get(scope.number)
            spans = [(first, IdRange(first, length).last) for first, length in batch.ranges] if batch else []
            if batch is not None and verb == "cancel" and of_ledger(batch.id):
                # Rows of it may be in the intake still: they end when they are taken in.
                told = self._book.called_off[batch.id] = reason or "cancelled"
                self._book.commit.facts.append((CALLED_OFF, str(batch.id), told))
        sweep = Sweep(verb, scope, reason, spans)
        key = f"{verb} {scope.key} {upto}"
        self._book.commit.facts.append(("sweep", key, msgspec.to_builtins(sweep)))
        sweep.token, sweep.key = token, key
        self._next(sweep)

    def _next(self, sweep: Sweep) -> None:
        if not sweep.spans:
            self._book.commit.facts.append(("sweep", sweep.key, None))
            self._book.reply(sweep.token, sweep.met)
        elif sweep.verb == "cancel":
            self._book.ask(
                LiveAfter(sweep.spans[0][0] - 1, sweep.spans[0][1], _PIECE), partial(self._cancel_piece, sweep)
            )
        else:
            question = EndedAfter(sweep.spans[0][0] - 1, sweep.spans[0][1], _REPLAYABLE, _PIECE)
            self._book.ask(question, partial(self._replay_piece, sweep))

    def _cancel_piece(self, sweep: Sweep, answer: Answer) -> None:
        for task in self._book.adopt(answer.tasks):
            if self._meets(sweep.scope, task.shard):
                self.cancel(task, sweep.reason or "cancelled")
                sweep.met += 1
        self._advance(sweep, [task.id for task in answer.tasks])

    def _replay_piece(self, sweep: Sweep, answer: Answer) -> None:
        if self._missing(answer.outcomes):
            self._next(sweep)
            return
        for outcome in answer.outcomes:
            # A run that ended is run again as a whole.
            if outcome.body.step is None and self._meets(sweep.scope, outcome.shard):
                self._again(outcome)
                sweep.met += 1
        self._advance(sweep, [outcome.id for outcome in answer.outcomes])

    def _advance(self, sweep: Sweep, ids: list[int]) -> None:
        if len(ids) < _PIECE:
            sweep.spans.pop(0)
        else:
            sweep.spans[0] = (ids[-1] + 1, sweep.spans[0][1])
        self._next(sweep)

    def _meets(self, scope: Scope, number: int) -> bool:
        shard = self._book.shards.get(number)
        if shard is None:
            return False
        if scope.kind == "batch":
            return shard.batch == scope.number
        if scope.kind == "lane":
            spec = self._book.executor.handlers.get(shard.handler)
            return (shard.lane or (spec.lane if spec else "")) == scope.name
        return True
