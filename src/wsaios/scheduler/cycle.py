"""One scheduling decision after the other: the best eligible head, its micro-batch, a slot, its limits."""

from collections.abc import Iterable
from typing import Final

from wsaios.kernel.engine import AttemptRef, Resumed, Work
from wsaios.kernel.executor import Window
from wsaios.kernel.ids import encode
from wsaios.kernel.limit import MANY, NEVER
from wsaios.kernel.states import State
from wsaios.kernel.task import Effective, Flag, Shard, Task
from wsaios.scheduler.book import Book

_STARTED: Final = Flag.STARTED
GAVE_WAY: Final = "gave its slot to work of a higher class"
MOST_INTERRUPTIONS: Final = 3
"""After so many a call in a process runs to its end, whatever waits: otherwise it might begin for ever."""


class Cycle:
    """Fills free slots in the order of the policy.

    A window that cannot give anything now is parked with the reason, and whatever ends the reason unparks it:
    nothing is looked
    at twice in vain. Filters (paused, limits) come before the choice of rows; what is reserved is given back by
    `Slots.leave`.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._executor = book.executor
        self._fills: dict[int, int] = {}
        self._keyed: dict[str, list[int]] = {}
        self.held = False
        self.only = 0
        self.alone: tuple[int, int] | None = None
        self._stands = False
        self._gates, self._queues, self._rows = self._executor.slots.gates, self._executor.queues, MANY
        self._queues.heeds = self._heeds

    def run(self) -> None:
        """Start whatever may start."""
        self._rows = MANY
        self._stands = self.held or self._alone()
        if self._executor.resting:
            self._let_run()
        if self._stands:
            return
        executor = self._executor
        self._filled()
        first = self._woken() if self._gates.any else ()
        if executor.yields.any:
            executor.yields.begin()
            # Before anything starts: who loses its slot may be better than what would start elsewhere.
            for lane in self._open():
                self._preempt(lane)
        for lane in dict.fromkeys((*first, *self._open())):
            self._lane(lane)
        while self._queues.moved:
            # What started may have stood before others under the same limit, of which there is some left.
            for lane in self._woken():
                self._lane(lane)

    def next_us(self) -> int | None:
        """When a micro-batch has waited long enough to start under-filled; None while nothing may start anyway."""
        if self._stands:
            return None
        asked = self._executor.yields.next_us() if self._executor.yields.any else None
        freed = self._queues.next_us() if self._gates.any else None
        return min((*self._fills.values(), *(each for each in (asked, freed) if each is not None)), default=None)

    def wake(self, reason: str) -> None:
        """Look again at every window that was parked for this reason."""
        for window in list(self._executor.windows.values()):
            if window.parked == reason:
                self._executor.unpark(window)

    def wake_key(self, key: str) -> None:
        """A place under a concurrency key is free."""
        for number in self._keyed.pop(key, ()):
            window = self._executor.windows.get(number)
            if window is not None and window.parked == "key":
                self._executor.unpark(window)

    def _woken(self) -> list[str]:
        """Let the best of those that wait for a limit look at it again, and the lane of the best go first."""
        executor, self._queues.moved = self._executor, False
        windows = self._queues.wake(self._book.now_us)
        for window in windows:
            executor.unpark(window)
        lanes = dict.fromkeys(window.lane for window in windows)
        opened = set(self._open()) if lanes else set()
        return [lane for lane in lanes if lane in opened]

    def _heeds(self, window: Window) -> bool:
        """Whether people let the tasks of a window start."""
        paused, shard = self._book.paused, window.shard
        if self.only and shard.batch != self.only:
            return False
        return not paused or not {"all:*", f"lane:{window.lane}", f"batch:{shard.batch}"} & paused

    def _lane(self, lane: str) -> None:
        executor = self._executor
        slots, lent = executor.slots, executor.lent
        while slots.free(lane, lent.most(lane)):
            window = self._best(lane)
            if window is None:
                return
            if self._blocked(window):
                continue
            task = window.head()
            if task is None:
                executor.touch(window)
                return
            shard = window.shard
            spec = executor.handlers[shard.handler]
            rows = lent.rows(lane, shard.handler) // spec.batch_size
            # What waits beyond the slots has not begun: at the death of this process it must not count as begun.
            # Slots that are kept for a class of work would be kept in vain if calls waited in front of them, and what
            # is bounded by a limit would begin at another time than that at which it was counted.
            if rows and (
                lane in slots.reserved
                or self._rows < MANY
                or task.expires_us is not None
                or executor.options(task, shard.handler).at_most_once
            ):
                rows = 0
            room = slots.free(lane, rows)
            if not room:
                # The best waits, and nothing passes it.
                return
            executor.touch(window)
            if spec.batch_size == 1 and not shard.concurrency_key:
                span = executor.span(lane, shard.handler)
                until, most = executor.yields.within(lane, span) if executor.resting else span
                most = min(room, self._rows, room if most is None else most)
                # Of what stands under limits it is known how many of such may start, not of others.
                tasks = window.run(most, until, self._book.now_us, lasting=rows > 0 or self._rows < MANY)
                if tasks:
                    self._dispatch_each(tasks, lane, shard)
                    if self._gates.any:
                        self._queues.started(window)
                    continue
            self._start(window, task, lane, lent=rows > 0)

    def _best(self, lane: str) -> Window | None:
        """The window whose head starts next, after calls that go on before it."""
        if self._executor.resting:
            self._go_on(lane)
        return self._executor.choose(lane)

    def _go_on(self, lane: str, *, whatever_waits: bool = False) -> None:
        """Resume calls that stopped at a checkpoint, as long as they are better than all that has not begun."""
        book, executor = self._book, self._executor
        best = executor.resting.best if whatever_waits else executor.yields.returns
        while executor.slots.free(lane) and (rest := best(lane)) is not None:
            quantum = executor.yields.goes_on(rest.ref, book.now_us)
            book.effects.resumes.append(Resumed(AttemptRef(*rest.ref), quantum))

    def _let_run(self) -> None:
        """Where nothing may start, what runs already goes on, or it could never end."""
        paused = self._book.paused
        for lane in self._executor.resting.lanes():
            if self.held or f"lane:{lane}" in paused or "all:*" in paused:
                self._go_on(lane, whatever_waits=True)

    def _may_yield(self, lane: str, tasks: list[Task], options: Effective) -> None:
        """A call of a preemptible handler began.

        A process is ended for better work; but not where that would lose it, nor again and again, nor several rows for
        one.
        """
        head = tasks[0]
        if self._executor.kinds[lane] != "async":
            gave_way = sum(entry[3] == GAVE_WAY for entry in head.body.history)
            if len(tasks) > 1 or options.at_most_once or gave_way >= MOST_INTERRUPTIONS:
                return
        self._executor.yields.may_yield(lane, (head.id, head.fence), head.key)

    def _open(self) -> list[str]:
        """The lanes with something to start that nobody has paused."""
        paused, awake = self._book.paused, self._executor.lanes_awake()
        if not paused:
            return awake
        return [] if "all:*" in paused else [lane for lane in awake if f"lane:{lane}" not in paused]

    def _preempt(self, lane: str) -> None:
        """Have calls of lower classes make room for better ones that wait; which they do when their engine says so."""
        book, executor = self._book, self._executor
        window = executor.yields.waits(lane)
        if window is None or self._blocked(window):
            return
        for ref in executor.yields.victims(lane, window, book.now_us):
            seat, task = executor.slots.seat(ref), book.tasks.get(ref[0])
            if seat is None or seat.turn is None or task is None or task.fence != ref[1] or task.state != State.RUNNING:
                continue
            if executor.kinds[lane] == "async":
                seat.turn.asked_us = book.now_us
                book.effects.preempts.append(AttemptRef(*ref))
            else:
                # Its attempt is not used up, and it keeps its place.
                seat.turn.asked_us = book.now_us
                task.body.attempts -= 1
                book.cancel_attempt(task)
                book.move(task, State.READY, GAVE_WAY, fence=True)
                executor.offer(task, book.shards[task.shard])

    def _blocked(self, window: Window) -> bool:
        paused, shard = self._book.paused, window.shard
        if paused and shard.batch and f"batch:{shard.batch}" in paused:
            window.parked = "pause"
        elif self.only and shard.batch != self.only:
            window.parked = "only"
        elif self._gates.any:
            self._rows = self._queues.rows(window, self._executor.handlers[shard.handler], self._book.now_us)
            if self._rows > 0:
                return False
            if self._rows == NEVER:
                self._set_aside(window)
            else:
                window.parked = "limit"
        else:
            return False
        return True

    def _set_aside(self, window: Window) -> None:
        """The first asks for more than there is: it is paused, so that it hides nobody, and says why."""
        book, reason = self._book, self._queues.never(window)
        (task,) = window.take(1, book.now_us)
        task.body.resume_to = State.READY
        book.move(task, State.PAUSED, reason)
        book.warn("task is paused: it asks for more than there is", task=encode(task.id), reason=reason)

    def _start(self, window: Window, head: Task, lane: str, *, lent: bool) -> None:
        book, executor, shard = self._book, self._executor, window.shard
        spec = executor.handlers[shard.handler]
        options = executor.options(head, shard.handler)
        most = spec.batch_size
        if head.expires_us is not None and head.expires_us <= book.now_us and not head.body.flags & _STARTED:
            window.take(1, book.now_us)
            book.close(head, State.EXPIRED, "not started by its expires_at")
            return
        if shard.concurrency_key:
            room = executor.slots.key_room(shard.concurrency_key, options.concurrency_limit)
            if room <= 0 or self._after_others(shard.concurrency_key, head):
                window.parked = "key"
                self._keyed.setdefault(shard.concurrency_key, []).append(shard.id)
                return
            most = min(most, room)
        most = min(most, self._rows)
        if most > 1 and self._fills_up(window, most, spec.max_wait_us):
            return
        tasks = window.take(most, book.now_us, lasting=lent)
        self._dispatch(tasks, lane, shard.handler, options)
        if self._gates.any:
            self._queues.started(window)

    def _after_others(self, key: str, head: Task) -> bool:
        """Whether a better one waits under this key: with a smaller limit it would wait for ever behind such as this.

        It waits for one that runs, so its end wakes both.
        """
        windows = self._executor.windows
        for number in self._keyed.get(key, ()):
            window = windows.get(number)
            place = window.place() if window is not None and window.parked == "key" else None
            if place is not None and place < (head.key, head.id):
                return True
        return False

    def _dispatch(self, tasks: list[Task], lane: str, handler: str, options: Effective) -> None:
        """One slot for all of these tasks."""
        book = self._book
        shard = book.shards[tasks[0].shard]
        attempts = book.start(tasks, shard)
        if options.at_most_once:
            _mark_once(tasks)
        refs = [(task.id, task.fence) for task in tasks]
        self._executor.slots.take(lane, shard, refs, options, book.now_us)
        quantum = self._executor.yields.quantum_us()
        work = Work(handler, lane, attempts, options.timeout_s, options.at_most_once, None, quantum)
        book.effects.works.append(work)
        if self._executor.handlers[handler].preemptible:
            self._may_yield(lane, tasks, options)

    def _dispatch_each(self, tasks: list[Task], lane: str, shard: Shard) -> None:
        """A slot for each of these tasks."""
        executor, works, handler = self._executor, self._book.effects.works, shard.handler
        take, attempts, now_us = executor.slots.take, self._book.start(tasks, shard), self._book.now_us
        known = tasks[0].body.options
        options = executor.options(tasks[0], handler)
        quantum, preemptible = executor.yields.quantum_us(), executor.handlers[handler].preemptible
        for task, attempt in zip(tasks, attempts, strict=True):
            if task.body.options is not known:
                known = task.body.options
                options = executor.options(task, handler)
            if options.at_most_once:
                _mark_once((task,))
            take(lane, shard, [(task.id, task.fence)], options, now_us)
            works.append(Work(handler, lane, [attempt], options.timeout_s, options.at_most_once, None, quantum))
            if preemptible:
                self._may_yield(lane, [task], options)

    def _fills_up(self, window: Window, most: int, max_wait_us: int) -> bool:
        """Whether an under-filled micro-batch should still wait for more rows."""
        if not window.complete or len(window) >= most * 2 or window.ready(most) >= most:
            return False
        head = window.head()
        if head is None or head.body.cap:
            return False
        since = min(window.oldest_us(most), self._book.now_us)
        until = since + max_wait_us
        if until <= self._book.now_us:
            return False
        window.parked = "fill"
        self._fills[window.shard.id] = until
        return True

    def _filled(self) -> None:
        now = self._book.now_us
        for number in [number for number, until in self._fills.items() if until <= now]:
            del self._fills[number]
            window = self._executor.windows.get(number)
            if window is not None and window.parked == "fill":
                self._executor.unpark(window)

    def _alone(self) -> bool:
        """Tasks that were in flight at several deaths of their owner run one at a time, with nothing beside them."""
        busy = self._executor.slots.taken() > 0
        if self.alone is not None and busy:
            return True
        self.alone = None
        for task in self._executor.suspects.values():
            lane = self._suspect_lane(task)
            if lane is None or not (busy or self._may_alone(task, lane)):
                continue
            if not busy:
                self._run_alone(task, lane)
            return True
        return False

    def _suspect_lane(self, task: Task) -> str | None:
        shard = self._book.shards[task.shard]
        spec = self._executor.handlers.get(shard.handler)
        lane = shard.lane or (spec.lane if spec else "")
        if spec is None or lane not in self._executor.lanes or (self.only and shard.batch != self.only):
            return None
        if {"all:*", f"lane:{lane}", f"batch:{shard.batch}"} & self._book.paused:
            return None
        return lane

    def _may_alone(self, task: Task, lane: str) -> bool:
        """Whether limits let it; they may not, though nothing runs."""
        shard = self._book.shards[task.shard]
        options = self._executor.options(task, shard.handler)
        return not self._gates.any or self._queues.fits(shard, lane, options, self._book.now_us)

    def _run_alone(self, task: Task, lane: str) -> None:
        del self._executor.suspects[task.id]
        self._book.warn("task runs alone: it was in flight at several deaths of its owner", task=encode(task.id))
        handler = self._book.shards[task.shard].handler
        self._dispatch([task], lane, handler, self._executor.options(task, handler))
        self.alone = (task.id, task.fence)


def _mark_once(tasks: Iterable[Task]) -> None:
    """The handler may say so and be unknown to the next owner: the task itself remembers."""
    for task in tasks:
        task.body.flags |= Flag.ONCE
