"""Answers questions from the service: one desk for each connection, which keeps what is open between two of them."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, TypeVar

import msgspec

from wsaios.door.questions import (
    MAX_NUMBER,
    A,
    ActOn,
    Ask,
    BatchAbort,
    BatchEnd,
    BatchFind,
    BatchOpen,
    BatchRows,
    BatchSeal,
    BatchStatusOf,
    DeclareTrigger,
    EmitEvent,
    Flush,
    FollowEnd,
    FollowNext,
    FollowOpen,
    HistoryOf,
    LimitBy,
    ListBatches,
    ListRuns,
    ListTasks,
    ListTriggers,
    OrderBy,
    OverviewOf,
    PublishedOf,
    PublishOn,
    Ranges,
    ResultOf,
    RouteOn,
    RunDefinition,
    RunEnd,
    RunResult,
    RunStart,
    RunStatus,
    RunSteps,
    SignalOn,
    StatusOf,
    SubmitOne,
    TriggerAct,
    WhyOf,
)
from wsaios.door.streams import Feed, Follow, arguments_of
from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.events import Closed
from wsaios.kernel.json_value import checked
from wsaios.kernel.task import Batch
from wsaios.kernel.views import BatchView, RunView, Status
from wsaios.planning.calls import whole
from wsaios.scheduler.service import Service, result_of
from wsaios.scheduler.workflows import Sent

OPEN_AT_ONCE: Final = 256
_LONGEST_LIST: Final = 1000
_LONGEST_PAGE: Final = 10_000
_MOST_FOLLOWED: Final = 100_000_000
S = TypeVar("S", Feed, Follow)


class Desk:
    """Everything that comes in is checked here or by the service; nothing it is asked can harm the scheduler."""

    def __init__(self, service: Service) -> None:
        self._service = service
        inspector = service.inspector
        self._feeds: dict[int, Feed] = {}
        self._follows: dict[int, Follow] = {}
        self._handles = count(1)
        self._answers: dict[type, Callable[[Any], Awaitable[Any]]] = {
            SubmitOne: self._submit,
            BatchOpen: self._batch_open,
            BatchRows: lambda ask: _of(self._feeds, ask.handle).add(ask.rows),
            BatchSeal: self._batch_seal,
            BatchAbort: self._batch_abort,
            BatchFind: lambda ask: service.batch_by_key(ask.key),
            ResultOf: self._result,
            StatusOf: lambda ask: inspector.status(ask.task),
            HistoryOf: lambda ask: inspector.history(ask.task),
            WhyOf: lambda ask: inspector.why(ask.task),
            ActOn: self._act,
            RunStart: self._run_start,
            PublishOn: self._publish,
            RouteOn: lambda ask: service.workflows.versions.route(ask.name, ask.shares),
            PublishedOf: lambda ask: service.workflows.versions.published(ask.name),
            RunEnd: lambda ask: service.workflows.ended(ask.run),
            RunResult: self._run_result,
            RunStatus: lambda ask: service.workflows.view(ask.run),
            RunSteps: lambda ask: service.workflows.steps(ask.run),
            RunDefinition: self._definition,
            ListRuns: self._runs,
            SignalOn: lambda ask: service.workflows.signal(ask.event, ask.data, run=ask.run, step=ask.step),
            OrderBy: lambda ask: service.order_by(ask.policy, fair_share=ask.fair_share),
            LimitBy: lambda ask: service.limit(ask.limits),
            BatchStatusOf: lambda ask: inspector.batch(ask.batch),
            BatchEnd: lambda ask: service.batch_end(ask.batch),
            FollowOpen: self._follow_open,
            FollowNext: self._follow_next,
            FollowEnd: self._follow_end,
            ListBatches: self._batches,
            ListTasks: self._tasks,
            OverviewOf: lambda _: inspector.overview(),
            Flush: lambda _: service.flush(),
            DeclareTrigger: lambda ask: service.triggers.put(ask.spec),
            TriggerAct: lambda ask: service.triggers.act(ask.verb, ask.name),
            ListTriggers: lambda ask: service.triggers.views(ask.name),
            EmitEvent: lambda ask: service.triggers.emit(ask.name, ask.data, ask.token, again=ask.again),
        }

    async def ask(self, ask: Ask[A]) -> A:
        """The answer.

        Raises:
            WsaiosError: as the service's verbs do.
        """
        answer: A = await self._answers[type(ask)](ask)
        return answer

    def quick(self, ask: Ask[Any]) -> "tuple[asyncio.Future[Any], Callable[[Any], Any]] | None":
        """For what is asked most the answer without a coroutine: a future, and what makes the answer of its result.

        An answer that is None, as no answer to be had this way: `ask` for it.

        Raises:
            WsaiosError: as `ask`.
        """
        if type(ask) is SubmitOne:
            return self._submitted(ask), _first
        if type(ask) is ResultOf:
            return self._service.end_soon(ask.task), _result_of
        return None

    def close(self) -> None:
        """Take back what was not finished: open batches, and those who follow."""
        streams: list[Feed | Follow] = [*self._feeds.values(), *self._follows.values()]
        for stream in streams:
            stream.stop()
        self._feeds.clear()
        self._follows.clear()

    async def _submit(self, ask: SubmitOne) -> int:
        return (await self._submitted(ask))[0]

    def _submitted(self, ask: SubmitOne) -> "asyncio.Future[list[int]]":
        sent = Sent(ask.token, ask.again)
        return self._service.submitted(ask.handler, arguments_of(ask.arguments), ask.options, sent)

    async def _batch_open(self, ask: BatchOpen) -> int:
        service = self._service
        meta: Any = checked(ask.meta, "meta")
        handle = self._next(self._feeds)
        self._feeds[handle] = Feed(
            lambda rows: service.submit_many(
                ask.handler, rows, ask.options, keep=ask.keep, key=ask.key or None, meta=meta
            )
        )
        return handle

    async def _batch_seal(self, ask: BatchSeal) -> Batch:
        sealed = await _of(self._feeds, ask.handle).seal()
        self._feeds.pop(ask.handle, None)
        return sealed

    async def _batch_abort(self, ask: BatchAbort) -> None:
        feed = self._feeds.pop(ask.handle, None)
        if feed is not None:
            await feed.stopped()

    async def _result(self, ask: ResultOf) -> bytes:
        return result_of(await self._service.ended(ask.task))

    async def _act(self, ask: ActOn) -> str | int:
        whole("number", ask.scope.number, 0, MAX_NUMBER)
        return await self._service.act(ask.verb, ask.scope, ask.reason)

    async def _run_start(self, ask: RunStart) -> int:
        service, content = self._service.workflows, ask.definition
        plan = await (asyncio.to_thread(service.check, content) if content else service.versions.chosen(ask.name))
        return await service.start(plan, arguments_of(ask.input), ask.options, Sent(ask.token, ask.again))

    async def _publish(self, ask: PublishOn) -> int:
        plan = await asyncio.to_thread(self._service.workflows.check, ask.definition)
        return await self._service.workflows.versions.publish(plan, ask.note, ask.who)

    async def _run_result(self, ask: RunResult) -> bytes:
        return msgspec.json.encode(await self._service.workflows.result(ask.run))

    async def _definition(self, ask: RunDefinition) -> bytes:
        return (await self._service.workflows.plan(ask.version)).content

    async def _runs(self, ask: ListRuns) -> list[RunView]:
        return await self._service.workflows.runs(ask.states, ask.before, whole("limit", ask.limit, 1, _LONGEST_LIST))

    async def _follow_open(self, ask: FollowOpen) -> int:
        if sum(length for _, length in ask.ranges) > _MOST_FOLLOWED:
            raise InvalidInput("ranges", f"at most {_MOST_FOLLOWED} tasks can be followed at once")
        handle = self._next(self._follows)
        self._follows[handle] = Follow(self._service.ended_of(ask.ranges))
        return handle

    async def _follow_next(self, ask: FollowNext) -> Ranges:
        return await _of(self._follows, ask.handle).next(whole("most", ask.most, 1, _LONGEST_PAGE))

    async def _follow_end(self, ask: FollowEnd) -> None:
        follow = self._follows.pop(ask.handle, None)
        if follow is not None:
            follow.stop()

    async def _batches(self, ask: ListBatches) -> list[BatchView]:
        return await self._service.inspector.batches(whole("limit", ask.limit, 1, _LONGEST_LIST))

    async def _tasks(self, ask: ListTasks) -> list[Status]:
        limit = whole("limit", ask.limit, 1, _LONGEST_LIST)
        return await self._service.inspector.tasks(ask.states, ask.after, limit)

    def _next(self, streams: dict[int, S]) -> int:
        if len(streams) >= OPEN_AT_ONCE:
            raise InvalidInput("connection", f"at most {OPEN_AT_ONCE} batches and as many follows are open at once")
        return next(self._handles)


def _of(streams: dict[int, S], handle: int) -> S:
    stream = streams.get(handle)
    if stream is None:
        raise InvalidInput("handle", f"{handle} is not open on this connection")
    return stream


def _first(ids: list[int]) -> int:
    return ids[0]


def _result_of(closed: Closed | None) -> bytes | None:
    return None if closed is None else result_of(closed)
