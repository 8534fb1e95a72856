"""Clients: the scheduler's verbs from another process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from wsaios.bootstrap import ledger_url
from wsaios.door import questions as ask
from wsaios.door.frames import MAX_FRAME_BYTES
from wsaios.door.line import RETRY_S
from wsaios.door.lines import Going, going, line_of
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.events import Scope, Verb
from wsaios.kernel.ids import encode
from wsaios.kernel.json_value import checked
from wsaios.kernel.limit import Limit, LimitView
from wsaios.kernel.policy import AnyPolicy, FairShare, Ordering
from wsaios.kernel.run import Published
from wsaios.kernel.states import by_word
from wsaios.kernel.views import UNOWNED, BatchView, Overview, RunView, Status, StepView, Transition, Why
from wsaios.planning.calls import Calls, patience
from wsaios.planning.calls import name as checked_name
from wsaios.sdk.blocking import Blocking, BlockingBatch, BlockingRun, BlockingTask, BlockingTriggers, blocking
from wsaios.sdk.handles import Batch, Run, Task
from wsaios.sdk.holder import live_owner
from wsaios.sdk.names import Rows, number_of, scope_of
from wsaios.sdk.outward import chunked, chunked_async, plain
from wsaios.sdk.runs import Definition, name_in, plan_from
from wsaios.sdk.triggering import Triggers

_MARGIN_BYTES: Final = 1 << 16


class AsyncClient:
    """A scheduler's ledger from another process: submit, wait, inspect, act.

    While an owner lives it is asked over its socket; otherwise reads look into the ledger, and writes hold it for one
    commit. Use it as ``async with AsyncClient("sqlite:///work.db") as client:`` or close it with `aclose`. One client
    serves any number of tasks of one event loop.
    """

    def __init__(self, ledger: str | None = None, *, retry_s: float = RETRY_S) -> None:
        """`ledger` as for `Scheduler`; `retry_s` is how long a question waits for an owner that went away to come back.

        Raises:
            InvalidInput: the address names no ledger that another process can reach.
        """
        self.url = ledger_url(ledger)
        self._line = line_of(self.url, retry_s)
        self._tokens = count(1)
        self._calls = Calls(MAX_FRAME_BYTES - _MARGIN_BYTES)
        self.triggers = Triggers(self.asked)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _expect_owner(self) -> None:
        """Whoever waits, waits on when no scheduler lives: one will come. Only for ledgers on a server."""
        line: Any = self._line
        line.expects_owner = True

    async def aclose(self) -> None:
        """End the connection; what was submitted stays."""
        await self._line.close()

    async def submit(self, handler: str, arguments: Mapping[str, object] | None = None, /, **options: Any) -> Task:
        """Accept one task; it is durable when this returns. Options are those of `Scheduler.submit`.

        A connection that breaks before the answer does not double it: the same submission is sent again.

        Raises:
            InvalidInput, UnknownLane, IdempotencyConflict: nothing was accepted.
            QueueFull: says when to try again.
            Unacknowledged: no owner came back to say what became of it.
            LedgerOwned: a scheduler works on this ledger that lets no clients in.
        """
        data = self._calls.encode(arguments, None)
        question = ask.SubmitOne(checked_name("handler", handler), data, plain(options), self._token())
        return Task(self, await self._line.ask(question))

    async def submit_many(
        self, handler: str, rows: Rows, /, *, keep: bool = False, name: str | None = None, **options: Any
    ) -> Batch:
        """Accept a batch of any length from any iterable, as `Scheduler.submit_many`.

        While no owner lives rows are gathered in a temporary file first, so that the ledger is held only to write them.

        Raises:
            InvalidInput: names the row (from 1); nothing was accepted.
            Interrupted: the owner went away meanwhile; nothing was accepted.
            Unacknowledged: no owner came back to say what became of it.
        """
        if not isinstance(rows, Iterable | AsyncIterable):
            raise InvalidInput("rows", f"must be an iterable of mappings, not {type(rows).__name__}")
        outgoing = await self.outgoing(handler, keep=keep, name=name, options=options)
        try:
            if isinstance(rows, AsyncIterable):
                async for chunk in chunked_async(rows, self.encoded):
                    await outgoing.add(chunk)
            else:
                for chunk in chunked(rows, self.encoded):
                    await outgoing.add(chunk)
            return Batch(self, await outgoing.seal())
        except BaseException:
            await outgoing.abort()
            raise

    async def outgoing(self, handler: str, *, keep: bool, name: str | None, options: Mapping[str, Any]) -> Going:
        """A batch that is open for rows."""
        meta = {"name": name} if name else {}
        called = checked_name("handler", handler)
        opening = ask.BatchOpen(called, plain(options), keep, meta, f"client:{self._token()}")
        return await going(self._line, opening)

    def encoded(self, row: Mapping[str, object]) -> bytes:
        """A row as it is sent."""
        return self._calls.encode(row, None)

    async def as_completed(self, tasks: Batch | Iterable[Task]) -> AsyncIterator[Task]:
        """Every one of them as it ends, whatever its end, each once; those that have ended before come first.

        Raises:
            NoOwner: no scheduler lives, and not all have ended.
        """
        async with aclosing(self.pages(tasks)) as pages:
            async for page in pages:
                for task in page:
                    yield task

    async def pages(self, tasks: Batch | Iterable[Task]) -> AsyncGenerator[list[Task], None]:
        """The same, several at a time."""
        if isinstance(tasks, Batch):
            ranges = [(part.first, part.length) for part in tasks.ranges]
        else:
            ranges = [(number, 1) for number in dict.fromkeys(number_of(task) for task in tasks)]
        async with aclosing(self._line.follow(ranges)) as pages:
            async for page in pages:
                yield [Task(self, number) for number, _ in page]

    async def result(self, task_id: str | Task, *, timeout_s: float | None = None) -> Any:
        """The result of a task, waiting for it; with a timeout it also waits for an owner that is not there yet.

        Raises:
            TaskFailed: it ended otherwise; says how.
            TimeoutError: not in time; the task goes on.
            UnknownTask: there is none.
            NoOwner: it has not ended, no scheduler lives, and no timeout was given.
        """
        data: bytes = await self._within(ask.ResultOf(number_of(task_id)), timeout_s, task_id)
        return msgspec.json.decode(data)

    async def status(self, task_id: str) -> Status:
        """Where a task stands."""
        return await self._line.ask(ask.StatusOf(number_of(task_id)))

    async def history(self, task_id: str) -> list[Transition]:
        """Every change of a task, oldest first."""
        return await self._line.ask(ask.HistoryOf(number_of(task_id)))

    async def why(self, task_id: str) -> Why:
        """What a task waits for, since when, and how many stand before it."""
        found = await self._line.ask(ask.WhyOf(number_of(task_id)))
        holder = live_owner(self.url) if UNOWNED in found.detail else None
        if holder is None:
            return found
        owned = f"{holder.described()} owns this ledger, and lets nobody in to ask more"
        return msgspec.structs.replace(found, detail=found.detail.replace(UNOWNED, owned))

    async def batch_status(self, batch_id: str) -> BatchView:
        """Where a batch stands."""
        return await self._line.ask(ask.BatchStatusOf(number_of(batch_id, "batch")))

    async def wait(self, batch_id: str, *, timeout_s: float | None = None) -> BatchView:
        """Until all rows of a batch have ended; a timeout works as in `result`."""
        view: BatchView = await self._within(ask.BatchEnd(number_of(batch_id, "batch")), timeout_s, batch_id)
        return view

    async def cancel(self, target: str, *, reason: str = "") -> str | int:
        """End a task, a batch, ``"lane:NAME"`` or ``"all"``, as `Scheduler.cancel`.

        Raises:
            UnknownTask, UnknownBatch, UnknownLane, NotPossible: nothing changed.
            NoOwner: a lane, and no scheduler lives that knows what belongs to it.
        """
        return await self._act("cancel", target, reason)

    async def pause(self, target: str, *, reason: str = "") -> str | int:
        """Hold a task, or start nothing of a batch, ``"lane:NAME"`` or ``"all"`` until `resume`."""
        return await self._act("pause", target, reason)

    async def resume(self, target: str) -> str | int:
        """Go on with what was paused under the same name."""
        return await self._act("resume", target, "")

    async def replay(self, target: str) -> str | int:
        """Run failed and lost tasks again: one task, or all of a batch, ``"lane:NAME"`` or ``"all"``.

        Raises:
            Unacknowledged: the connection broke before the answer; see their status before another replay.
        """
        return await self._act("replay", target, "")

    async def batches(self, *, limit: int = 100) -> list[BatchView]:
        """Batches, latest first; `limit` 1…1000."""
        return await self._line.ask(ask.ListBatches(limit))

    async def tasks(self, states: Sequence[str] = (), *, after: str | None = None, limit: int = 100) -> list[Status]:
        """Tasks in one of the states (none: any) by id, those after the given one; `limit` 1…1000.

        Raises:
            InvalidInput: no state has that name.
        """
        try:
            numbers = [int(by_word(state)) for state in states]
        except ValueError as error:
            raise InvalidInput("states", str(error)) from error
        return await self._line.ask(ask.ListTasks(numbers, number_of(after) if after else 0, limit))

    async def run_workflow(
        self,
        definition: Definition,
        /,
        *,
        input: Mapping[str, object] | None = None,  # noqa: A002  # the name that it has in a definition
        **options: Any,
    ) -> Run:
        """Begin a run, as `Scheduler.run_workflow`; handlers are those of the scheduler."""
        called = name_in(definition)
        content = b"" if called else (await plan_from(definition)).content
        values = self._calls.encode(input, None)
        question = ask.RunStart(content, values, plain(options), self._token(), name=called)
        return Run(self, await self._line.ask(question))

    async def publish(self, definition: Definition, /, *, note: str = "", who: str = "") -> int:
        """Have new runs by the name of a workflow get this definition, as `Scheduler.publish`."""
        plan = await plan_from(definition)
        return await self._line.ask(ask.PublishOn(plan.content, note, who))

    async def published(self, name: str) -> Published:
        """The versions of a workflow that was published, and which of them new runs get."""
        return await self._line.ask(ask.PublishedOf(name))

    async def route(self, name: str, shares: Mapping[int, int]) -> Published:
        """Give so many of a hundred new runs these versions, by number, as `Scheduler.route`."""
        return await self._line.ask(ask.RouteOn(name, dict(shares)))

    async def run_result(self, run_id: str | Run, *, timeout_s: float | None = None) -> Any:
        """What a run gives back, waiting for it; a timeout works as in `result`.

        Raises:
            RunFailed: it did not succeed; says which step, and why.
            NoOwner: it has not ended, no scheduler lives, and no timeout was given.
        """
        data: bytes = await self._within(ask.RunResult(number_of(run_id, "run")), timeout_s, run_id)
        return msgspec.json.decode(data)

    async def run_end(self, run_id: str | Run, *, timeout_s: float | None = None) -> RunView:
        """Until a run has ended, however."""
        view: RunView = await self._within(ask.RunEnd(number_of(run_id, "run")), timeout_s, run_id)
        return view

    async def run_status(self, run_id: str | Run) -> RunView:
        """Where a run stands."""
        return await self._line.ask(ask.RunStatus(number_of(run_id, "run")))

    async def run_steps(self, run_id: str | Run) -> list[StepView]:
        """Where the steps of a run stand, each after those that it depends on."""
        return await self._line.ask(ask.RunSteps(number_of(run_id, "run")))

    async def run_definition(self, version: str) -> bytes:
        """The definition of a version that some run has, as canonical JSON."""
        return await self._line.ask(ask.RunDefinition(version))

    async def runs(
        self, states: Sequence[str] = (), *, before: str | Run | None = None, limit: int = 100
    ) -> list[RunView]:
        """Runs in one of the states (none: any), latest first, those before the given one; `limit` 1…1000."""
        return await self._line.ask(ask.ListRuns(list(states), number_of(before, "run") if before else 0, limit))

    async def signal(self, event: str = "", data: Any = None, *, run: str | Run | None = None, step: str = "") -> int:
        """Tell an event to the steps that wait for it, as `Scheduler.signal`.

        Raises:
            Unacknowledged: the connection broke before the answer; see the status of the run before telling it again.
        """
        number = 0 if run is None else number_of(run, "run")
        return await self._line.ask(ask.SignalOn(event, checked(data, "data"), number, step))

    async def retry(self, run_id: str | Run, *, from_step: str | None = None) -> str:
        """Run again what failed of a run that has ended, as `Run.retry`."""
        scope = Scope("run", number_of(run_id, "run"), from_step or "")
        return str(await self._line.ask(ask.ActOn("replay", scope, "")))

    async def order_by(
        self, policy: str | AnyPolicy | None = None, *, fair_share: bool | FairShare | None = None
    ) -> Ordering:
        """As `Scheduler.order_by`; also while no scheduler lives."""
        return await self._line.ask(ask.OrderBy(policy, fair_share))

    async def emit(self, name: str, data: object = None) -> str:
        """Tell an event to every trigger that is there and to every step of a run that waits for it.

        It is durable, with all that it starts, when this returns its id. While no scheduler runs it is kept for the
        next one, which tells it to the triggers and steps that are there now. A connection that breaks before the
        answer does not double it.

        Raises:
            InvalidInput: no name, or data that is not JSON or too large.
            NotPossible: too much waits already in a trigger that would hear it.
            Unacknowledged: no owner came back to say what became of it.
        """
        question = ask.EmitEvent(checked_name("event", name), checked(data, "data"), self._token())
        return encode(await self._line.ask(question), "event")

    async def asked(self, question: ask.Ask[ask.A], /) -> ask.A:
        """The answer to a question as it is sent."""
        return await self._line.ask(question)

    async def limit(self, *limits: Limit) -> list[LimitView]:
        """As `Scheduler.limit`; also while no scheduler lives."""
        return await self._line.ask(ask.LimitBy(list(limits)))

    async def overview(self) -> Overview:
        """Counts over the whole ledger, and tasks that were in flight at too many deaths of their owner."""
        return await self._line.ask(ask.OverviewOf())

    async def flush(self) -> None:
        """Return when everything that the owner was told before is durable."""
        await self._line.flush()

    def _token(self) -> str:
        return f"{self._line.session}-{next(self._tokens)}"

    async def _act(self, verb: Verb, target: str, reason: str) -> str | int:
        return await self._line.ask(ask.ActOn(verb, scope_of(target), reason))

    async def _within(self, question: ask.Ask[Any], timeout_s: float | None, what: object) -> Any:
        if timeout_s is None:
            return await self._line.ask(question)
        patience("timeout_s", timeout_s)
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await self._line.ask(question, patient=True)
        except TimeoutError:
            if not limit.expired():
                raise
            msg = f"{getattr(what, 'id', what)} has not ended within {timeout_s:g} s; it goes on"
            raise TimeoutError(msg) from None


class Client(Blocking[AsyncClient]):
    """An `AsyncClient` for programs without an event loop: the same verbs, each returns when it is done.

    Use it as ``with Client("sqlite:///work.db") as client:`` or end it with `close`. Threads may share one.
    """

    def __init__(self, ledger: str | None = None, *, retry_s: float = RETRY_S) -> None:
        """As `AsyncClient`."""
        super().__init__(AsyncClient(ledger, retry_s=retry_s))
        self.triggers = BlockingTriggers(self._inner.triggers, self._home)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and its thread; safe to call twice."""
        self._home.stop(self._inner.aclose)

    def submit(self, handler: str, arguments: Mapping[str, object] | None = None, /, **options: Any) -> BlockingTask:
        """As `AsyncClient.submit`."""
        return BlockingTask(self._wait(self._inner.submit(handler, arguments, **options)), self._home)

    def submit_many(
        self,
        handler: str,
        rows: Iterable[Mapping[str, object]],
        /,
        *,
        keep: bool = False,
        name: str | None = None,
        **options: Any,
    ) -> BlockingBatch:
        """As `AsyncClient.submit_many`; rows are read in the thread that calls."""
        inner = self._inner
        outgoing = self._wait(inner.outgoing(handler, keep=keep, name=name, options=options))
        try:
            for chunk in chunked(rows, inner.encoded):
                self._wait(outgoing.add(chunk))
            return BlockingBatch(Batch(inner, self._wait(outgoing.seal())), self._home)
        except BaseException:
            self._wait(outgoing.abort())
            raise

    def run_workflow(
        self,
        definition: Definition,
        /,
        *,
        input: Mapping[str, object] | None = None,  # noqa: A002  # the name that it has in a definition
        **options: Any,
    ) -> BlockingRun:
        """As `AsyncClient.run_workflow`."""
        return BlockingRun(self._wait(self._inner.run_workflow(definition, input=input, **options)), self._home)

    def as_completed(self, tasks: BlockingBatch | Iterable[BlockingTask]) -> Iterator[BlockingTask]:
        """As `AsyncClient.as_completed`."""
        inner = tasks.inner if isinstance(tasks, BlockingBatch) else [task.inner for task in tasks]
        for page in self._home.iterate(self._inner.pages(inner)):
            for task in page:
                yield BlockingTask(task, self._home)

    result = blocking(AsyncClient.result)
    status = blocking(AsyncClient.status)
    history = blocking(AsyncClient.history)
    why = blocking(AsyncClient.why)
    order_by = blocking(AsyncClient.order_by)
    publish = blocking(AsyncClient.publish)
    published = blocking(AsyncClient.published)
    route = blocking(AsyncClient.route)
    run_result = blocking(AsyncClient.run_result)
    run_end = blocking(AsyncClient.run_end)
    run_status = blocking(AsyncClient.run_status)
    run_steps = blocking(AsyncClient.run_steps)
    run_definition = blocking(AsyncClient.run_definition)
    runs = blocking(AsyncClient.runs)
    signal = blocking(AsyncClient.signal)
    retry = blocking(AsyncClient.retry)
    limit = blocking(AsyncClient.limit)
    batch_status = blocking(AsyncClient.batch_status)
    wait = blocking(AsyncClient.wait)
    cancel = blocking(AsyncClient.cancel)
    pause = blocking(AsyncClient.pause)
    resume = blocking(AsyncClient.resume)
    replay = blocking(AsyncClient.replay)
    batches = blocking(AsyncClient.batches)
    tasks = blocking(AsyncClient.tasks)
    overview = blocking(AsyncClient.overview)
    emit = blocking(AsyncClient.emit)
    flush = blocking(AsyncClient.flush)
