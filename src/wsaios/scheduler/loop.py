"""Drives the core against the real clock, ledger and engine: gather, step, commit, and only then let go."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, Final, Protocol, TypeVar

from wsaios.kernel.engine import Ended, Engine, Receipt, Report, Verdict, Work, Yielded
from wsaios.kernel.errors import Fenced, LedgerUnavailable, NotRunning, Unacknowledged, WsaiosError
from wsaios.kernel.events import Barrier, Effects, Event, HandlerKnown, Hold, LaneKnown, Only, Reported, Token
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.kernel.ledger import Committed, Ledger, Opening
from wsaios.kernel.ports import Clock
from wsaios.kernel.task import Failure
from wsaios.scheduler.core import Core
from wsaios.scheduler.flight import Airway, Flight, reports_in
from wsaios.scheduler.inbox import Inbox
from wsaios.scheduler.linger import Linger
from wsaios.scheduler.notices import Notices
from wsaios.scheduler.threads import CallThread
from wsaios.scheduler.watch import Watch

_REBUILD_WAITS_S: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
_LONGEST_WAIT_S: Final = 2.0
_MOST_FAILURES: Final = 8
_FETCH: Final = -1
_RENEWALS: Final = 0.3
_STANDING: Final = (HandlerKnown, LaneKnown, Hold, Only)

T = TypeVar("T")


class Log(Protocol):
    """Where the driver tells what an operator should know."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something is odd and handled."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something is wrong and needs a hand."""


class Build(Protocol):
    """Makes a core from what the ledger says; `died` as in `Core`."""

    def __call__(self, opening: Opening, *, died: bool) -> Core:
        """Make it."""


class Loop:
    """One owner at work: what comes in during a commit is stepped meanwhile, and the next commit has all of it.

    After a commit that asked the ledger what only it knows, the answer is heard before anything else is stepped.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        clock: Clock,
        build: Build,
        *,
        log: Log,
        failpoint: Failpoint = nothing,
        notices: Notices | None = None,
    ) -> None:
        """`build(opening, died)` makes a core from what the ledger says."""
        self._ledger = ledger
        self._engine = engine
        self._clock = clock
        self._build = build
        self._log = log
        self._failpoint = failpoint
        self._notices = notices
        self._thread = CallThread("wsaios-ledger")
        self._inbox = Inbox()
        self._waker: asyncio.Future[None] | None = None
        self._driver: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._lost: Exception | None = None
        self._stopping = False
        self._standing: dict[tuple[type, str], Event] = {}
        self._room: list[asyncio.Future[None]] = []
        self.core: Core | None = None
        self.watch = Watch()
        self.pending_rows = 0
        self.pending_bytes = 0
        self._deaf = False
        self._answers: list[Committed] = []
        self._again = True
        self._kept_back = False
        self._unsent: list[Work] = []
        self._wake_us: int | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._home_thread = 0
        self._failures = 0
        self._airway = Airway(ledger.name, self._thread, self._wake)
        self._next = Flight()
        self._linger = Linger(self.watch, self._wake)
        self._chores: list[tuple[asyncio.Future[Any], Callable[..., Any], tuple[object, ...]]] = []
        self.ended: BaseException | None = None
        self._over = asyncio.Event()

    async def start(self, who: str, *, first: Sequence[Event] = ()) -> Opening:
        """Own the ledger, recover, and begin; `first` are events of the very first step.

        Raises:
            LedgerOwned, LedgerTooNew, LedgerBroken, LedgerUnavailable: nothing was started.
        """
        self._home, self._home_thread = asyncio.get_running_loop(), threading.get_ident()
        self._thread.start()
        try:
            opening = await self._thread.call(self._ledger.open, self._clock.now_us(), who)
        except BaseException:
            self._thread.stop()
            raise
        self.core = self._build(opening, died=True)
        self._inbox.put_first(first)
        await self._engine.start(self._sink)
        self._driver = asyncio.get_running_loop().create_task(self._drive(), name="wsaios-driver")
        if self._ledger.lease_s:
            self._renewal = asyncio.get_running_loop().create_task(self._renew(), name="wsaios-lease")
        return opening

    def post(self, event: Event, rows: int = 0, size_bytes: int = 0) -> None:
        """Hand an event to the next step; rows and bytes count until their commit."""
        if rows:
            self.pending_rows += rows
            self.pending_bytes += size_bytes
        self._inbox.post(event, rows, size_bytes)
        if not self._deaf and not self._gathers():
            self._wake()

    def will_end(self, number: int) -> bool:
        """Whether the end of this task is known, or is still to come, and will be told to `watch`."""
        core = self.core
        if core is None:
            return False
        return number in core.book.tasks or number in core.book.ended_now or self._airway.ends(number)

    def wake(self) -> None:
        """Have a step taken soon; safe from any thread."""
        loop = self._home
        if loop is None or self._driver is None:
            return
        if threading.get_ident() == self._home_thread:
            self.post(Barrier(None))
        else:
            loop.call_soon_threadsafe(self.post, Barrier(None))

    async def room(self) -> None:
        """Wait until the next commit has made room."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.append(future)
        await future

    async def upkeep(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a call on the ledger's own thread, between two steps of which the second hears no answer.

        So what the call removes is nothing that a step was just told of.

        Raises:
            NotRunning: the loop ended before.
        """
        if not self.running():
            raise NotRunning
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._chores.append((done, function, arguments))
        self._wake()
        return await done

    def rebuilding(self) -> bool:
        """Whether the core was thrown away and another one is to come."""
        return self.core is None and self.running()

    def running(self) -> bool:
        """Whether events are taken."""
        return self._driver is not None and not self._driver.done() and not self._stopping

    async def over(self) -> BaseException:
        """Return when it has ended by itself, with the reason."""
        await self._over.wait()
        assert self.ended is not None
        return self.ended

    async def stop(self) -> None:
        """Commit what came in, end the engine, release the ledger. Safe to call twice."""
        if self._driver is None:
            return
        self._stopping = True
        self._wake()
        await asyncio.gather(self._driver, return_exceptions=True)
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        await self._engine.stop()
        self._refuse_all(NotRunning())
        await asyncio.gather(self._thread.call(self._ledger.close), return_exceptions=True)
        self._thread.stop()
        self._driver = None

    def _wake(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None and not waker.done():
            waker.set_result(None)

    def _sink(self, reports: Sequence[Report]) -> "asyncio.Future[Any]":
        # Not a coroutine: the reports must be in the inbox before whatever is posted next, such as Recall.
        self._failpoint("driver.on_report")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.post(Reported(done, list(reports)))
        return done

    async def _renew(self) -> None:
        """Prolong the lease while there are no commits that do."""
        while self._driver is not None and not self._driver.done():
            await asyncio.sleep(self._ledger.lease_s * _RENEWALS)
            await self._still_owns()

    async def _still_owns(self) -> bool:
        """Whether this owner still is one; when not, or when nobody knows, the next turn deals with it."""
        try:
            await self._thread.call(self._ledger.renew)
        except (Fenced, LedgerUnavailable) as error:
            self._lost = self._lost or error
            self._wake()
            return False
        return True

    async def _drive(self) -> None:
        try:
            while await self._turn():
                pass
        except Fenced as error:
            self._log.error("another owner took the ledger; this one stands down", reason=str(error))
            self._end(error)
        except Exception as error:  # noqa: BLE001  # the driver must tell those who wait, whatever it was
            self._log.error("the scheduler stopped", reason=f"{type(error).__name__}: {error}")
            self._end(error)
        except asyncio.CancelledError:
            self._end(NotRunning())
            raise

    async def _turn(self) -> bool:
        """Whatever can be done now: land, take, launch, let go, wait; False when all is done and it should stop."""
        landed = None
        try:
            landed = self._land()
            if self._chores and self._quiet():
                await self._do_chores()
            if self._may_take():
                self._take()
            if self._may_launch():
                self._launch()
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001  # after any failure the core is rebuilt from the ledger
            if landed is not None:
                await self._let_go(landed)
            await self._recover(error)
            return True
        if landed is not None:
            await self._let_go(landed)
        return await self._wait()

    def _land(self) -> Flight | None:
        """The commit that came back, if one did.

        Raises:
            Fenced, Exception: it failed, or nobody knows, or the lease is lost.
        """
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost
        flight = self._airway.landed()
        if flight is None:
            return None
        told = None if flight.told is None else flight.told.result()
        self._airway.leave()
        self._settle(flight, told)
        return flight

    def _settle(self, flight: Flight, told: Committed | None) -> None:
        assert self.core is not None
        if not flight.effects.again:
            self._failures = 0
        self._failpoint("driver.after_commit")
        self.core.committed(flight.effects)
        if flight.effects.again:
            assert told is not None
            self._answers.append(told)
            self._again = True
        self._unload(flight)

    def _unload(self, flight: Flight) -> None:
        """Its rows count no longer: they are committed, or refused."""
        self.pending_rows -= flight.rows
        self.pending_bytes -= flight.size_bytes
        self._make_room()

    def _quiet(self) -> bool:
        """Whether nothing is on its way, being made, or told and not heard yet."""
        return self._airway.empty() and not self._answers and not self._drafting()

    def _must_turn(self) -> bool:
        """Whether there is something to do beside taking events and launching commits."""
        return self._lost is not None or bool(self._chores and self._quiet())

    def _may_take(self) -> bool:
        """Whether there is something to step for, and nothing on its way that a step must hear first."""
        if not self._airway.empty() and (self._chores or self._airway.closed()):
            return False
        return self._again or self._due() or (bool(self._inbox) and not self._gathers())

    def _gathers(self) -> bool:
        """Whether little came in while a commit is on its way: all of it is stepped for at once, when that lands."""
        return not self._airway.empty() and self._airway.landed() is None and self._inbox.few()

    def _may_launch(self) -> bool:
        core = self.core
        if core is None or not core.drafting or not self._airway.open_for(core.size):
            return False
        return self._stopping or bool(self._chores) or not self._linger.holds(self._next.events, core.book)

    def _due(self) -> bool:
        wake_us = self._wake_us
        return wake_us is not None and wake_us <= self._clock.now_us()

    def _drafting(self) -> bool:
        return self.core is not None and self.core.drafting

    def _take(self) -> None:
        core, flight = self.core, self._next
        assert core is not None
        events = [] if self._keeps_back() else self._inbox.take_some(core.executor.slots.taken(), core.backlog)
        self._remember(events)
        flight.events += events
        rows, size = self._inbox.counted()
        flight.rows += rows
        flight.size_bytes += size
        answers, self._answers, self._again = self._answers, [], False
        now_us = self._clock.now_us()
        for answer in answers[:-1]:
            core.take((), now_us, answer)
        core.take(events, now_us, answers[-1] if answers else None)
        if answers:
            # Only now: what cannot be heard fails every time.
            self._failures = 0
        if self._notices is not None:
            flight.calls += self._notices.take()
        wake_us = core.wake_us()
        # A time that is over even now waits for what the commit asks.
        self._wake_us = None if wake_us is None or wake_us <= now_us else wake_us

    def _keeps_back(self) -> bool:
        """Whether what came in waits, so that a chore finds a moment: every other time, so that neither waits long."""
        self._kept_back = bool(self._chores and self._answers) and not self._kept_back
        return self._kept_back

    def _launch(self) -> None:
        """Send the commit of what was taken on its way; a step with nothing to write only lets go."""
        core, flight = self.core, self._next
        assert core is not None
        flight.effects = effects = core.finish()
        self._wake_us = effects.wake_us
        commit, write = effects.commit, None
        if commit.writes() or commit.questions or commit.fetch:
            write = self._ledger.prepare(commit)
        core.handed(effects)
        self._next = Flight()
        self._airway.launch(flight, write)

    async def _do_chores(self) -> None:
        chores, self._chores = self._chores, []
        for done, function, arguments in chores:
            try:
                _answer(done, await self._thread.call(function, *arguments), None)
            except Exception as error:  # noqa: BLE001  # it belongs to whoever asked for the chore
                _answer(done, None, error)

    async def _let_go(self, flight: Flight) -> None:
        effects = flight.effects
        for reply in effects.replies:
            _answer(reply.token, reply.value, reply.error)
        self._failpoint("driver.after_acknowledge")
        # Before anything begins: a call may end the process at once.
        for message, fields in effects.warnings:
            self._log.warning(message, **fields)
        self._steer(effects)
        if effects.works:
            self._failpoint("driver.before_dispatch")
            # After a long pause another owner may have started the same work: then the core will be thrown away.
            if self._ledger.holds() or await self._still_owns():
                await self._dispatch(effects.works, None if flight.told is None else flight.told.result())
            else:
                self._unsent += effects.works
            self._failpoint("driver.after_dispatch")
        if effects.recalls:
            # Also what was decided before the pause, and left with it.
            self._engine.recall()
        if effects.closed:
            self.watch.closed(effects.closed)
        if effects.batches or effects.runs or effects.begun:
            self.watch.finished([*effects.batches, *effects.runs], effects.begun)
        if self._notices is not None:
            self._notices.deliver(flight.calls)

    def _steer(self, effects: Effects) -> None:
        """Tell the engine what becomes of calls that it has."""
        if effects.cancels:
            self._engine.cancel(effects.cancels)
        if effects.preempts:
            self._engine.preempt(effects.preempts)
        if effects.resumes:
            self._engine.resume(effects.resumes)

    async def _dispatch(self, works: list[Work], told: Committed | None) -> None:
        if told is not None and told.payloads:
            _fill(works, told)
        receipts = await self._engine.submit(works)
        for work, receipt in zip(works, receipts, strict=True):
            if receipt == Receipt.REJECTED:
                failure = Failure("Rejected", f"the engine has no handler {work.handler!r} or no lane {work.lane!r}")
                reports: list[Report] = [
                    Ended(attempt.task, attempt.fence, Verdict.FAILED, failure=failure) for attempt in work.attempts
                ]
                self.post(Reported(None, reports))

    async def _recover(self, error: Exception) -> None:
        """A step or a commit failed: what is on its way may still land; what was taken since is lost with the core.

        Raises:
            Fenced, Exception: there is no going on.
        """
        lost: list[Flight] = []
        while (flight := self._airway.leave()) is not None:
            try:
                told = None if flight.told is None else await flight.told
            except Fenced:
                raise
            except Exception:  # noqa: BLE001  # of several that failed the first one is told
                lost.append(flight)
            else:
                self._settle(flight, told)
                await self._let_go(flight)
        await self._rebuild([*lost, self._next], error)

    async def _rebuild(self, lost: list[Flight], error: Exception) -> None:
        """Throw the core away and make another from what the ledger says; what the engine runs goes on.

        Those who waited are told that nobody knows.
        """
        self._log.error("the core is rebuilt from the ledger", reason=f"{type(error).__name__}: {error}")
        self._failures += 1
        core, self.core = self.core, None
        reason = Unacknowledged(str(error))
        events = [event for flight in lost for event in flight.events]
        self._refuse(events, reason)
        if core is not None:
            for token in core.unanswered():
                _answer(token, None, reason)
        if self._failures > _MOST_FAILURES:
            raise error
        opening = await self._reopened()
        self.core = self._build(opening, died=False)
        heard = reports_in(events)
        if core is not None:
            coming = [*heard, *self._inbox.reports()]
            self.core.inherit(core, [flight.effects for flight in lost], reports=coming, unsent=self._unsent)
        self._unsent = []
        self._answers, self._again, self._wake_us, self._lost = [], True, None, None
        self._airway, self._next = Airway(self._ledger.name, self._thread, self._wake), Flight()
        # The change that a watcher is told of is written again.
        self._next.calls = [call for flight in lost for call in flight.calls]
        # Who yielded was given its place in line, and keeps it.
        again = Reported(None, [report for report in heard if type(report) is not Yielded])
        self._inbox.put_first([*self._standing.values(), again])
        for flight in lost:
            self._unload(flight)
        self.watch.missed()

    async def _reopened(self) -> Opening:
        """The ledger read again; a database that is gone for a moment is waited for."""
        last: LedgerUnavailable | None = None
        # A server may be away for as long as it takes; a file that cannot be opened stays so.
        # One that opens and then takes no commit is given longer and longer, too.
        first_s = _REBUILD_WAITS_S[min(self._failures, len(_REBUILD_WAITS_S)) - 1]
        for wait_s in chain((first_s, *_REBUILD_WAITS_S[1:]), repeat(_LONGEST_WAIT_S) if self._ledger.lease_s else ()):
            if last is not None and self._stopping:
                break
            await asyncio.sleep(wait_s)
            try:
                return await self._thread.call(self._ledger.reopen, self._clock.now_us())
            except LedgerUnavailable as error:
                self._log.warning("the ledger cannot be opened again yet", reason=str(error))
                last = error
        assert last is not None
        raise last

    def _remember(self, events: Sequence[Event]) -> None:
        """What was said once and holds on: a core that is built anew must be told again."""
        for event in events:
            if isinstance(event, _STANDING):
                name = event.spec.name if isinstance(event, HandlerKnown | LaneKnown) else ""
                self._standing[type(event), name] = event

    def _refuse(self, events: Sequence[Event], error: WsaiosError) -> None:
        for event in events:
            _answer(getattr(event, "token", None), None, error)

    def _refuse_all(self, error: WsaiosError) -> None:
        self._refuse(self._inbox.take(), error)
        chores, self._chores = self._chores, []
        for done, _, _ in chores:
            _answer(done, None, error)
        self.watch.fail(error)
        self.pending_rows = self.pending_bytes = 0
        self._inbox.counted()
        self._make_room()

    def _end(self, error: BaseException) -> None:
        self.ended = error
        # Another owner may begin it meanwhile.
        self._engine.recall()
        self._over.set()
        self._stopping = True
        reason = Unacknowledged(str(error))
        self._refuse(self._next.events, reason)
        for token in self.core.unanswered() if self.core is not None else ():
            _answer(token, None, reason)
        self._refuse_all(error if isinstance(error, WsaiosError) else NotRunning())

    def _make_room(self) -> None:
        waiting, self._room = self._room, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _wait(self) -> bool:
        """Wait until there is something to do; False: there never will be, for it is to stop."""
        airway = self._airway
        if airway.landed() is not None or self._may_take() or self._may_launch() or self._must_turn():
            # Those who were just told may have more to say.
            await asyncio.sleep(0)
            return True
        if airway.empty() and self._stopping:
            return False
        loop = asyncio.get_running_loop()
        self._waker = waker = loop.create_future()
        # What comes in meanwhile need not wake anyone when nothing may be taken.
        self._deaf = not airway.empty() and (bool(self._chores) or airway.closed())
        timer = None
        if self._wake_us is not None and not self._deaf:
            timer = loop.call_later(max(0, self._wake_us - self._clock.now_us()) / 1e6, self._wake)
        await waker
        if timer is not None:
            timer.cancel()
        return True


def _fill(works: list[Work], told: Committed) -> None:
    """Give attempts the arguments that the ledger was asked for."""
    payloads, saved = told.payloads, told.saved
    for work in works:
        for attempt in work.attempts:
            if attempt.codec == _FETCH:
                payload = payloads[attempt.task]
                attempt.codec, attempt.payload = payload.codec, payload.data
                if saved and (kept := saved.get(attempt.task)) is not None:
                    attempt.saved = kept.data


def _answer(token: Token, value: object, error: Exception | None) -> None:
    if token is None or token.done():
        return
    if error is None:
        token.set_result(value)
    else:
        token.set_exception(error)
