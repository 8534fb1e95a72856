"""The use cases: the only door to the scheduler for every gateway."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Final, TypeVar

import msgspec

from wsaios.kernel.errors import (
    InvalidInput,
    LedgerUnavailable,
    NotRunning,
    QueueFull,
    TaskFailed,
    UnknownBatch,
    UnknownLane,
    UnknownTask,
)
from wsaios.kernel.events import (
    AbortBatch,
    Act,
    Barrier,
    Closed,
    OpenBatch,
    Scope,
    SealBatch,
    StageRows,
    Submit,
    Verb,
)
from wsaios.kernel.ids import IdRange, encode
from wsaios.kernel.ledger import Reads, Totals
from wsaios.kernel.ports import Clock
from wsaios.kernel.run import RunState
from wsaios.kernel.states import State
from wsaios.kernel.task import Batch, HandlerSpec, NewTask, Outcome
from wsaios.kernel.text import storable
from wsaios.kernel.trigger import Languages
from wsaios.kernel.views import BatchView
from wsaios.planning.calls import Calls, patience
from wsaios.scheduler.ends import Ends
from wsaios.scheduler.fresh import Fresh
from wsaios.scheduler.inspect import Inspector, Read, batch_view
from wsaios.scheduler.loop import Loop
from wsaios.scheduler.places import Places
from wsaios.scheduler.steering import Steering
from wsaios.scheduler.triggering import TriggerService
from wsaios.scheduler.watch import Whole
from wsaios.scheduler.workflows import FROM_HERE, Sent, Workflows

T = TypeVar("T")
CHUNK_ROWS: Final = 2000
CHUNK_BYTES: Final = 1 << 20
_CHUNKS_SENT: Final = 2
_PAGE: Final = 5000
_MOMENT_S: Final = 0.5
_OUTCOMES: Final = 500
_NEAR: Final = 100 << 22  # ids of a tenth of a second
_TURN_S: Final = 0.005
_RUNS: Final = {"async": "coroutines", "thread": "plain functions", "process": "functions that worker processes import"}
_FINAL: Final = "a batch takes no {}; give it to single tasks"


class Limits(msgspec.Struct, frozen=True):
    """How much may be accepted and not yet committed before callers must wait, and how large arguments may be."""

    pending_rows: int = 50_000
    pending_bytes: int = 64 << 20
    payload_bytes: int = 1 << 20


class Submissions(Steering):
    """How work comes in."""

    def __init__(
        self, loop: Loop, reads: Reads, read: Read, clock: Clock, limits: Limits, languages: Languages | None = None
    ) -> None:
        """`read` runs a call of `reads` off the loop; `languages` are those of triggers."""
        super().__init__(loop)
        self._reads = reads
        self._read = read
        self._clock = clock
        self._limits = limits
        self._calls = Calls(limits.payload_bytes)
        self.specs: Mapping[str, HandlerSpec] = {}
        self._ends = Ends(reads, read)
        self.inspector = Inspector(reads, read, lambda: loop.core, clock)
        self.workflows = Workflows(loop, reads, read, self._post)
        check = self.workflows.versions.check_start
        self.triggers = TriggerService(self._post, limits.payload_bytes, languages, check)

    async def submit(
        self, handler: str, arguments: Mapping[str, object] | None, options: Mapping[str, Any], sent: Sent = FROM_HERE
    ) -> int:
        """Accept one task; it is durable when this returns its id.

        Raises:
            InvalidInput, UnknownLane, IdempotencyConflict: nothing was accepted.
            QueueFull: too much waits for its commit; says when to try again.
            Unacknowledged: nobody knows whether it was accepted.
        """
        ids: list[int] = await self.submitted(handler, arguments, options, sent)
        return ids[0]

    def submitted(
        self, handler: str, arguments: Mapping[str, object] | None, options: Mapping[str, Any], sent: Sent = FROM_HERE
    ) -> "asyncio.Future[list[int]]":
        """The same without a coroutine: what is refused at once is raised here, the rest by the future."""
        new = self._calls.build(handler, arguments, options, self._spec(handler), self._clock.now_us())
        if new.lane:
            self._check_lane(new)
        loop, size = self._loop, len(new.payload)
        if loop.pending_rows >= self._limits.pending_rows or loop.pending_bytes + size > self._limits.pending_bytes:
            raise QueueFull(loop.pending_rows, loop.pending_bytes, 0.1)
        return self._post(lambda token: Submit(token, [new], sent.token, again=sent.again), 1, size)

    async def submit_each(self, calls: Sequence[tuple[str, Mapping[str, object]]]) -> list[int]:
        """Accept one task for each (handler, arguments): all or none.

        Raises:
            InvalidInput, QueueFull, Unacknowledged: as `submit`; names the call (from 1).
        """
        tasks = []
        for place, (handler, arguments) in enumerate(calls, start=1):
            try:
                tasks.append(self._calls.build(handler, arguments, {}, self._spec(handler), self._clock.now_us()))
            except InvalidInput as error:
                raise InvalidInput(f"action {place}, {error.field}", error.reason) from error
        size = sum(len(task.payload) for task in tasks)
        ids = await self._ask(lambda token: Submit(token, tasks), len(tasks), size)
        return [int(number) for number in ids]

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that no task could have.

        Raises:
            InvalidInput: names the option.
        """
        self._calls.build("check", {}, options, None, self._clock.now_us())

    async def submit_many(
        self,
        handler: str,
        rows: Iterable[Mapping[str, object]] | AsyncIterable[Mapping[str, object]],
        options: Mapping[str, Any],
        *,
        keep: bool = False,
        key: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Accept a batch: all rows, or none of them when reading or checking any of them fails.

        Raises:
            InvalidInput: names the row (from 1).
        """
        for option in ("idempotency_key", "depends_on"):
            if options.get(option):
                raise InvalidInput(option, _FINAL.format(option))
        if not isinstance(rows, Iterable | AsyncIterable):
            raise InvalidInput("rows", f"must be an iterable of mappings, not {type(rows).__name__}")
        kept = self._calls.plain("name", dict(meta or {}))
        spec = self._spec(handler)
        chosen = {**spec.calls, **options} if spec is not None else options
        template = self._calls.build(handler, {}, chosen, None, self._clock.now_us())
        self._check_lane(template)
        batch = Batch(0, 0, handler, template.tenant, 0, keep=keep, key=key, meta=kept)
        number = int(await self._ask(lambda token: OpenBatch(token, batch)))
        try:
            await self._stage(number, template, rows)
            sealed = await self._ask(lambda token: SealBatch(token, number))
        except BaseException:
            if self._loop.running():
                await asyncio.shield(
                    asyncio.gather(self._ask(lambda token: AbortBatch(token, number)), return_exceptions=True)
                )
            raise
        assert isinstance(sealed, Batch)
        return sealed

    async def _stage(
        self, number: int, template: NewTask, rows: Iterable[Mapping[str, object]] | AsyncIterable[Mapping[str, object]]
    ) -> None:
        sent: deque[asyncio.Future[Any]] = deque()
        gathered = Gathered(self._calls, self._spec(template.handler))
        clock = asyncio.get_running_loop().time
        until_s = clock() + _TURN_S
        if isinstance(rows, AsyncIterable):
            async for row in rows:
                if gathered.add(row):
                    await self._send(number, template, *gathered.take(), sent)
        else:
            for row in rows:
                if gathered.add(row):
                    await self._send(number, template, *gathered.take(), sent)
                # A slow source must not keep everything else waiting.
                if clock() > until_s:
                    await asyncio.sleep(0)
                    until_s = clock() + _TURN_S
        if gathered.rows:
            await self._send(number, template, *gathered.take(), sent)
        for each in sent:
            await each

    async def _send(
        self, number: int, template: NewTask, chunk: list[bytes], size: int, sent: "deque[asyncio.Future[Any]]"
    ) -> None:
        """Rows are read and encoded while the chunk before is committed."""
        loop, limits = self._loop, self._limits
        while len(sent) >= _CHUNKS_SENT:
            await sent.popleft()
        while loop.pending_rows and (
            loop.pending_rows + len(chunk) > limits.pending_rows or loop.pending_bytes + size > limits.pending_bytes
        ):
            await loop.room()
        future = self._post(lambda token: StageRows(token, number, template, chunk), len(chunk), size)
        # When a later row is refused nobody waits for this any more.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        sent.append(future)

    def _check_lane(self, new: NewTask) -> None:
        """Refuse a lane that is not there or cannot run the handler, as far as both are known here."""
        core = self._loop.core
        lanes = core.executor.kinds if core is not None else {}
        if not new.lane or not lanes:
            return
        if new.lane not in lanes:
            raise UnknownLane(new.lane, list(lanes))
        spec = self._spec(new.handler)
        if spec is not None and spec.kind not in {None, lanes[new.lane]}:
            fitting = ", ".join(name for name, kind in lanes.items() if kind == spec.kind)
            runs = _RUNS[lanes[new.lane]]
            raise InvalidInput(
                "lane", f"lane {new.lane!r} runs {runs}, which handler {new.handler!r} is not; it fits {fitting}"
            )

    def _spec(self, handler: str) -> HandlerSpec | None:
        # A core hears of a new handler with its next step only, and one that is being rebuilt has heard of nothing yet.
        return self.specs.get(handler)


class Gathered:
    """Rows of a batch, encoded and gathered until they are worth a commit."""

    def __init__(self, calls: Calls, spec: HandlerSpec | None) -> None:
        self._encode = calls.encode
        self._spec = spec
        self._count = 0
        self._size_bytes = 0
        self.rows: list[bytes] = []

    def add(self, row: Mapping[str, object]) -> bool:
        """Take a row in; True: it is time to `take` what there is.

        Raises:
            InvalidInput: names the row (from 1).
        """
        self._count += 1
        try:
            data = self._encode(row, self._spec)
        except InvalidInput as error:
            raise InvalidInput(f"row {self._count}, {error.field}", error.reason) from error
        self.rows.append(data)
        self._size_bytes += len(data)
        return len(self.rows) >= CHUNK_ROWS or self._size_bytes >= CHUNK_BYTES

    def take(self) -> tuple[list[bytes], int]:
        """What has gathered, and how many bytes it has."""
        rows, size_bytes = self.rows, self._size_bytes
        self.rows, self._size_bytes = [], 0
        return rows, size_bytes


class Service(Submissions):
    """Submit, wait, inspect and act."""

    async def act(self, verb: Verb, scope: Scope, reason: str = "") -> str | int:
        """Cancel, pause, resume or replay; returns the new state of a task or a run in a word, else how many it met.

        Pausing or resuming a batch, a lane or everything is one switch and counts as 1; a batch that is over as 0.

        Raises:
            UnknownTask, UnknownBatch, UnknownRun, UnknownLane, NotPossible: nothing changed.
        """
        if not isinstance(reason, str):
            raise InvalidInput("reason", f"must be text, not {type(reason).__name__}")
        told = storable(reason)
        if scope.kind == "run" and verb == "replay":
            await self.workflows.ready_again(scope.number)
        answer = int(await self._ask(lambda token: Act(token, verb, scope, told)))
        if scope.kind == "run":
            return RunState(answer).word
        return State(answer).word if scope.kind == "task" else answer

    async def result(self, number: int, timeout_s: float | None = None) -> Any:
        """The result of a task, waiting for its end.

        Raises:
            TaskFailed: it ended otherwise; says how.
            TimeoutError: it has not ended in time; it goes on.
            UnknownTask: there is none.
        """
        closed = await (self._end_of(number) if timeout_s is None else self.ended(number, timeout_s))
        if closed is None:
            closed = await self.ended(number)
        return unpack(closed.outcome, closed.result)

    async def ended(self, number: int, timeout_s: float | None = None) -> Closed:
        """The outcome of a task, waiting for it."""
        if timeout_s is not None:
            return await _patiently(lambda: self._end_of(number), timeout_s, encode(number))
        while (found := await self._end_of(number)) is None:
            pass
        return found

    def end_soon(self, number: int) -> "asyncio.Future[Closed | None]":
        """How a task ended, without a coroutine; None: ask `ended`, which waits. Cancel it when nobody wants it."""
        watch = self._loop.watch
        if not self._loop.running() or not (self._loop.will_end(number) or self._loop.rebuilding()):
            return self._ends.of(number)
        future = watch.task(number)
        future.add_done_callback(lambda done: watch.drop(number, done) if done.cancelled() else None)
        return future

    async def batch_end(self, number: int, timeout_s: float | None = None) -> BatchView:
        """Where a batch stands once all of its rows have ended, waiting for that.

        Raises:
            TimeoutError: not in time; the batch goes on.
            UnknownBatch: there is none.
        """
        if timeout_s is not None:
            return await _patiently(lambda: self._finish_of(number), timeout_s, encode(number, "batch"))
        while (found := await self._finish_of(number)) is None:
            pass
        return found

    async def _end_of(self, number: int) -> Closed | None:
        future = self._loop.watch.task(number)
        try:
            if not self._loop.will_end(number) and not self._loop.rebuilding():
                try:
                    closed = await self._ends.of(number)
                except LedgerUnavailable as error:
                    return await self._meanwhile(future, error)
                if closed is not None and not future.done():
                    return closed
            self._check_running(future)
            return await future
        finally:
            self._loop.watch.drop(number, future)

    async def _finish_of(self, number: int) -> BatchView | None:
        future = self._loop.watch.batch(number)
        try:
            if not self._loop.rebuilding():
                try:
                    view = await self.inspector.batch(number)
                except LedgerUnavailable as error:
                    late: Whole | None = await self._meanwhile(future, error)
                    return batch_view(late) if isinstance(late, Batch) else None
                if view.finished:
                    return view
            self._check_running(future)
            batch = await future
            return batch_view(batch) if isinstance(batch, Batch) else None
        finally:
            self._loop.watch.drop_batch(number, future)

    async def _meanwhile(self, future: "asyncio.Future[T | None]", error: LedgerUnavailable) -> T | None:
        """The ledger cannot be read, and its owner has not given up: what is waited for, or None after a moment.

        Raises:
            LedgerUnavailable: the owner has ended.
        """
        if not self._loop.running():
            raise error
        await asyncio.wait((future,), timeout=_MOMENT_S)
        return future.result() if future.done() else None

    def _check_running(self, future: "asyncio.Future[Any]") -> None:
        if not future.done() and not self._loop.running():
            raise NotRunning

    async def ended_of(self, ranges: Sequence[tuple[int, int]]) -> AsyncGenerator[tuple[int, int], None]:
        """(id, state) of every task of these (first, length) ranges as it ends, each once.

        Those that have ended come first. Memory: one bit a task. Who consumes slowly is not waited for: what was
        missed is read again.

        Raises:
            UnknownTask: one of them (of a range the first that has not ended) is not in the ledger, or no longer.
        """
        parts = [IdRange(*part) for part in ranges]
        places, fresh, told = Places(ranges), Fresh(), False
        stop = self._loop.watch.listen(lambda closed: fresh.hear(closed, places))
        try:
            while places.left or fresh.more():
                fresh.signal.clear()
                if fresh.read_again():
                    if told and not self._loop.running():
                        raise NotRunning
                    async for number, state in self._ended_pages(parts):
                        if places.mark(number):
                            yield number, state
                    if not told:
                        await self._refuse_missing(places)
                    told = True
                for number, state in fresh.take():
                    yield number, state
                if places.left and not fresh.more():
                    await self._signalled(fresh.signal)
        finally:
            stop()

    async def _refuse_missing(self, places: Places) -> None:
        """What is neither live nor ended would be waited for without end."""
        asked = list(places.first_left())
        for place in range(0, len(asked), _PAGE):
            core = self._loop.core
            tasks = {} if core is None else core.book.tasks
            doubtful = [number for number in asked[place : place + _PAGE] if number not in tasks]
            _, missing = await self._read(self._reads.ends, doubtful) if doubtful else ((), ())
            if missing:
                raise UnknownTask(encode(missing[0]))

    async def outcomes(self, ranges: Sequence[tuple[int, int]]) -> AsyncIterator[tuple[Outcome, bytes]]:
        """Every outcome of these ranges by id, which is input order, with its result bytes."""
        for part in (IdRange(*item) for item in ranges):
            first = part.first
            while part.length:
                page = await self._read(self._reads.outcomes, first, part.last, _OUTCOMES)
                for outcome, result in page:
                    if part.place_of(outcome.id) is not None:
                        yield outcome, result
                if len(page) < _OUTCOMES:
                    break
                first = page[-1][0].id + 1

    async def batch(self, number: int) -> Batch:
        """A batch as the ledger has it.

        Raises:
            UnknownBatch: there is none.
        """
        found = await self._read(self._reads.batch, number)
        if not isinstance(found, Batch):
            raise UnknownBatch(encode(number, "batch"))
        return found

    async def batch_by_key(self, key: str) -> Batch | None:
        """The latest batch with this key that was not taken back, or None."""
        found = await self._read(self._reads.batch_by_key, key)
        return found if isinstance(found, Batch) else None

    async def totals(self) -> Totals:
        """Counts over everything."""
        found = await self._read(self._reads.totals)
        assert isinstance(found, Totals)
        return found

    async def flush(self) -> None:
        """Return when everything said before is durable."""
        await self._ask(Barrier)

    async def _ended_pages(self, parts: Sequence[IdRange]) -> AsyncIterator[tuple[int, int]]:
        for span in _spans(parts):
            first = span[0]
            while True:
                try:
                    page = await self._read(self._reads.ended_ids, first, span[1], _PAGE)
                except LedgerUnavailable as error:
                    if self._loop.running():
                        raise
                    raise NotRunning from error
                for item in page:
                    yield item
                if len(page) < _PAGE:
                    break
                first = page[-1][0] + 1

    async def _signalled(self, signal: asyncio.Event) -> None:
        if self._loop.ended is not None or not self._loop.running():
            raise NotRunning
        await signal.wait()


def _spans(parts: Sequence[IdRange]) -> Iterator[tuple[int, int]]:
    """First and last ids that cover the parts: near ones share a span, for it costs little to read past a stranger."""
    spans: list[tuple[int, int]] = []
    for part in sorted(part for part in parts if part.length):
        if spans and part.first - spans[-1][1] <= _NEAR:
            spans[-1] = (spans[-1][0], max(spans[-1][1], part.last))
        else:
            spans.append((part.first, part.last))
    yield from spans


async def _patiently(ask: Callable[[], Awaitable[T | None]], timeout_s: float, what: str) -> T:
    """Ask until there is an answer; one that is None was missed, and is asked for again."""
    patience("timeout_s", timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = await ask()
                if found is not None:
                    return found
    except TimeoutError:
        msg = f"{what} has not ended within {timeout_s:g} s; it goes on"
        raise TimeoutError(msg) from None


def unpack(outcome: Outcome, result: bytes) -> Any:
    """The value of a succeeded outcome.

    Raises:
        TaskFailed: it did not succeed.
    """
    state = State(outcome.state)
    if state == State.SUCCEEDED:
        return msgspec.json.decode(result)
    failure = outcome.failure
    if failure is None:
        raise TaskFailed(encode(outcome.id), state.word, "", outcome.body.reason or "")
    raise TaskFailed(encode(outcome.id), state.word, failure.kind, failure.message, failure.traceback)


def result_of(closed: Closed) -> bytes:
    """The result of a task that succeeded.

    Raises:
        TaskFailed: it did not.
    """
    if closed.outcome.state != State.SUCCEEDED:
        unpack(closed.outcome, closed.result)
    return closed.result
