"""Steps of runs: they begin when all that they depend on has ended, in the very commit that holds that end."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import ExpressionFailed, InvalidExpression, InvalidInput, MissingExtra
from wsaios.kernel.expression import Expression, Expressions
from wsaios.kernel.ledger import Answer, ById, ResultsOf
from wsaios.kernel.run import WHOLE, Run, StepRow, StepState
from wsaios.kernel.states import State
from wsaios.kernel.task import API_HANDLER, Failure, NewTask, Outcome
from wsaios.planning.calls import check_names
from wsaios.planning.workflow.definition import Step
from wsaios.planning.workflow.prepared import Prepared
from wsaios.scheduler.book import Book
from wsaios.scheduler.course import AS_ENDED, ENDED, Course, Fan, Memory
from wsaios.scheduler.intake import Intake
from wsaios.scheduler.verbs import Verbs

_AT_ONCE: Final = 4096
"""So many steps and items begin in one step of the core; the rest with the next."""
_PIECE: Final = 1000
READ_BYTES: Final = 32 << 20
ARGUMENT_BYTES: Final = 16 << 20
MAX_ITEMS: Final = 1_000_000
_TASK: Final = int(StepState.TASK)
_SUCCEEDED: Final = int(State.SUCCEEDED)
_encode: Final = msgspec.json.Encoder().encode
Told = dict[int, bytes] | None


class NoLanguage:
    """Where no language of expressions was given."""

    def compile(self, source: str) -> Expression:
        """Refuse.

        Raises:
            InvalidExpression: always.
        """
        raise InvalidExpression(source, "this scheduler has no language of expressions")


class Refused(Exception):
    """Why a step cannot begin; never leaves the scheduler."""


class Steps:
    """Carries courses on, from the end of one task to the beginning of the next ones."""

    def __init__(self, book: Book, intake: Intake, verbs: Verbs, finished: Callable[[Course], None]) -> None:
        """`finished` is called with a course of which nothing is left to do."""
        self._book = book
        self._intake = intake
        self._verbs = verbs
        self._finished = finished
        self.language: Expressions = NoLanguage()
        self.memory = Memory()
        self.waits: Callable[[Course, int], None]
        self.rows: dict[tuple[int, int, int], StepRow] = {}
        self.touched: dict[int, Run] = {}
        self._ready: deque[tuple[Course, int, Told]] = deque()
        self._wanting: list[tuple[Course, int, list[int], Told]] = []

    def offer(self, course: Course, number: int) -> None:
        """A step may go on as soon as its run allows it."""
        if course.stopping:
            return
        if course.paused:
            course.held[number] = None
        else:
            self._ready.append((course, number, None))

    def more(self) -> bool:
        """Whether there are steps that could begin at once."""
        return bool(self._ready)

    def run(self) -> None:
        """Begin what may begin, as much as one step of the core should."""
        room, ready = _AT_ONCE, self._ready
        while ready and room > 0:
            course, number, told = ready.popleft()
            if course.paused:
                course.held[number] = None
            elif not course.stopping and not course.over:
                room -= self._advance(course, number, told, room)
        if self._wanting:
            self._ask()

    def ended(self, course: Course, outcome: Outcome, result: bytes) -> None:
        """A task of a step ended."""
        step = outcome.body.step
        assert step is not None  # who calls has looked
        _, number, item = step
        fan = course.fans.get(number)
        if item == WHOLE:
            if course.tasks.get(number) != outcome.id or course.states[number] != _TASK:
                return
            course.open -= 1
            self._keep(course, number, outcome, result)
            self.over(course, number, AS_ENDED[outcome.state], str(outcome.failure or outcome.body.reason or ""))
        elif fan is not None and fan.live.get(item) == outcome.id:
            del fan.live[item]
            course.open -= 1
            fan.done += 1
            self._keep(course, number, outcome, result)
            if outcome.state != _SUCCEEDED:
                fan.bad += 1
                fan.tasks[item] = -outcome.id
            self._item_over(course, number, fan, outcome)

    def over(self, course: Course, number: int, state: StepState, why: str = "") -> None:
        """A step ended: what depends on it comes nearer, or the run fails."""
        course.states[number] = state
        course.ended += 1
        if state in {StepState.FAILED, StepState.CANCELLED} and course.plan.steps[number].on_failure == "fail":
            self.fail(course, number, state, why)
        left = course.left
        for child in course.plan.children[number]:
            left[child] -= 1
            if not left[child]:
                self.offer(course, child)
        self.look(course)

    def fail(self, course: Course, number: int, state: StepState, why: str) -> None:
        """The run cannot succeed any more: what runs may end, what has not begun does not."""
        if course.stopping:
            return
        told = f"step {course.id_of(number)!r} {state.word}"
        course.run.failure = Failure("StepFailed", f"{told}: {why}" if why else told)
        self.touched[course.run.id] = course.run
        self.stop(course, f"{course.name} failed at step {course.id_of(number)!r}", running=False)

    def look(self, course: Course) -> None:
        """Finish a course of which nothing is left to do."""
        if not course.over and (course.ended == len(course.states) or (course.stopping and not course.open)):
            course.over = True
            self._finished(course)

    def stop(self, course: Course, reason: str, *, running: bool) -> None:
        """End the tasks of a course that have not begun, and with `running` also those that have."""
        for number, state in enumerate(course.states):
            if state == StepState.WAITING:
                self.put(course, number, StepState.CANCELLED)
                course.states[number] = StepState.CANCELLED
                course.ended += 1
        self.each_task(course, lambda task: self._end(task, reason, running=running))

    def each_task(self, course: Course, act: Callable[[Any], None]) -> None:
        """Do something to every live task of a course, piece by piece."""

        def met(answer: Answer) -> None:
            for task in self._book.adopt(answer.tasks):
                act(task)

        tasks = course.live_tasks()
        for place in range(0, len(tasks), _PIECE):
            self._book.ask(ById(tuple(tasks[place : place + _PIECE])), met)

    def put(self, course: Course, number: int, state: StepState, item: int = WHOLE, **fields: Any) -> None:
        """Write the row of a step that has no task."""
        row = StepRow(course.run.id, number, item, 0, int(state), self._book.now_us, **fields)
        self.rows[row.key] = row

    def refuse(self, course: Course, number: int, why: str) -> None:
        """A step cannot begin, and so it has failed; of a list all items that have not begun, each with its row."""
        fan = course.fans.get(number)
        if fan is None:
            self.put(course, number, StepState.FAILED, failure=Failure("StepFailed", why))
            self.over(course, number, StepState.FAILED, why)
            return
        for _ in range(min(len(fan.todo), _AT_ONCE)):
            if course.stopping:
                break
            self._refuse_item(course, number, fan, fan.todo.popleft(), why)
        fan.queued = bool(fan.todo) and not course.stopping
        if fan.queued:
            self._ready.append((course, number, None))

    def read(self, course: Course, reads: frozenset[str], told: Told) -> tuple[dict[str, Any], list[int]]:
        """A context for expressions, and the tasks whose results must be asked for first.

        Raises:
            Refused: it would be too much.
        """
        if not reads:
            return course.context({}), []
        size = course.size_of(reads)
        if size > READ_BYTES:
            most = f"{READ_BYTES >> 20} MiB are the most"
            raise Refused(f"it reads {size:,} bytes of results, {most}; pass on where the data is instead of the data")
        steps, missing = course.read(reads, self.memory, told)
        return course.context(steps), missing

    def _end(self, task: Any, reason: str, *, running: bool) -> None:
        if running or task.state != State.RUNNING:
            self._verbs.cancel(task, reason)

    def _keep(self, course: Course, number: int, outcome: Outcome, result: bytes) -> None:
        if result:
            course.sizes[number] = course.sizes.get(number, 0) + len(result)
            self.memory.keep(outcome.id, result)

    def _item_over(self, course: Course, number: int, fan: Fan, outcome: Outcome) -> None:
        if outcome.state != _SUCCEEDED and course.plan.steps[number].on_failure == "fail":
            item = outcome.body.step[2] if outcome.body.step else 0
            why = str(outcome.failure or outcome.body.reason or "")
            self.fail(course, number, AS_ENDED[outcome.state], f"item {item}: {why}")
        if fan.done == len(fan.items):
            self.over(course, number, StepState.FAILED if fan.bad else StepState.SUCCEEDED)
        elif fan.todo and not fan.queued:
            fan.queued = True
            self.offer(course, number)
        self.look(course)

    def _ask(self) -> None:
        """Results that are not in memory, for as many steps as can be read at once."""
        wanting: list[tuple[Course, int, list[int], Told]] = []
        tasks: dict[int, None] = {}
        room = 2 * READ_BYTES
        for course, number, missing, before in self._wanting:
            reads = course.sheet.prepared(number, self.language).reads
            room -= course.size_of(reads)
            if wanting and room < 0:
                self._ready.append((course, number, before))
            else:
                wanting.append((course, number, missing, before))
                tasks.update(dict.fromkeys(missing))
        self._wanting = []

        def found(answer: Answer) -> None:
            told = {payload.id: payload.data for payload in answer.results}
            for course, number, missing, before in wanting:
                # What was told before stays: by now it may have left memory.
                mine = {task: told.get(task, b"null") for task in missing}
                self._ready.appendleft((course, number, {**(before or {}), **mine}))

        self._book.ask(ResultsOf(tuple(sorted(tasks))), found)

    def _advance(self, course: Course, number: int, told: Told, room: int) -> int:
        """Let one step go on as far as it can; returns how much was begun."""
        state = course.states[number]
        if state >= ENDED or state in {_TASK, StepState.WAITING}:
            return 1
        try:
            sheet = course.sheet
            payload = sheet.payloads.get(number)
            if payload is None and sheet.plain(number):
                step = course.plan.steps[number]
                payload = sheet.payloads[number] = self._encoded(step, step.args)
            if payload is not None:
                self._task(course, number, WHOLE, payload, None)
                return 1
            prepared = sheet.prepared(number, self.language)
            if state == StepState.LIST:
                return self._pump(course, number, prepared, told, room)
            return self._begin(course, number, prepared, told, room)
        except Refused as refused:
            self.refuse(course, number, f"{self._where(course, number)}{refused}")
        except (InvalidExpression, MissingExtra) as error:
            self.refuse(course, number, f"{self._where(course, number)}{error}")
        return 1

    def _where(self, course: Course, number: int) -> str:
        return f"step {course.id_of(number)!r}, "

    def _begin(self, course: Course, number: int, prepared: Prepared, told: Told, room: int) -> int:
        context, missing = self.read(course, prepared.reads, told)
        if missing:
            self._wanting.append((course, number, missing, told))
            return 1
        step = prepared.step
        if course.states[number] != StepState.TOLD:
            if not _valued("when", partial(prepared.runs, context)):
                self.put(course, number, StepState.SKIPPED)
                self.over(course, number, StepState.SKIPPED)
                return 1
            if step.wait_for is not None:
                self.put(course, number, StepState.WAITING)
                course.states[number] = StepState.WAITING
                self.waits(course, number)
                return 1
        said = course.events.get(number)
        if said is not None:
            context["event"] = prepared.heard(msgspec.json.decode(said))
        items = _valued("foreach", partial(prepared.items, context))
        if items is None:
            arguments = _valued(_field(step), partial(prepared.arguments, context))
            self._task(course, number, WHOLE, self._encoded(step, arguments), said)
            return 1
        if len(items) > MAX_ITEMS:
            raise Refused(f"foreach: a list of {len(items):,} elements; {MAX_ITEMS:,} are the most")
        if not items:
            course.data[number] = "[]"
            self.put(course, number, StepState.SUCCEEDED, data="[]")
            self.over(course, number, StepState.SUCCEEDED)
            return 1
        fan = course.fans[number] = Fan(items, said)
        course.states[number] = StepState.LIST
        data = {"items": items} if said is None else {"items": items, "event": said}
        self.put(course, number, StepState.LIST, data=_encode(data).decode())
        fan.context = None if prepared.argument_reads != prepared.reads else context
        return self._pump(course, number, prepared, told, room)

    def _pump(self, course: Course, number: int, prepared: Prepared, told: Told, room: int) -> int:
        """Begin as many items of a list as may run beside each other."""
        fan, step = course.fans[number], prepared.step
        fan.queued = False
        if fan.context is None:
            context, missing = self.read(course, prepared.argument_reads, told)
            if missing:
                fan.queued = True
                self._wanting.append((course, number, missing, told))
                return 1
            if fan.event is not None:
                context["event"] = prepared.heard(msgspec.json.decode(fan.event))
            fan.context = context
        begun = 0
        while fan.todo and begun < room and (step.max_parallel is None or len(fan.live) < step.max_parallel):
            item = fan.todo.popleft()
            context = {**fan.context, "item": fan.items[item], "index": item}
            try:
                arguments = _valued(_field(step), partial(prepared.arguments, context))
                self._task(course, number, item, self._encoded(step, arguments), None)
            except Refused as refused:
                self._refuse_item(course, number, fan, item, f"{self._where(course, number)}item {item}, {refused}")
            begun += 1
            if course.stopping:
                break
        if fan.todo and begun >= room and not course.stopping:
            fan.queued = True
            self._ready.append((course, number, None))
        return begun + 1

    def _refuse_item(self, course: Course, number: int, fan: Fan, item: int, why: str) -> None:
        self.put(course, number, StepState.FAILED, item, failure=Failure("StepFailed", why))
        fan.done += 1
        fan.bad += 1
        if course.plan.steps[number].on_failure == "fail":
            self.fail(course, number, StepState.FAILED, why)
        if fan.done == len(fan.items):
            self.over(course, number, StepState.FAILED)
        self.look(course)

    def _encoded(self, step: Step, arguments: dict[str, Any]) -> bytes:
        spec = self._book.executor.handlers.get(handler_of(step))
        try:
            if spec is not None:
                check_names(arguments, spec)
            payload = _encode(arguments)
        except InvalidInput as error:
            raise Refused(f"{_field(step)}: {error.reason}") from error
        except (OverflowError, TypeError, ValueError, RecursionError) as error:
            raise Refused(f"{_field(step)}: {error}") from error
        if len(payload) > ARGUMENT_BYTES:
            most = f"{ARGUMENT_BYTES >> 20} MiB are the most"
            raise Refused(f"{_field(step)}: {len(payload):,} bytes, {most}; pass on where the data is instead of it")
        return payload

    def _task(self, course: Course, number: int, item: int, payload: bytes, said: str | None) -> None:
        """Make the task of a step or of an item, in the commit at hand."""
        book, run, step = self._book, course.run, course.plan.steps[number]
        lanes, name = book.executor.lanes, handler_of(step)
        if step.lane and lanes and step.lane not in lanes:
            raise Refused(f"lane: there is no lane {step.lane!r}; there are {', '.join(lanes)}")
        key = step.concurrency_key
        if not key:
            spec = book.executor.handlers.get(name)
            key = spec.calls.get("concurrency_key", "") if spec is not None and spec.calls else ""
        new = NewTask(name, payload, 0, step.lane, run.tenant, run.priority + step.priority)
        new.options, new.concurrency_key = step.options, key
        task = self._intake.accept(new, course.plan.depth[number], (run.id, number, item))
        course.open += 1
        if item == WHOLE:
            course.tasks[number] = task
            course.states[number] = _TASK
        else:
            fan = course.fans[number]
            fan.tasks[item] = fan.live[item] = task
        row = StepRow(run.id, number, item, task, _TASK, book.now_us, said)
        self.rows[row.key] = row


def handler_of(step: Step) -> str:
    """The name of the handler that does the work of a step."""
    if step.http is not None:
        return API_HANDLER
    return f"model/{step.model}" if step.model is not None else step.handler or ""


def _field(step: Step) -> str:
    return "http" if step.http is not None else "args"


def _valued(field: str, compute: Callable[[], Any]) -> Any:
    """What an expression in a field of a step says.

    Raises:
        Refused: it says nothing; names the field and the expression.
    """
    try:
        return compute()
    except ExpressionFailed as error:
        raise Refused(f"{field}: {error}") from error
    except Exception as error:  # a fault of one expression must not end the scheduler
        raise Refused(f"{field}: {type(error).__name__}: {error}") from error
