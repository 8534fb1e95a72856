"""The use cases of runs: begin one, wait for it, see where it stands, tell it what happened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, NotRunning, RunFailed, UnknownRun
from wsaios.kernel.events import Signal, StartRun
from wsaios.kernel.expression import Expressions
from wsaios.kernel.ids import encode
from wsaios.kernel.json_value import JsonValue, checked
from wsaios.kernel.ledger import ById, DefinitionOf, Reads, ResultsOf, RunsBefore, RunsById, StepsOf
from wsaios.kernel.run import WHOLE, NewRun, Run, RunState, StepRow, StepState
from wsaios.kernel.states import State
from wsaios.kernel.task import Failure, Outcome, Task
from wsaios.kernel.views import RunView, StepView, moment
from wsaios.planning.calls import name, patience
from wsaios.planning.workflow.check import check_text
from wsaios.planning.workflow.definition import Step
from wsaios.planning.workflow.inputs import bound, chosen
from wsaios.planning.workflow.plan import Plan, plan_of
from wsaios.scheduler.loop import Loop
from wsaios.scheduler.recall import state_of
from wsaios.scheduler.steps import NoLanguage
from wsaios.scheduler.versions import Post, Versions

Read = Callable[..., Awaitable[Any]]
_PAGE: Final = 5000
_MOMENT_S: Final = 0.1
_FAR: Final = (1 << 63) - 1
_SORTED: Final = msgspec.json.Encoder(order="sorted")
_ENDED: Final = int(StepState.SUCCEEDED)


class Sent(NamedTuple):
    """What a client called a submission, so that the same one, sent `again`, is the same task; empty: nothing."""

    token: str = ""
    again: bool = False


FROM_HERE: Final = Sent()


class Workflows:
    """Everything about runs; the verbs that tasks have too are those of the service."""

    def __init__(self, loop: Loop, reads: Reads, read: Read, post: Post) -> None:
        self._loop = loop
        self._reads = reads
        self._read = read
        self._post = post
        self.versions = Versions(reads, read, post, self.plan)
        self.language: Expressions = NoLanguage()
        self.ready: Callable[[Plan], None] = lambda _: None
        """Makes known whatever a plan calls, or raises; who runs work sets it."""

    async def start(
        self, plan: Plan, given: Mapping[str, object] | None, options: Mapping[str, Any], sent: Sent = FROM_HERE
    ) -> int:
        """Begin a run of a checked plan; it is durable when this returns its id.

        Raises:
            InvalidInput: an input is missing, not declared or of the wrong kind; or an option is.
            UnknownHandler: names all that the definition calls and nobody has.
            IdempotencyConflict: the key stands for another run.
        """
        values = bound(plan.definition, given)
        self.ready(plan)
        new = chosen(NewRun(plan, msgspec.json.encode(values).decode()), options)
        if new.idempotency_key:
            asked = plan.version.encode() + b"\0" + _SORTED.encode(values)
            new.digest = blake2b(asked, digest_size=16).hexdigest()
        size = len(new.input) + len(plan.content)
        return int(await self._post(lambda token: StartRun(token, new, sent.token, again=sent.again), 1, size))

    async def ready_again(self, number: int) -> None:
        """Make known whatever a run calls that is tried once more.

        Raises:
            UnknownRun, UnknownHandler: it cannot be.
        """
        run = await self._run(number)
        self.ready(await self.plan(run.version))

    def check(self, content: bytes) -> Plan:
        """The plan of a definition that came from elsewhere, checked anew; may take seconds for a very large one.

        Raises:
            InvalidDefinition: all that is wrong with it.
        """
        return check_text(content, source="definition", form="json", language=self.language)

    async def signal(self, event: str, data: object = None, *, run: int = 0, step: str = "") -> int:
        """Tell an event to the steps that wait for it; returns how many took it.

        Raises:
            InvalidInput: `data` is no JSON, or the run has no such step.
            UnknownRun, NotPossible: no such run, or nothing of it waits for that.
        """
        if not step:
            name("event", event)
        text = msgspec.json.encode(checked(data, "data")).decode()
        return int(await self._post(lambda token: Signal(token, event, text, run, step)))

    async def ended(self, number: int, timeout_s: float | None = None) -> RunView:
        """Where a run stands once it has ended, waiting for that.

        Raises:
            TimeoutError: not in time; the run goes on.
            UnknownRun: there is none.
        """
        patience("timeout_s", timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    view = await self._end_of(number)
                    if view is not None:
                        return view
        except TimeoutError:
            msg = f"{encode(number, 'run')} has not ended within {timeout_s or 0:g} s; it goes on"
            raise TimeoutError(msg) from None

    async def result(self, number: int, timeout_s: float | None = None) -> JsonValue:
        """What a run gives back, waiting for its end: its `output`, else the results of its last steps by their ids.

        Raises:
            RunFailed: it did not succeed; says which step, and why.
        """
        view = await self.ended(number, timeout_s)
        if view.state != RunState.SUCCEEDED.word:
            failure = view.failure or Failure("", "")
            raise RunFailed(view.id, view.state, failure.kind, failure.message)
        run = await self._run(number)
        if run.output is not None:
            said: JsonValue = msgspec.json.decode(run.output)
            return said
        plan = await self.plan(run.version)
        wanted = set(plan.ends)
        rows = [row async for row in self._rows(number) if row.number in wanted]
        return {plan.steps[end].id: value for end, value in (await self._values(plan, rows)).items()}

    async def view(self, number: int) -> RunView:
        """Where a run stands.

        Raises:
            UnknownRun: there is none.
        """
        return run_view(await self._run(number))

    async def runs(self, states: Sequence[str], before: int, limit: int) -> list[RunView]:
        """Runs in one of the states (none: any), latest first, those before an id (0: all).

        Raises:
            InvalidInput: no state has that name.
        """
        known = {state.word: int(state) for state in RunState}
        for word in states:
            if word not in known:
                raise InvalidInput("states", f"no state of a run is called {word!r}; there are {', '.join(known)}")
        asked = RunsBefore(before or _FAR, tuple(known[word] for word in states), limit)
        return [run_view(run) for run in (await self._read(self._reads.asked, asked)).runs]

    async def steps(self, number: int) -> list[StepView]:
        """All steps of a run in the order of the plan.

        Raises:
            UnknownRun: there is none.
        """
        run = await self._run(number)
        plan = await self.plan(run.version)
        rows: dict[int, list[StepRow]] = {}
        async for row in self._rows(number):
            rows.setdefault(row.number, []).append(row)
        tasks = await self._tasks([row.task for each in rows.values() for row in each if row.task])
        over = RunState(run.state).ended
        return [_step_view(plan.steps[at], rows.get(at, []), tasks, over=over) for at in plan.order]

    async def plan(self, version: str) -> Plan:
        """The plan of a version that some run has.

        Raises:
            InvalidInput: there is none, or none that can be read.
        """
        found = (await self._read(self._reads.asked, DefinitionOf(version))).definitions
        if not found:
            raise InvalidInput("version", f"this ledger has no definition of version {version}")
        try:
            return await asyncio.to_thread(plan_of, found[0].content)
        except (msgspec.MsgspecError, LookupError, ValueError) as error:
            reason = f"the definition of version {version} cannot be read: {type(error).__name__}: {error}"
            raise InvalidInput("version", reason) from error

    async def _run(self, number: int) -> Run:
        found = (await self._read(self._reads.asked, RunsById((number,)))).runs
        if not found:
            raise UnknownRun(encode(number, "run"))
        run: Run = found[0]
        return run

    async def _end_of(self, number: int) -> RunView | None:
        watch = self._loop.watch
        future = watch.batch(number)
        try:
            if not self._loop.rebuilding():
                try:
                    view = await self.view(number)
                except LedgerUnavailable:
                    # It cannot be read, and its owner has not given up.
                    if not self._loop.running():
                        raise
                    await asyncio.wait((future,), timeout=_MOMENT_S)
                    return None
                if view.ended:
                    return view
            if not future.done() and not self._loop.running():
                raise NotRunning
            run = await future
            return run_view(run) if isinstance(run, Run) else None
        finally:
            watch.drop_batch(number, future)

    async def _rows(self, number: int) -> AsyncIterator[StepRow]:
        place = (-1, WHOLE)
        while True:
            page = (await self._read(self._reads.asked, StepsOf(number, *place, _PAGE))).steps
            for row in page:
                yield row
            if len(page) < _PAGE:
                return
            place = (page[-1].number, page[-1].item)

    async def _tasks(self, ids: list[int]) -> dict[int, Task | Outcome]:
        found: dict[int, Task | Outcome] = {}
        for place in range(0, len(ids), _PAGE):
            answer = await self._read(self._reads.asked, ById(tuple(ids[place : place + _PAGE])))
            found.update((row.id, row) for row in (*answer.tasks, *answer.outcomes))
        return found

    async def _values(self, plan: Plan, rows: list[StepRow]) -> dict[int, JsonValue]:
        """The results of the last steps, by number."""
        ids = [row.task for row in rows if row.task]
        told: dict[int, bytes] = {}
        for place in range(0, len(ids), _PAGE):
            answer = await self._read(self._reads.asked, ResultsOf(tuple(ids[place : place + _PAGE])))
            told.update((each.id, each.data) for each in answer.results)
        values: dict[int, Any] = dict.fromkeys(plan.ends)
        for row in rows:
            if row.item != WHOLE:
                values[row.number][row.item] = msgspec.json.decode(told.get(row.task, b"null"))
            elif row.state == StepState.LIST:
                values[row.number] = [None] * len(msgspec.json.decode(row.data or "{}")["items"])
            elif row.task:
                values[row.number] = msgspec.json.decode(told.get(row.task, b"null"))
            elif row.state == StepState.SUCCEEDED:
                values[row.number] = msgspec.json.decode(row.data or "null")
        return values


def run_view(run: Run) -> RunView:
    """A run as people see it."""
    return RunView(
        id=encode(run.id, "run"),
        workflow=run.name,
        version=run.version,
        state=RunState(run.state).word,
        tenant=run.tenant,
        priority=run.priority,
        created_at=moment(run.created_us),
        ended_at=moment(run.ended_us) if run.ended_us else None,
        tries=run.tries,
        input=msgspec.json.decode(run.input),
        failure=run.failure,
        has_output=run.output is not None,
    )


def _step_view(step: Step, rows: list[StepRow], tasks: Mapping[int, Task | Outcome], *, over: bool) -> StepView:
    head = next((row for row in rows if row.item == WHOLE), None)
    does = f"http {step.http.url}" if step.http is not None else step.handler or step.model or ""
    does = does or (f"waits for {step.wait_for.event}" if step.wait_for is not None else "")
    plain = StepView(step.id, "pending", does, step.depends_on)
    if head is None:
        return plain
    items = [row for row in rows if row.item != WHOLE]
    spans = [_span(tasks[row.task]) for row in rows if row.task in tasks]
    began = min((first for first, _, _ in spans if first), default=None)
    ends = [last for _, last, _ in spans]
    state, failure, count = state_of(head), head.failure, None
    if head.state == StepState.LIST:
        count = len(msgspec.json.decode(head.data or "{}")["items"])
        done = [state_of(row) for row in items if state_of(row) >= _ENDED]
        bad = sum(each != StepState.SUCCEEDED for each in done)
        if len(done) == count:
            state = StepState.FAILED if bad else StepState.SUCCEEDED
        ended = max((last for last in ends if last), default=None) if state >= _ENDED else None
        failure = next((found for row in items if (found := _failure(row, tasks)) is not None), None)
        word = "running" if state < _ENDED else state.word
        if over and state < _ENDED:
            word = (StepState.FAILED if StepState.FAILED in done else StepState.CANCELLED).word
        return msgspec.structs.replace(
            plain,
            state=word,
            began_at=_moment(began),
            ended_at=_moment(ended),
            items=count,
            done=len(done),
            failed=bad,
            failure=failure,
        )
    task = tasks.get(head.task)
    ended = ends[0] if ends else head.at_us if state >= _ENDED else None
    word = State(task.state).word if task is not None and state < _ENDED else state.word
    return msgspec.structs.replace(
        plain,
        state="pending" if state == StepState.TOLD else word,
        task=encode(head.task) if head.task else None,
        began_at=_moment(began),
        ended_at=_moment(ended),
        attempts=task.body.attempts if task is not None else 0,
        failure=_failure(head, tasks),
    )


def _failure(row: StepRow, tasks: Mapping[int, Task | Outcome]) -> Failure | None:
    task = tasks.get(row.task)
    return task.failure if isinstance(task, Outcome) else row.failure


def _span(task: Task | Outcome) -> tuple[int | None, int | None, int]:
    """When the work of a task began and ended."""
    began = next((at_us for state, at_us, _, _ in task.body.history if state == State.RUNNING), None)
    return began, task.ended_us if isinstance(task, Outcome) else None, task.body.attempts


def _moment(at_us: int | None) -> Any:
    return None if at_us is None else moment(at_us)
