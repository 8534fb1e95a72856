"""The core: one step decides everything in memory, and says what to commit and what may leave afterwards."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from wsaios.kernel import events as ev
from wsaios.kernel.engine import AttemptRef, Report, Work
from wsaios.kernel.executor import Executor, Timer, Window
from wsaios.kernel.faculties import Hub
from wsaios.kernel.ledger import Answer, Committed, DueAfter, ExpiringAfter, Opening, ReadyAfter
from wsaios.kernel.limit import Limit
from wsaios.kernel.policy import Ordering
from wsaios.kernel.ports import Rng
from wsaios.kernel.retry import SUSPECT_DEATHS
from wsaios.kernel.states import State
from wsaios.kernel.task import BatchState, Failure, Flag, Task
from wsaios.scheduler.batches import Batches
from wsaios.scheduler.book import Book
from wsaios.scheduler.bounds import Bounds
from wsaios.scheduler.catalog import Catalog
from wsaios.scheduler.cycle import Cycle
from wsaios.scheduler.heritage import Heritage
from wsaios.scheduler.intake import Intake
from wsaios.scheduler.leftovers import Leftovers
from wsaios.scheduler.links import Links
from wsaios.scheduler.pursuit import Pursuit
from wsaios.scheduler.reorder import Reordering
from wsaios.scheduler.reports import Reports
from wsaios.scheduler.runs import Runs
from wsaios.scheduler.triggers.plans import Plans
from wsaios.scheduler.triggers.starting import Starting
from wsaios.scheduler.triggers.triggers import Triggers
from wsaios.scheduler.verbs import Verbs

_LOADS: Final = (ReadyAfter, DueAfter, ExpiringAfter)
_DUE_AT_ONCE: Final = 4096


class Core:
    """Synchronous, without I/O, the only place where state changes.

    The driver's part: take the effects, commit, call `committed`, let the effects leave, step again. It may `take`
    events while a commit is on its way that is not `alone`; what they decide belongs to the next one. When a commit
    fails or its end is unknown, this object is thrown away and another is made from what the ledger says.
    """

    def __init__(
        self,
        executor: Executor,
        opening: Opening,
        rng: Rng,
        *,
        hub: Hub | None = None,
        died: bool = True,
        recover: bool = True,
    ) -> None:
        """`died` False: the last core was thrown away by a living owner, so nobody's death is counted.

        `recover` False: only to take in and to act; what ran, waits or was interrupted is left to the next owner.

        `hub` are the five other components and what they changed; without it no goals are pursued.
        """
        self.book = book = Book(executor, opening)
        self.executor = executor
        self.cycle = Cycle(book)
        book.key_freed = self.cycle.wake_key
        self._intake = Intake(book)
        self.reordering = Reordering(book)
        self._batches = Batches(book, self.reordering)
        self.bounds = Bounds(book)
        self.bounds.recover(opening.facts)
        self._reports = Reports(book, rng)
        self._links = Links(book)
        self._verbs = Verbs(book)
        self._leftovers = Leftovers(book)
        self._catalog = Catalog(book, opening.facts)
        self.runs = Runs(book, self._intake, self._verbs, serves=recover)
        self._pursuit: Pursuit | None = None
        if hub is not None:
            self._pursuit = Pursuit(book, self._intake, hub)
        self._changes = hub.changes if hub is not None else None
        starting = Starting(book, self._intake, self._batches, self.runs, Plans(book, self._catalog, rng))
        self.triggers = Triggers(book, starting, self._verbs, hub)
        if recover:
            self.triggers.events.listeners.append(self.runs.hearing)
        else:
            self.triggers.load(opening.facts)
        self._waiting: deque[list[tuple[Any, Callable[[Answer], None]]]] = deque()
        self._opening: Opening | None = opening if recover else None
        self._died = died
        self.wanted: Ordering | None = None
        self.wanted_limits: list[Limit] = []
        self._settled = False
        self.heritage = Heritage()
        self._handle: dict[type, Callable[[Any], None]] = {
            ev.Submit: self._intake.submit,
            ev.TakeIn: self._intake.take_in,
            ev.TakeBatch: self._intake.take_batch,
            ev.Reported: self._reported,
            ev.OpenBatch: self._batches.open,
            ev.StageRows: self._batches.stage,
            ev.SealBatch: self._batches.seal,
            ev.AbortBatch: self._batches.abort,
            ev.Act: self._act,
            ev.StartRun: self.runs.start,
            ev.Publish: self._catalog.publish,
            ev.Route: self._catalog.route,
            ev.Signal: self.runs.signal,
            ev.HandlerKnown: self._handler_known,
            ev.Reorder: self.reordering.change,
            ev.SetLimits: self.bounds.change,
            ev.LaneKnown: lambda event: executor.lane(event.spec),
            ev.Barrier: lambda event: book.reply(event.token),
            ev.Hold: self._hold,
            ev.Only: self._only,
            ev.Recall: self._recall,
            ev.PutTrigger: self.triggers.put,
            ev.ActOnTrigger: self.triggers.act,
            ev.AskTriggers: self.triggers.ask,
            ev.Emit: self.triggers.events.emit,
        }

    def step(self, events: Sequence[ev.Event], now_us: int, answer: Committed | None = None) -> ev.Effects:
        """Take the answer to the last commit and the events; decide.

        Every effect but the commit itself must wait until the commit is durable.
        """
        self.take(events, now_us, answer)
        return self.finish()

    def take(self, events: Sequence[ev.Event], now_us: int, answer: Committed | None = None) -> None:
        """Decide what the events lead to; it is part of what `finish` gives.

        Not between effects that are `alone` and their answer: what is known must not be older than what is decided.
        Answers to effects that want a step `again` come one by one, in the order of their commits.
        """
        book = self.book
        book.begin(now_us)
        self._intake.begin()
        if self._opening is not None:
            self._recover(self._opening)
            self._opening = None
        if self.wanted is not None:
            self.reordering.set(self.wanted)
            self.wanted = None
        if self.wanted_limits:
            self.bounds.set(self.wanted_limits)
            self.wanted_limits = []
        if answer is not None:
            self._hear(answer)
        for event in events:
            token = getattr(event, "token", None)
            if token is not None:
                book.unanswered.add(token)
            self._handle[type(event)](event)
        self._timers()
        self.triggers.events.tell()
        self.runs.run()
        self.triggers.run(self._pursuit.run() if self._pursuit is not None else ())
        self.cycle.run()

    def finish(self) -> ev.Effects:
        """Everything decided since the last `finish`: what to commit, and what may leave once that is durable."""
        self._batches.purge()
        if self.book.commit.releases:
            self._links.release()
        self.triggers.settle()
        self.runs.settle()
        self._refill()
        usage = self.executor.slots.gates.usage
        if usage.any:
            self.book.commit.facts += usage.kept(self.book.now_us)
        effects, asked = self.book.finish()
        if effects.again:
            self._waiting.append(asked)
        effects.wake_us = self.wake_us()
        return effects

    def handed(self, effects: ev.Effects) -> None:
        """The ledger has taken out of the commit what it writes: from here on the tasks in it may change again."""
        self.book.handed(effects)
        if self._changes is not None:
            self._changes.handed()

    def committed(self, effects: ev.Effects) -> None:
        """The commit of these effects is durable."""
        self._settled = True
        if effects is self.book.effects:
            # They leave now: a core that takes over must not believe that its engine never heard of them.
            self.book.effects = ev.Effects(self.book.commit)
        self.heritage.landed()
        self.book.unanswered.difference_update([reply.token for reply in effects.replies])
        if self._changes is not None:
            self._changes.kept()

    @property
    def settled(self) -> bool:
        """Whether a commit of it, or of one before it, is durable."""
        return self._settled

    @property
    def drafting(self) -> bool:
        """Whether something was taken in since the last `finish`."""
        return self.book.drafting

    @property
    def size(self) -> int:
        """About how many tasks the commit under construction writes."""
        effects, commit = self.book.effects, self.book.commit
        return len(effects.works) + len(commit.payloads) + len(commit.ended)

    def wake_us(self) -> int | None:
        """When to step again without an event (µs UTC); None: not before one."""
        executor = self.executor
        goals = self._pursuit.next_us() if self._pursuit is not None else None
        own = (self.triggers.next_us(), self.runs.next_us())
        times = (executor.due.next_us(), executor.expiring.next_us(), self.cycle.next_us(), goals, *own)
        return min((time for time in times if time is not None), default=None)

    def unanswered(self) -> list[ev.Token]:
        """Those who still wait for a reply that needs the ledger's answer first."""
        return list(self.book.unanswered)

    def inherit(
        self,
        old: "Core",
        failed: Iterable[ev.Effects] = (),
        *,
        reports: Iterable[Report] = (),
        unsent: Iterable[Work] = (),
    ) -> None:
        """Take over what the engine still runs for a core that was thrown away by a living owner.

        What was decided last, and in effects that `failed` to be committed, never reached the engine; nor did works
        that are `unsent`. `reports` of those commits come again as events, all but those of calls that yielded.
        """
        if old.settled:
            # What was wanted at the start was said, and may have been changed since.
            self.wanted, self.wanted_limits, self._settled = None, [], True
        self.heritage.take(old.heritage, old.executor, [old.book.effects, *failed], unsent, reports)
        self._reports.sizes = self.heritage.sizes
        self.executor.slots.inherit(old.executor.slots)
        for lane, handler, rows in old.executor.lent.all():
            self.executor.lent.lend(lane, handler, rows)

    def backlog(self) -> bool:
        """Whether some lane has work that waits for a slot."""
        return any(self.executor.choose(lane) is not None for lane in self.executor.lanes_awake())

    def held(self) -> list[AttemptRef]:
        """The attempts that an engine may still be running."""
        return [AttemptRef(*ref) for ref in self.executor.slots]

    def idle(self) -> bool:
        """Whether nothing is running and nothing could start."""
        return not self.held() and not self._waiting

    def _hear(self, answer: Committed) -> None:
        """Windows first: whether a task belongs into memory depends on what they cover."""
        self._batches.heard(answer.purged_rows)
        for shard in answer.shards:
            self.book.shards.setdefault(shard.id, shard)
        asked = self._waiting.popleft()
        told = list(zip(asked, answer.answers, strict=True))
        for first in (True, False):
            for (question, then), each in told:
                if isinstance(question, _LOADS) is first:
                    then(each)
        self.book.heard()

    def _recover(self, opening: Opening) -> None:
        book, executor = self.book, self.executor
        executor.due.reset()
        executor.expiring.reset()
        for task in book.adopt(opening.running):
            self._revive(task)
        for number in opening.ready_shards:
            executor.open(book.shards[number], complete=False)
        for batch in list(book.batches.values()):
            if batch.state != BatchState.SEALED:
                self._batches.discard(batch)
        self._links.recover(opening.releases)
        self.reordering.recover(opening.facts)
        # A pause that is written may never have been told to the engine.
        book.effects.recalls |= bool(book.paused)
        for component, key, value in opening.facts:
            if component == "sweep":
                self._verbs.recover(key, value)
        self.runs.recover(opening.runs)
        if self._pursuit is not None:
            self._pursuit.recover(opening.facts)
        self.heritage.settle(book)
        self.triggers.recover(opening.facts)

    def _revive(self, task: Task) -> None:
        """A task that was in flight when its owner died or its core was thrown away."""
        self.executor.open(self.book.shards[task.shard], complete=False)
        if self.heritage.runs_on(task):
            if task.body.deaths >= SUSPECT_DEATHS:
                self.cycle.alone = (task.id, task.fence)
            return
        if self._died:
            task.body.deaths += 1
            self._again(task, "its owner died while it ran")
        elif (task.id, task.fence) in self.heritage.never:
            self._again(task, "the core was rebuilt before it ran", ran=False)
        else:
            self._again(task, "the core was rebuilt while it ran")

    def _recall(self, _: ev.Recall) -> None:
        for task in [task for task in self.book.tasks.values() if task.state == State.RUNNING]:
            if self.book.cancel_attempt(task):
                self._again(task, "the scheduler stopped before it ran", ran=False)
            else:
                self._again(task, "the scheduler stopped while it ran")

    def _again(self, task: Task, reason: str, *, ran: bool = True) -> None:
        """Once more, or lost where that is not allowed."""
        book, executor = self.book, self.executor
        shard = book.shards[task.shard]
        if ran and (task.body.flags & Flag.ONCE or executor.options(task, shard.handler).at_most_once):
            reason = f"{reason}, and it may run at most once"
            book.close(task, State.LOST, reason, failure=Failure("Lost", reason), fence=True)
            return
        task.body.attempts -= 1
        task.body.flags |= Flag.STARTED
        task.due_us = None
        book.move(task, State.READY, reason, fence=True)
        executor.offer(task, shard)

    def _act(self, event: ev.Act) -> None:
        (self.runs if event.scope.kind == "run" else self._verbs).act(event)

    def _reported(self, event: ev.Reported) -> None:
        self._reports.take(event.reports)
        self.book.reply(event.token)

    def _handler_known(self, event: ev.HandlerKnown) -> None:
        self.executor.handler(event.spec)
        if self._pursuit is not None:
            self._pursuit.stir()

    def _hold(self, event: ev.Hold) -> None:
        self.cycle.held = event.held
        self.book.effects.recalls |= event.held

    def _only(self, event: ev.Only) -> None:
        self.cycle.only = event.batch
        self.cycle.wake("only")

    def _timers(self) -> None:
        book, executor = self.book, self.executor
        for task in executor.due.due(book.now_us, _DUE_AT_ONCE):
            task.due_us = None
            if task.state == State.PENDING and task.body.dependencies_left:
                book.touch(task)
                continue
            book.move(task, State.READY, "its time has come")
            executor.offer(task, book.shards[task.shard])
        for task in executor.expiring.due(book.now_us, _DUE_AT_ONCE):
            book.close(task, State.EXPIRED, "not started by its expires_at")

    def _refill(self) -> None:
        """Keep the best rows of every shard in memory, and no more than that."""
        book, executor = self.book, self.executor
        room = executor.room()
        for window in executor.touched():
            if window.thirsty(room) and window.parked in {"", "fill", "key", "limit"}:
                window.asked = True
                question = ReadyAfter(window.shard.id, *window.bound, room // 2)
                book.ask(question, partial(self._loaded, window, room // 2))
            elif len(window) > room and not window.asked:
                for task in window.trim(room):
                    book.forget(task)
        for timer, ask in ((executor.due, DueAfter), (executor.expiring, ExpiringAfter)):
            if timer.thirsty():
                timer.asked = True
                book.ask(ask(*timer.bound, timer.refill), partial(self._timed, timer))
            for task in timer.trim():
                book.forget(task)
        self._leftovers.sweep()

    def _loaded(self, window: Window, limit: int, answer: Answer) -> None:
        tasks, executor = answer.tasks, self.executor
        if executor.windows.get(window.shard.id) is not window:
            return
        bound = (tasks[-1].key, tasks[-1].id) if len(tasks) >= limit else None
        for left in self.book.left:
            for task in tasks if left else ():
                if task.id in left:
                    window.miss(task)
        if (missed := window.missed) is not None:
            tasks = [task for task in tasks if (task.key, task.id) < missed]
        window.extend([task for task in self.book.adopt(tasks) if not executor.suspect(task)], bound)
        executor.touch(window)
        executor.awake(window)

    def _timed(self, timer: Timer, answer: Answer) -> None:
        tasks, bound = answer.tasks, None
        if len(tasks) >= timer.refill:
            last = tasks[-1]
            bound = (last.due_us if timer is self.executor.due else last.expires_us) or 0, last.id
        timer.extend(self.book.adopt(tasks), bound)
