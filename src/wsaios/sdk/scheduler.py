"""The embedded scheduler: one process, one ledger, handlers as functions."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import msgspec

from wsaios.bootstrap import (
    GRACE_S,
    Api,
    Parts,
    Settings,
    check_lane,
    check_preemptible,
    ledger_url,
    spec_of,
)
from wsaios.components.goals import GoalQueue
from wsaios.components.optimizer import ParamOptimizer
from wsaios.components.relations import RelationStore
from wsaios.components.rules import RuleEngine
from wsaios.components.state import StateStore
from wsaios.door.lines import door_of
from wsaios.engines.local.aside import standing_aside
from wsaios.engines.local.handlers import Handlers
from wsaios.kernel.errors import InvalidInput, LedgerOwned, NotPossible
from wsaios.kernel.events import Closed, Verb
from wsaios.kernel.ids import encode
from wsaios.kernel.limit import Limit, LimitView
from wsaios.kernel.policy import AnyPolicy, FairShare, Ordering
from wsaios.kernel.states import State
from wsaios.kernel.task import API_HANDLER, HandlerSpec, LaneSpec
from wsaios.kernel.views import BatchView, Status, Transition, Why
from wsaios.ledger.location import locate
from wsaios.planning.calls import ASKS, CALL_DEFAULTS, TRIES, retries, seconds, whole
from wsaios.planning.calls import name as text
from wsaios.planning.limits import limits_of, of_handler
from wsaios.scheduler.lifecycle import Signals
from wsaios.scheduler.service import Limits
from wsaios.sdk.actions import Actions
from wsaios.sdk.declares import Declares
from wsaios.sdk.flows import Flows
from wsaios.sdk.folder import Folders
from wsaios.sdk.handles import Batch, Run, Task
from wsaios.sdk.lanes import lanes_of
from wsaios.sdk.marshal import AtHome, Home, at_home
from wsaios.sdk.names import Rows, number_of, scope_of
from wsaios.sdk.runs import Definition, Recalls, make_ready, name_in, plan_from, recall_handlers
from wsaios.sdk.standby import Standby, or_handed_in

F = TypeVar("F", bound=Callable[..., Any])
MAX_BATCH: int = 100_000
_HANDLER_OPTIONS: Final = (*TRIES, *ASKS, *CALL_DEFAULTS, "preemptible", "running", "rates", "learn")


class Scheduler(Declares, Flows):
    """Accepts work durably, runs it here, never loses it.

    Use it as ``async with Scheduler("sqlite:///work.db") as scheduler:`` or with `start` and `stop`. One
    scheduler owns a ledger; other processes reach it through `wsaios.Client`.
    """

    def __init__(
        self,
        ledger: str | None = None,
        *,
        lanes: Mapping[str, int | LaneSpec] | None = None,
        limits: Limits | Iterable[Limit] | None = None,
        grace_s: float = GRACE_S,
        policy: str | AnyPolicy | None = None,
        fair_share: bool | FairShare | None = None,
        settings: Settings | None = None,
    ) -> None:
        """`ledger` like ``sqlite:///work.db``.

        Without it WSAIOS_LEDGER, else ``sqlite:///wsaios.db`` in the working folder.

        `lanes` sets slots by name, or adds lanes; `grace_s` is how long `stop` waits for what runs. `policy`, such as
        ``"deadline"``, and `fair_share` between tenants say what starts next; None: as before. `limits` is a list of
        `Limit` for lanes, handlers, tenants and keys (those of other names stay as the ledger has them), or `Limits`
        for what may wait for its commit.

        Raises:
            InvalidInput: names the setting.
        """
        self.url = ledger_url(ledger)
        beside = [lanes, limits, policy, fair_share]
        if settings is not None and (grace_s != GRACE_S or any(each is not None for each in beside)):
            raise InvalidInput("settings", "give everything but the ledger inside of it, not beside it")
        chosen = settings or Settings(
            lanes=lanes_of(lanes or {}),
            limits=limits if isinstance(limits, Limits) else Limits(),
            bounds=() if limits is None or isinstance(limits, Limits) else tuple(limits_of(limits)),
            grace_s=seconds("grace_s", grace_s),
            policy=policy,
            fair_share=fair_share,
        )
        self._handlers = Handlers()
        self._specs: dict[str, HandlerSpec] = {}
        self._parts = Parts(self.url, chosen, self._handlers, self._specs)
        self._service = self._parts.service
        self._keep_triggers(self._service, self._parts.log)
        self._door = door_of(self.url, self._parts)
        self._stands_by = chosen.serves and locate(self.url).remote
        self._started = False
        self._starting: asyncio.Future[None] | None = None
        self._stopping: asyncio.Future[None] | None = None
        self.home = Home()
        self.standby: Standby | None = None
        self._signals: Signals | None = None
        self._counting: set[str] = set()
        self._stats = {"ok": 0, "fail": 0}
        self._api = Api(allow_private=chosen.http_allow_private)
        self.add_handler(API_HANDLER, self._api)
        self.count(API_HANDLER)
        self._service.workflows.ready = lambda plan: make_ready(self, self._specs, plan)
        recall = partial(recall_handlers, self, self._specs, self._service.workflows, self._parts.log)
        self._recalls = Recalls(recall)
        self._folders = Folders(self, self._parts.log)
        self._parts.loop.watch.begun = self._recalls.begun
        components = self._parts.components
        self.goals: GoalQueue = cast("Any", AtHome(self.home, components.goals))
        self.state: StateStore = cast("Any", AtHome(self.home, components.state))
        self.relations: RelationStore = cast("Any", AtHome(self.home, components.relations))
        self.rules: RuleEngine = cast("Any", AtHome(self.home, components.rules))
        self.optimizer: ParamOptimizer = cast("Any", AtHome(self.home, components.optimizer))
        self.executor = Actions(self)

    def handler(
        self,
        name: str | None = None,
        *,
        lane: str | None = None,
        batch_size: int | None = None,
        max_wait_s: float = 0.01,
        **options: Any,
    ) -> Callable[[F], F]:
        """Register the decorated function; coroutines run on the loop, plain functions in threads.

        With ``lane="process"`` a plain function runs in a worker process, which imports it by its name.

        With `batch_size` it is batched: it takes a list of argument dicts, at most that many, and returns one result
        for each; an
        under-filled batch waits at most `max_wait_s` from its oldest row. `options` are defaults of its tasks:
        max_attempts, timeout_s, backoff_initial_s, backoff_factor, backoff_max_s, delivery, concurrency_limit,
        priority, delay_s, tenant, concurrency_key; `resources` that a call holds and `costs` that a task takes of
        rates, by unit. `running` is how many of its tasks run at a time, `rates` how much starts in a time, as
        ``{"requests": "60/m"}``; with `learn` True (or `Learn`) how many run is found out from what is refused. With
        ``preemptible=True`` a call must give its slot to better work of a higher class: a coroutine at its next
        `Context.checkpoint`, a process is ended and its task runs again.

        Raises:
            InvalidInput: names the option, or says why the function cannot be a handler.
        """

        def register(function: F) -> F:
            called = name or str(getattr(function, "__name__", type(function).__name__))
            self.add_handler(called, function, lane=lane, batch_size=batch_size, max_wait_s=max_wait_s, **options)
            return function

        return register

    def add_handler(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        lane: str | None = None,
        batch_size: int | None = None,
        max_wait_s: float = 0.01,
        **options: Any,
    ) -> None:
        """The same as `handler`, for a function that is there already."""
        if batch_size is not None:
            whole("batch_size", batch_size, 1, MAX_BATCH)
        preemptible = options.pop("preemptible", False)
        limit = of_handler(name, options.pop("running", None), options.pop("rates", None), options.pop("learn", None))
        unknown = set(options) - {*TRIES, *ASKS, *CALL_DEFAULTS}
        if unknown:
            raise InvalidInput(
                min(unknown), f"no such option of a handler; there are {', '.join(sorted(_HANDLER_OPTIONS))}"
            )
        seconds("max_wait_s", max_wait_s, 0.0, 3600.0)
        tries = retries({key: value for key, value in options.items() if key in (*TRIES, *ASKS)})
        calls = {key: value for key, value in options.items() if key in CALL_DEFAULTS and value is not None}
        self._service.check(calls)
        there = name in self._handlers
        handler = self._handlers.add(text("name", name), function, lane=lane, batched=batch_size is not None)
        try:
            kind = check_lane(handler, self._parts.lanes)
            check_preemptible(preemptible, kind)
        except InvalidInput:
            if not there:
                self._handlers.remove(name)
            raise
        spec = spec_of(handler, kind, batch_size or 1, max_wait_s, tries, calls)
        if preemptible or limit is not None:
            spec = msgspec.structs.replace(spec, preemptible=preemptible, limit=limit)
        self._specs[name] = spec
        if self._parts.loop.running():
            self._parts.know(spec)

    async def start(self) -> None:
        """Own the ledger, recover what a dead owner left, and begin.

        When another live scheduler owns a ledger on a server, this one stands by: it returns at once, its verbs go to
        that one, and it takes over when that one is gone (`on_standby` says which).

        Raises:
            LedgerOwned: another live scheduler has a ledger in a file; names it. It may be tried again.
            LedgerTooNew, LedgerBroken, LedgerUnavailable: as they say.
            NotPossible: it was stopped.
        """
        if self._starting is None or self._starting.done():
            self._starting = asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Start nothing more, wait up to `grace_s` for what runs, put the rest back, release the ledger.

        It goes on to its end even when who awaits it is cancelled; a second call waits for the same end.
        """
        if self._started:
            self._started = False
            self._stopping = asyncio.ensure_future(self._stop())
        if self._stopping is not None:
            await asyncio.shield(self._stopping)

    async def _start(self) -> None:
        if self._started:
            return
        if self._stopping is not None:
            raise NotPossible("start", "this scheduler", "stopped", "make a new Scheduler on the same ledger")
        self.home.settle()
        self._parts.loop.watch.listen(self._count_closed, waits=False)
        try:
            await self._own()
        except LedgerOwned:
            if not self._stands_by:
                raise
            self.standby = Standby(self.url, self._own, self._parts.log)
        self._started = True

    async def _own(self) -> None:
        opening = await self._parts.start("scheduler")
        try:
            await self._recalls.now({run.version for run in opening.runs})
            await self._door.open()
        except BaseException:
            await self._parts.stop()
            raise
        self._declarations.begin()

    async def _stop(self) -> None:
        self._declarations.end()
        if self.standby is not None:
            await self.standby.close()
        await self._folders.close()
        await self._recalls.close()
        await self._parts.stop(self._door.shut)
        await self._door.close()
        await self._api.close()
        self.home.leave()

    @property
    def on_standby(self) -> bool:
        """Whether another scheduler owns the ledger: verbs go to that one, and nothing runs here before it is gone."""
        return self.standby is not None and self.standby.waiting

    async def run(self) -> None:
        """Start, serve until SIGTERM or SIGINT, stop; a second SIGINT leaves at once, and nothing is lost.

        Raises:
            Fenced, WsaiosError: why it had to end by itself, for instance because it stood still for longer than its
                lease and another one took over. Start the process anew.
        """
        told = asyncio.Event()
        signals = Signals(lambda _: told.set(), lambda: os._exit(130))
        signals.listen(signal.SIGTERM, signal.SIGINT)
        try:
            await self.start()
            over = asyncio.ensure_future(self._parts.loop.over())
            asked = asyncio.ensure_future(told.wait())
            await asyncio.wait((over, asked), return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if over.done():
                raise over.result()
            over.cancel()
        finally:
            await self.stop()
            signals.close()

    async def __aenter__(self) -> Self:
        """As `start`. SIGTERM then cancels the task that entered, so that the block is left and `stop` runs."""
        entered = asyncio.current_task()
        self._signals = signals = Signals(lambda _: _cancel(entered), lambda: os._exit(130))
        signals.listen(signal.SIGTERM)
        try:
            await self.start()
        except BaseException:
            signals.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As `stop`. A process that was told to end by SIGTERM ends by it once everything is safe."""
        await self.stop()
        signals, self._signals = self._signals, None
        if signals is not None:
            signals.close()
            if signals.heard:
                os.kill(os.getpid(), signal.SIGTERM)

    @at_home
    @or_handed_in
    async def submit(self, handler: str, arguments: Mapping[str, object] | None = None, /, **options: Any) -> Task:
        """Accept one task; it is durable when this returns.

        Options: priority (−100…100, larger first), delay_s or run_at, deadline, expires_at, max_attempts, timeout_s,
        backoff_initial_s, backoff_factor, backoff_max_s, delivery, lane, tenant, idempotency_key, depends_on,
        concurrency_key, concurrency_limit, traceparent.

        Raises:
            InvalidInput, UnknownLane, IdempotencyConflict: nothing was accepted.
            QueueFull: says when to try again.
            Unacknowledged: nobody knows; repeat with the same idempotency_key.
        """
        return Task(self, await self._service.submit(handler, arguments, options))

    @at_home
    async def submit_each(self, calls: Sequence[tuple[str, Mapping[str, object]]]) -> list[str]:
        """Accept a task for each (handler, arguments): all or none; returns their ids."""
        if self.on_standby:
            raise NotPossible(
                "submit actions", "this scheduler", "on standby", "submit tasks, or wait until it owns the ledger"
            )
        return [encode(number) for number in await self._service.submit_each(calls)]

    @at_home
    @or_handed_in
    async def submit_many(
        self, handler: str, rows: Rows, /, *, keep: bool = False, name: str | None = None, **options: Any
    ) -> Batch:
        """Accept a batch of any length from any iterable: all rows, or none when one of them cannot be read or used.

        `keep` True: its rows are never pruned. `name` is for people.

        Raises:
            InvalidInput: names the row (from 1).
        """
        meta = {"name": name} if name else {}
        return Batch(self, await self._service.submit_many(handler, rows, options, keep=keep, meta=meta))

    async def as_completed(self, tasks: Batch | Iterable[Task]) -> AsyncIterator[Task]:
        """Every one of them as it ends, whatever its end, each once; those that have ended before come first."""
        if self.standby is not None and self.standby.waiting:
            async for task in self.standby.client.as_completed(tasks):
                yield Task(self, task.number)
            return
        if isinstance(tasks, Batch):
            ranges = [(part.first, part.length) for part in tasks.ranges]
        else:
            ranges = [(number, 1) for number in dict.fromkeys(number_of(task) for task in tasks)]
        ends = self._service.ended_of(ranges)
        while True:
            with standing_aside():
                end = await anext(ends, None)
            if end is None:
                return
            yield Task(self, end[0])

    @at_home
    @or_handed_in
    async def result(self, task_id: str | Task, *, timeout_s: float | None = None) -> Any:
        """The result of a task, waiting for it; a coroutine handler that waits gives its slot away meanwhile.

        Raises:
            TaskFailed: it ended otherwise; says how.
            TimeoutError: not in time; the task goes on.
            UnknownTask: there is none.
        """
        with standing_aside():
            return await self._service.result(number_of(task_id), timeout_s)

    @at_home
    @or_handed_in
    async def status(self, task_id: str) -> Status:
        """Where a task stands."""
        return await self._service.inspector.status(number_of(task_id))

    @at_home
    @or_handed_in
    async def history(self, task_id: str) -> list[Transition]:
        """Every change of a task, oldest first."""
        return await self._service.inspector.history(number_of(task_id))

    @at_home
    @or_handed_in
    async def why(self, task_id: str) -> Why:
        """What a task waits for, since when, and how many stand before it."""
        return await self._service.inspector.why(number_of(task_id))

    @at_home
    @or_handed_in
    async def batch_status(self, batch_id: str) -> BatchView:
        """Where a batch stands."""
        return await self._service.inspector.batch(number_of(batch_id, "batch"))

    @at_home
    @or_handed_in
    async def wait(self, batch_id: str, *, timeout_s: float | None = None) -> BatchView:
        """Until all rows of a batch have ended."""
        with standing_aside():
            return await self._service.batch_end(number_of(batch_id, "batch"), timeout_s)

    @at_home
    @or_handed_in
    async def cancel(self, target: str, *, reason: str = "") -> str | int:
        """End a task, a batch, a run, ``"lane:NAME"`` or ``"all"``; what runs is told to stop and can no longer commit.

        Returns the new state of a task in a word such as ``"cancelled"``, else how many tasks it met.
        """
        return await self._act("cancel", target, reason)

    @at_home
    @or_handed_in
    async def pause(self, target: str, *, reason: str = "") -> str | int:
        """Hold a task (also a running one), or start nothing of a batch.

        ``"lane:NAME"`` or ``"all"`` until `resume`. Returns the new state of a task in a word, else 1 (0: the batch
        is over).
        """
        return await self._act("pause", target, reason)

    @at_home
    @or_handed_in
    async def resume(self, target: str) -> str | int:
        """Go on with what was paused under the same name; returns as `pause`."""
        return await self._act("resume", target, "")

    @at_home
    @or_handed_in
    async def replay(self, target: str) -> str | int:
        """Run failed and lost tasks again: one task, or all of a batch, ``"lane:NAME"`` or ``"all"``.

        Returns the new state of a task in a word, else how many tasks it met.
        """
        return await self._act("replay", target, "")

    @at_home
    @or_handed_in
    async def run_workflow(
        self,
        definition: Definition,
        /,
        *,
        input: Mapping[str, object] | None = None,  # noqa: A002  # the name that it has in a definition
        **options: Any,
    ) -> Run:
        """Begin a run of a workflow: a file, a `Workflow`, a dict, or a name that was published.

        It is durable when this returns.

        Options: priority (added to that of each step), tenant, idempotency_key.

        Raises:
            InvalidDefinition: all that is wrong with it.
            InvalidInput: an input is missing, not declared or of the wrong kind.
            UnknownHandler: names all that it calls and nobody has.
        """
        called, workflows = name_in(definition), self._service.workflows
        plan = await (workflows.versions.chosen(called) if called else plan_from(definition))
        return Run(self, await workflows.start(plan, input, options))

    @at_home
    @or_handed_in
    async def order_by(
        self, policy: str | AnyPolicy | None = None, *, fair_share: bool | FairShare | None = None
    ) -> Ordering:
        """Order by another policy from now on, and let tenants share or not; None leaves each as it is.

        Returns what holds now, which is durable. What waits gets its new place step by step; `why` says so meanwhile.

        Raises:
            InvalidInput: there is no such policy, or it has a value that no policy could work with.
        """
        return await self._service.order_by(policy, fair_share=fair_share)

    @at_home
    @or_handed_in
    async def limit(self, *limits: Limit) -> list[LimitView]:
        """Have these limits from now on, each in place of the one for the same; one that bounds nothing removes it.

        Returns all that hold, with what is taken of each; they are durable. Without any, nothing changes.

        Raises:
            InvalidInput: one of them is no limit that could hold.
        """
        return await self._service.limit(limits)

    @at_home
    @or_handed_in
    async def flush(self) -> None:
        """Return when everything said before is durable."""
        await self._service.flush()

    def count(self, name: str) -> None:
        """Count the tasks of this handler as actions."""
        self._counting.add(name)

    def counted(self) -> dict[str, int]:
        """``{"ok", "fail"}``: actions that ended since this process started."""
        return dict(self._stats)

    def _count_closed(self, closed: list[Closed]) -> None:
        for each in closed:
            if each.handler in self._counting:
                self._stats["ok" if each.outcome.state == State.SUCCEEDED else "fail"] += 1

    async def _act(self, verb: Verb, target: str, reason: str) -> str | int:
        return await self._service.act(verb, scope_of(target), reason)


def _cancel(task: "asyncio.Task[Any] | None") -> None:
    if task is not None:
        task.cancel()
