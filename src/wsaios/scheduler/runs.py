"""Runs of workflows: begun, carried on, ended; paused, cancelled and tried again; found again after a crash."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from wsaios.kernel.errors import (
    IdempotencyConflict,
    InvalidInput,
    NoOwner,
    NotPossible,
    UnknownRun,
    WsaiosError,
)
from wsaios.kernel.events import Act, Scope, Signal, StartRun
from wsaios.kernel.expression import Expressions
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, DefinitionOf, IdempotencyOf, IdempotencyRow, ResultsOf, RunsById, StepsOf
from wsaios.kernel.run import NewRun, Run, RunState, StepRow, StepState, StoredDefinition
from wsaios.kernel.states import State
from wsaios.kernel.task import IDEMPOTENCY_WINDOW_S, Failure, Task
from wsaios.planning.workflow.plan import plan_of
from wsaios.scheduler.book import Book
from wsaios.scheduler.course import Course, Sheet
from wsaios.scheduler.hearing import Hearing
from wsaios.scheduler.intake import CLIENT, CLIENT_WINDOW_US, Intake, Pair
from wsaios.scheduler.recall import done_again, ready_again, recalled
from wsaios.scheduler.steps import Steps, Told
from wsaios.scheduler.verbs import Verbs
from wsaios.scheduler.waits import Waits

OUTPUT_BYTES: Final = 16 << 20
_LOADED: Final = 32
_ALL: Final = 1 << 40
_KEYS: Final = "\0run\0"


class Runs:
    """Every run that has not ended is here, with counters that are rebuilt from the ledger after a crash."""

    def __init__(self, book: Book, intake: Intake, verbs: Verbs, *, serves: bool) -> None:
        """`serves` False: runs are only taken in; the next owner carries them on.

        `hearing` listens to events for their steps.
        """
        self._book = book
        self._verbs = verbs
        self._serves = serves
        self._courses: dict[int, Course] = {}
        self._sheets: dict[str, Sheet] = {}
        self._steps = Steps(book, intake, verbs, self._finish)
        self._waits = Waits(book, self._steps, self._courses)
        self._steps.waits = self._waits.add
        self.hearing = Hearing(book, self._waits, lambda: bool(self._later))
        self._touched = self._steps.touched
        self._gone: list[tuple[int, int, int]] = []
        self._definitions: dict[str, StoredDefinition] = {}
        self._loading: deque[Run] = deque()
        self._left: dict[int, Run] = {}
        self._later: dict[int, list[Act | Signal]] = {}
        self._parked: dict[int, str] = {}
        self._unheard: list[Signal] = []
        self._keys: dict[Pair, IdempotencyRow] = {}
        self._effects: object = None
        self._heard = 0

    def speak(self, language: Expressions) -> None:
        """Compute expressions in this language."""
        self._steps.language = language

    def recover(self, runs: Sequence[Run]) -> None:
        """Go on with runs that a dead owner left; they are loaded piece by piece."""
        self._loading.extend(runs)
        self._left = {run.id: run for run in runs}
        self._later.update((run.id, []) for run in runs)

    def start(self, event: StartRun) -> None:
        """Begin a run, unless its key stands for one already."""
        new = event.run
        pairs = [(_KEYS + new.tenant, new.idempotency_key)] if new.idempotency_key else []
        sent = [(CLIENT, event.client_token)] if event.client_token else []
        if pairs or (sent and event.again):
            asked = (*pairs, *sent)
            self._book.ask(IdempotencyOf(asked, self._book.now_us), partial(self._known, event, pairs, sent))
        else:
            self._begin(event, pairs, sent)

    def begin(self, new: NewRun, client_token: str, sheet: Sheet) -> int:
        """Begin a run of a version that the ledger has, for whoever decides that in the core; returns its id."""
        self._book.effects.begun.append(sheet.plan.version)
        return self._born(new, [], [(CLIENT, client_token)], self._sheets.get(sheet.plan.version) or sheet)

    def refuse(self, new: NewRun, failure: Failure) -> int:
        """Keep a run that cannot begin as one that failed; returns its id."""
        number = self._next()
        run = self._made(new, number)
        run.state, run.ended_us, run.failure = int(RunState.FAILED), max(1, self._book.now_us), failure
        self._touched[number] = run
        self._book.effects.runs.append(run)
        return number

    def lives(self, number: int) -> bool:
        """Whether a run has not ended."""
        return number in self._courses or number in self._left

    def end(self, number: int, reason: str) -> None:
        """Cancel a run that lives, with the commit that is being made."""
        run, course = self._left.get(number), self._courses.get(number)
        if run is not None:
            run.state = int(RunState.CANCELLING)
            self._touched[number] = run
        elif course is not None and course.run.state != RunState.CANCELLING:
            self._cancel(Act(None, "cancel", Scope("run", number), reason), course)

    def act(self, event: Act) -> None:
        """Cancel, pause or resume a run, or try it once more."""
        number = event.scope.number
        course = self._courses.get(number)
        if not self._serves:
            self._book.reply(event.token, error=NoOwner("this ledger", f"to {event.verb} a run"))
        elif number in self._later:
            self._later[number].append(event)
        elif course is None:
            self._book.ask(RunsById((number,)), partial(self._learned, event))
        elif event.verb == "replay":
            self._refuse(event, course.run, "it has not ended")
        elif event.verb == "cancel":
            self._cancel(event, course)
        else:
            self._switch(event, course)

    def signal(self, event: Signal) -> None:
        """An event came."""
        if event.run in self._later:
            self._later[event.run].append(event)
        elif not event.run and self._later:
            # Who waits for it may not be loaded yet.
            self._unheard.append(event)
        elif event.run and event.run not in self._courses:
            self._book.ask(RunsById((event.run,)), partial(self._learned, event))
        else:
            self._waits.signal(event)

    def run(self) -> None:
        """Carry on whatever ended in this step of the core, or is due, or was loaded."""
        self._keys.clear()
        if not self._serves:
            return
        book = self._book
        if self._loading:
            self._load()
        if self._unheard and not self._later:
            unheard, self._unheard = self._unheard, []
            for event in unheard:
                self._waits.signal(event)
        if self._effects is not book.effects:
            self._effects, self._heard = book.effects, 0
        if not self._courses and not self._steps.more():
            self._heard = len(book.effects.closed)
            return
        if not self._later:
            # What came in time is told first.
            self._waits.run(self.hearing.since_us())
        closed = book.effects.closed
        while self._heard < len(closed):
            each = closed[self._heard]
            self._heard += 1
            step = each.outcome.body.step
            course = self._courses.get(step[0]) if step is not None else None
            if course is not None:
                self._steps.ended(course, each.outcome, each.result)
        self._steps.run()

    def next_us(self) -> int | None:
        """When there is something to do without an event."""
        if self._steps.more() or self._loading:
            return self._book.now_us
        return self._waits.next_us()

    def settle(self) -> None:
        """Put all that changed into the commit."""
        commit, rows = self._book.commit, self._steps.rows
        if self._definitions:
            commit.definitions.extend(self._definitions.values())
            self._definitions = {}
        if self._touched:
            commit.runs.extend(self._touched.values())
            self._touched.clear()
        if self._gone:
            commit.steps_gone.extend(self._gone)
            self._gone = []
        if rows:
            commit.steps.extend(rows.values())
            self._steps.rows = {}

    def _known(self, event: StartRun, pairs: list[Pair], sent: list[Pair], answer: Answer) -> None:
        for row in answer.keys:
            self._keys.setdefault((row.tenant, row.key), row)
        again = next((self._keys[pair] for pair in sent if pair in self._keys), None)
        known = next((self._keys[pair] for pair in pairs if pair in self._keys), None)
        if again is not None:
            self._book.reply(event.token, again.task)
        elif known is None:
            self._begin(event, pairs, sent)
        elif known.digest != event.run.digest:
            error = IdempotencyConflict(event.run.idempotency_key, encode(known.task, "run"))
            self._book.reply(event.token, error=error)
        else:
            self._book.reply(event.token, known.task)

    def _begin(self, event: StartRun, pairs: list[Pair], sent: list[Pair]) -> None:
        book, plan = self._book, event.run.plan
        sheet = self._sheets.get(plan.version)
        if sheet is None:
            self._definitions[plan.version] = StoredDefinition(plan.version, plan.name, book.now_us, plan.content)
        book.reply(event.token, self._born(event.run, pairs, sent, sheet or Sheet(plan)))

    def _born(self, new: NewRun, pairs: list[Pair], sent: list[Pair], sheet: Sheet) -> int:
        book, number = self._book, self._next()
        run = self._made(new, number)
        rows = [IdempotencyRow(*pair, number, new.digest, book.now_us + _WINDOW_US) for pair in pairs]
        rows += [IdempotencyRow(*pair, number, "", book.now_us + CLIENT_WINDOW_US) for pair in sent]
        for row in rows:
            self._keys[row.tenant, row.key] = row
        book.commit.keys.extend(rows)
        self._touched[number] = run
        if self._serves:
            self._open(run, sheet, [])
        return number

    def _next(self) -> int:
        number = self._book.ids.one(self._book.now_us)
        self._book.id_high = max(self._book.id_high, number)
        return number

    def _made(self, new: NewRun, number: int) -> Run:
        plan, now = new.plan, self._book.now_us
        made = Run(number, int(RunState.RUNNING), plan.version, plan.name, new.tenant, new.priority, now)
        made.input = new.input
        return made

    def _open(self, run: Run, sheet: Sheet, rows: list[StepRow]) -> None:
        """Have a run in memory, as its rows say, and let it go on."""
        course = Course(run, sheet)
        self._go_on(course, recalled(course, rows) if rows else [])

    def _go_on(self, course: Course, waiting: list[tuple[int, int]]) -> None:
        run, sheet = course.run, course.sheet
        self._courses[run.id] = course
        self._sheets[run.version] = sheet
        sheet.users += 1
        for number, since_us in waiting:
            self._waits.add(course, number, since_us)
        if course.stopping:
            reason = course.failure.message if course.failure is not None else "cancelled"
            self._steps.stop(course, reason, running=run.state == RunState.CANCELLING)
        else:
            for number in ready_again(course):
                self._steps.offer(course, number)
            # A pause or its end is one commit, and what it does to the tasks may have been the next one.
            switch = self._pause if course.paused else self._resume
            self._steps.each_task(course, partial(switch, reason=_paused(course)))
        self._steps.look(course)

    def _load(self) -> None:
        """Ask for some of the runs that a dead owner left."""
        for _ in range(min(_LOADED, len(self._loading))):
            run = self._loading.popleft()
            self._fetch(run, partial(self._loaded, run))

    def _fetch(self, run: Run, then: Any) -> None:
        """`then(sheet, rows)` once both are known; without a definition it is told why there is none."""
        version, sheets = run.version, self._sheets
        # Held until the answer: by then the last other run of this version may have ended.
        found: Sheet | str = sheets.get(version) or "its definition is not in the ledger"

        def defined(answer: Answer) -> None:
            nonlocal found
            if version not in sheets and answer.definitions:
                try:
                    found = Sheet(plan_of(answer.definitions[0].content))
                except Exception as error:  # noqa: BLE001  # one that cannot be read must not end the scheduler
                    found = f"its definition cannot be read: {type(error).__name__}: {error}"

        def told(answer: Answer) -> None:
            then(sheets.get(version) or found, answer.steps)

        if version not in sheets:
            self._book.ask(DefinitionOf(version), defined)
        self._book.ask(StepsOf(run.id, -1, -1, _ALL), told)

    def _loaded(self, run: Run, sheet: Sheet | str, rows: list[StepRow]) -> None:
        if isinstance(sheet, str):
            self._park(run, sheet)
        else:
            try:
                self._open(run, sheet, rows)
            except Exception as error:  # noqa: BLE001  # the other runs must go on
                self._park(run, f"its steps cannot be read: {type(error).__name__}: {error}")
            else:
                del self._left[run.id]
        for event in self._later.pop(run.id, ()):
            self._take_up(event)

    def _park(self, run: Run, why: str) -> None:
        """It stays where it is, for an owner that can go on with it."""
        course = self._courses.get(run.id)
        if course is not None:
            course.over = True
            self._forget(course)
        self._parked[run.id] = why
        self._book.warn("a run cannot go on, and stays where it is", run=encode(run.id, "run"), reason=why)

    def _take_up(self, event: Act | Signal) -> None:
        if isinstance(event, Act):
            self.act(event)
        else:
            self.signal(event)

    def _learned(self, event: Act | Signal, answer: Answer) -> None:
        """A run that is not in memory has ended, or there is none."""
        number = event.scope.number if isinstance(event, Act) else event.run
        if number in self._courses or number in self._later:
            self._take_up(event)
        elif not answer.runs:
            self._book.reply(event.token, error=UnknownRun(encode(number, "run")))
        elif isinstance(event, Act) and event.verb == "replay" and RunState(answer.runs[0].state).ended:
            self._later[number] = []
            self._fetch(answer.runs[0], partial(self._tried, event, answer.runs[0]))
        else:
            self._refuse(event, answer.runs[0], self._parked.get(number, "it has ended"))

    def _tried(self, event: Act, run: Run, sheet: Sheet | str, rows: list[StepRow]) -> None:
        later = self._later.pop(run.id, [])
        try:
            kept, gone = self._again(event, run, sheet, rows)
            assert not isinstance(sheet, str)  # it was looked at
            alive = replace(
                run, state=int(RunState.RUNNING), ended_us=0, tries=run.tries + 1, failure=None, output=None
            )
            course = Course(alive, sheet)
            waiting = recalled(course, kept)
        except WsaiosError as error:
            self._book.reply(event.token, error=error)
        except Exception as error:  # noqa: BLE001  # the other runs must go on
            why = f"its steps cannot be read: {type(error).__name__}: {error}"
            self._refuse(event, run, why)
        else:
            there = {row.key for row in kept if row.state == StepState.TOLD}
            self._gone += [row.key for row in gone if row.key not in there]
            self._steps.rows.update((row.key, row) for row in kept if row.key in there)
            self._touched[run.id] = alive
            self._book.reply(event.token, alive.state)
            self._go_on(course, waiting)
        for each in later:
            self._take_up(each)

    def _again(
        self, event: Act, run: Run, sheet: Sheet | str, rows: list[StepRow]
    ) -> tuple[list[StepRow], list[StepRow]]:
        """The rows of a run that is tried once more: those that stay, and those that go."""
        name, word = encode(run.id, "run"), RunState(run.state).word
        if isinstance(sheet, str):
            raise NotPossible("retry", name, word, sheet)
        if not rows and run.state == RunState.FAILED:
            raise NotPossible("retry", name, word, "it never began; begin another one")
        kept, gone = done_again(sheet.plan, rows, self._start_of(event, run, sheet))
        if not gone and run.state == RunState.SUCCEEDED:
            raise NotPossible("retry", name, word, "name a step to begin from")
        return kept, gone

    def _start_of(self, event: Act, run: Run, sheet: Sheet) -> int | None:
        name = event.scope.name
        if not name:
            return None
        number = sheet.plan.index.get(name)
        if number is None:
            raise InvalidInput("step", f"{encode(run.id, 'run')} has no step {name!r}")
        return number

    def _refuse(self, event: Act | Signal, run: Run, hint: str) -> None:
        verb = "signal" if isinstance(event, Signal) else "retry" if event.verb == "replay" else event.verb
        state = RunState(run.state).word
        self._book.reply(event.token, error=NotPossible(verb, encode(run.id, "run"), state, hint))

    def _cancel(self, event: Act, course: Course) -> None:
        if course.run.state == RunState.CANCELLING:
            self._refuse(event, course.run, "it is being cancelled already")
            return
        self._turn(course, RunState.CANCELLING)
        course.held.clear()
        self._steps.stop(course, event.reason or f"{course.name} was cancelled", running=True)
        self._steps.look(course)
        self._book.reply(event.token, course.run.state)

    def _switch(self, event: Act, course: Course) -> None:
        """Pause or resume: what runs goes on, and what has not begun waits."""
        paused, reason = event.verb == "pause", _paused(course)
        if course.run.state != (RunState.RUNNING if paused else RunState.PAUSED):
            self._refuse(event, course.run, "")
            return
        self._turn(course, RunState.PAUSED if paused else RunState.RUNNING)
        if paused:
            self._steps.each_task(course, partial(self._pause, reason=reason))
        else:
            held, course.held = course.held, {}
            for number in held:
                self._steps.offer(course, number)
            self._steps.each_task(course, partial(self._resume, reason=reason))
        self._book.reply(event.token, course.run.state)

    def _pause(self, task: Task, reason: str) -> None:
        if task.state not in {State.RUNNING, State.PAUSED}:
            self._verbs.pause(task, reason)

    def _resume(self, task: Task, reason: str) -> None:
        if task.state == State.PAUSED and task.body.reason == reason:
            self._verbs.resume(task)

    def _turn(self, course: Course, state: RunState) -> None:
        course.run.state = int(state)
        self._touched[course.run.id] = course.run

    def _finish(self, course: Course, told: Told = None) -> None:
        """Nothing is left to do: say how the run ended."""
        run = course.run
        if run.state == RunState.CANCELLING:
            self._end(course, RunState.CANCELLED, None)
        elif course.failure is not None:
            self._end(course, RunState.FAILED, course.failure)
        elif course.plan.definition.output is None:
            self._end(course, RunState.SUCCEEDED, None)
        else:
            self._give_back(course, told)

    def _give_back(self, course: Course, told: Told) -> None:
        try:
            output = course.sheet.output(self._steps.language)
            context, missing = self._steps.read(course, output.reads, told)
            if missing:
                self._book.ask(ResultsOf(tuple(sorted(set(missing)))), partial(self._told, course, missing, told))
                return
            text = msgspec.json.encode(output.value(context))
        except Exception as error:  # noqa: BLE001  # a fault of one expression must not end the scheduler
            self._end(course, RunState.FAILED, Failure("OutputFailed", f"output: {error}"))
            return
        if len(text) > OUTPUT_BYTES:
            why = f"output: it has {len(text):,} bytes; {OUTPUT_BYTES >> 20} MiB are the most"
            self._end(course, RunState.FAILED, Failure("OutputFailed", why))
            return
        course.run.output = text.decode()
        self._end(course, RunState.SUCCEEDED, None)

    def _told(self, course: Course, missing: list[int], before: Told, answer: Answer) -> None:
        found = {payload.id: payload.data for payload in answer.results}
        self._finish(course, {**(before or {}), **dict.fromkeys(missing, b"null"), **found})

    def _end(self, course: Course, state: RunState, failure: Failure | None) -> None:
        run = course.run
        run.state, run.ended_us, run.failure = int(state), max(1, self._book.now_us), failure
        course.over = True
        self._touched[run.id] = run
        self._book.effects.runs.append(run)
        self._forget(course)

    def _forget(self, course: Course) -> None:
        run = course.run
        del self._courses[run.id]
        self._waits.forget(course)
        self._steps.memory.drop(course.all_tasks())
        course.sheet.users -= 1
        if not course.sheet.users:
            self._sheets.pop(run.version, None)


def _paused(course: Course) -> str:
    return f"{course.name} is paused"


_WINDOW_US: Final = int(IDEMPOTENCY_WINDOW_S * 1_000_000)
